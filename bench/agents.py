"""`python -m bench.agents [--write PAGE] [NAME …]`: what each kind of output saves that real agents read.

Each agent works in the same folder (agents_scratch.py) behind this server, real gunicorn with two workers. A fake
upstream answers with one tool call after the other (agents_script.py), so that the agent runs its own tools and sends
what they printed as it would send it to its API. A tap keeps the requests as they left the agent, the upstream as they
arrived. Both are cut in the same way, text by text; no figure is taken from what the server says of itself.
"""

import argparse
import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from bench import agents_scratch, agents_script
from bench.agents_dialects import CLIENTS, KINDS, Client
from bench.agents_page import render
from bench.processes import ROOT
from bench.stacks import ours
from proxy_pkg.config.load import examine
from proxy_pkg.planning.draft import Memos
from proxy_pkg.planning.explain import PROTOCOLS, Explained, explain_body
from proxy_pkg.planning.reading import draw
from proxy_pkg.protocols.grammar import Protocol
from proxy_pkg.tokens.count import count, load
from proxy_pkg.web.verdict_rules import rules_of
from tests.agents.programs import launch
from tests.fakes import answers
from tests.fakes.exchange import Request
from tests.fakes.scripts import Script, reply
from tests.fakes.tap import tapped
from tests.fakes.upstream import Upstream, running

LIMIT_SECONDS = 300.0
INSTALLED = ROOT / ".venv/bench-agents/node_modules/.bin"
RIPGREP = next((INSTALLED.parent / "@openai").glob("codex-*/vendor/*/codex-path/rg"), None)
"""Codex brings ripgrep, which opencode would download."""
HOME = Path("/tmp/agents-home")  # the same each time, since agents write it into what they send


class Reading(Struct, frozen=True):
    """One tool result: as the agent sent it, as the upstream got it, and what is explained of it.

    `same` says whether the server sent what the same decision, made here, would send.
    """

    kind: str
    call: str
    received: str
    sent: str
    tokens_received: int
    tokens_sent: int
    explained: Explained
    same: bool


class Ran(Struct, frozen=True):
    """What came of one agent: its readings, or why there are none."""

    client: str
    version: str
    readings: tuple[Reading, ...] = ()
    trouble: str = ""


def version_of(client: Client) -> str:
    """The version that the program says; empty if it does not start."""
    try:
        ended = subprocess.run(
            [str(INSTALLED / client.program), "--version"],
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(r"\d+\.\d+\.\d+\S*", ended.stdout + ended.stderr)
    return found[0] if found and ended.returncode == 0 else ""


def serve(client: Client, calls: Sequence[agents_script.Call], work: Path, request: Request) -> Script:
    """The fake upstream's answer: a file that it serves, or the next step of the conversation."""
    name = request.path.lstrip("/")
    if request.method == "GET" and name in agents_scratch.SERVED:
        return reply((work / name).read_bytes(), headers=(("content-type", "text/plain"),))
    return client.api(request, calls) if request.body else answers.default_answer(request)


def run(name: str, upstream: Upstream, port: int) -> Ran:
    """Have one agent make every call of KINDS, and read what came of it."""
    client = CLIENTS[name]
    version = version_of(client)
    if not version:
        return Ran(name, "", trouble=f"`{client.program}` is not installed or does not start here")
    place = HOME / name
    shutil.rmtree(place, ignore_errors=True)
    (place / "work").mkdir(parents=True)
    agents_scratch.write(place / "work", place / agents_scratch.PROGRAMS, RIPGREP)
    asked = [(kind.title, call) for kind in KINDS if (call := kind.ask(client, place / "work", upstream.url))]
    upstream.requests.clear()
    upstream.answer = lambda request: serve(client, [call for _, call in asked], place / "work", request)
    with tapped(port) as tap:
        try:
            ended = launch(INSTALLED / client.program, client.prepare, place, tap.url, LIMIT_SECONDS)
            complaint = "" if ended.status == 0 else f"exit status {ended.status}: {ended.complaint[-300:]}"
        except subprocess.TimeoutExpired:
            complaint = f"it did not end within {LIMIT_SECONDS:.0f} seconds"
    received = [each for each in tap.requests() if agents_script.has_tools(each)]
    arrived = [each for each in upstream.requests if each.method == "POST" and agents_script.has_tools(each)]
    readings = tuple(read(PROTOCOLS[client.protocol], asked, received, arrived))
    return Ran(name, version, readings, complaint or _missing(asked, readings))


def _missing(asked: Sequence[tuple[str, agents_script.Call]], readings: Sequence[Reading]) -> str:
    left = len(asked) - len(readings)
    return f"{left} of {len(asked)} calls were not answered by the agent" if left else ""


def read(
    protocol: Protocol,
    asked: Sequence[tuple[str, agents_script.Call]],
    received: Sequence[Request],
    arrived: Sequence[Request],
) -> Iterator[Reading]:
    """The results that each request has more than the one before it, in order."""
    rules, tokens = rules_of(examine({}).settings, reduces=False), load()
    known = 0
    steps = iter(asked)
    for before, after in zip(received, arrived, strict=False):
        texts = texts_of(before.body, protocol), texts_of(after.body, protocol)
        assert len(texts[0]) == len(texts[1]), "a result was lost on the way"
        if len(texts[0]) <= known:
            continue
        spans = explain_body(before.body, protocol, rules, tokens).spans[known:]
        kind, (tool, _) = next(steps)
        for was, now, span in zip(texts[0][known:], texts[1][known:], spans, strict=True):
            would = was if span.verdict.text is None else span.verdict.text
            yield Reading(kind, tool, was, now, count(was), count(now), span, now == would)
        known = len(texts[0])


def texts_of(body: bytes, protocol: Protocol) -> list[str]:
    """The texts of tool results in a body, in order."""
    assert protocol.conversation is not None
    return [place.text.text for place in draw(body, protocol.conversation, Memos(0)).places]


@contextlib.contextmanager
def behind_the_server() -> Iterator[tuple[Upstream, int]]:
    """A fake upstream, and the port of a server with two workers before it."""
    with (
        running() as upstream,
        tempfile.TemporaryDirectory() as folder,
        ours(upstream, Path(folder), HEADROOM_WORKERS="2") as server,
    ):
        yield upstream, server.port


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*CLIENTS, []], help="agents; all by default")
    parser.add_argument("--write", type=Path, help="write the page here")
    parser.add_argument("--keep", type=Path, help="write each result, as received and as sent, into this folder")
    arguments = parser.parse_args()
    with behind_the_server() as (upstream, port):
        results = []
        for name in arguments.names or CLIENTS:
            results.append(run(name, upstream, port))
            print(f"{name}: {len(results[-1].readings)} results {results[-1].trouble}", file=sys.stderr)
    for result in results if arguments.keep else ():
        keep_texts(arguments.keep / result.client, result)
    page = render(results, datetime.now(UTC).date())
    if arguments.write:
        (ROOT / arguments.write).write_text(page)
    else:
        print(page)
    wrong = [f"{ran.client}: {each.kind}" for ran in results for each in ran.readings if not each.same]
    if wrong:
        print("the server sent something else than was explained:", *wrong, sep="\n  ", file=sys.stderr)
    return 1 if wrong else 0


def keep_texts(folder: Path, result: Ran) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, each in enumerate(result.readings):
        name = f"{number:02}-{re.sub(r'[^a-z]+', '-', each.kind.lower())}"
        (folder / f"{name}.in.txt").write_text(each.received)
        (folder / f"{name}.out.txt").write_text(each.sent)


if __name__ == "__main__":
    sys.exit(main())

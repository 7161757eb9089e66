"""`proxyctl compress FILE`: what would be sent for a request body or a tool's output, decision by decision."""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from proxy_pkg.cli.binary import binary_sign
from proxy_pkg.cli.options import command_app, with_overrides
from proxy_pkg.cli.report import fail, print_json
from proxy_pkg.config.load import examine
from proxy_pkg.config.values import size_text
from proxy_pkg.errors import ScanError
from proxy_pkg.model import Level, Producer
from proxy_pkg.planning.explain import (
    PROTOCOLS,
    Explained,
    Explanation,
    explain_body,
    explain_text,
    protocol_of,
)
from proxy_pkg.planning.policy import Rules
from proxy_pkg.tokens.count import load
from proxy_pkg.web.verdict_rules import rules_of

LEVELS = (Level.LOSSLESS, Level.BALANCED)

app = command_app()


@app.command()
@with_overrides
def compress(
    overrides: dict[str, str],
    file: Annotated[str, typer.Argument(help="A request body or a tool's output; - for standard input.")],
    tool: Annotated[str, typer.Option(help="The tool that printed it, for a tool's output.")] = "",
    command: Annotated[str, typer.Option(help="The shell command that printed it, for a tool's output.")] = "",
    raw: Annotated[bool, typer.Option("--raw", help="Take it for a tool's output even if it is a request.")] = False,
    protocol: Annotated[str, typer.Option(help=f"The body's format: {', '.join(PROTOCOLS)}.")] = "",
    level: Annotated[
        str, typer.Option(help=f"How far to go: {' or '.join(LEVELS)}. A server goes as far as lossless.")
    ] = "",
    output: Annotated[Path | None, typer.Option(help="Write what would be sent to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what would be sent for FILE: each text, its kind, the verdict with its reason, and its tokens.

    A tool's output is followed by the text that would be sent in its place. Nothing leaves this machine. At the
    level balanced, lines and records of large outputs may go, each gap marked in its place.
    """
    examined = examine(overrides=overrides)
    if examined.problems:
        fail(examined.problems)
    if protocol and protocol not in PROTOCOLS:
        fail((f"--protocol {protocol} is not known; use one of {', '.join(PROTOCOLS)}",))
    if level and level not in LEVELS:
        fail((f"--level {level} is not known; use one of {', '.join(LEVELS)}",))
    settings = examined.settings
    rules = rules_of(settings, reduces=level == Level.BALANCED)
    explanation = _explain(_read(file, raw, settings.body_bytes_max), _producer(tool, command), raw, protocol, rules)
    if output is not None:
        _write(output, explanation.sent)
    if as_json:
        print_json(explanation.as_dict())
        return
    _print(explanation, told=output is not None)


def _read(file: str, raw: bool, bytes_max: int) -> bytes:
    name = "standard input" if file == "-" else file
    try:
        with nullcontext(sys.stdin.buffer) if file == "-" else Path(file).open("rb") as opened:
            data = opened.read(bytes_max + 1)
    except (OSError, ValueError) as error:
        fail((f"{file} cannot be read: {getattr(error, 'strerror', None) or error}",))
    if len(data) > bytes_max:
        fail((f"{name} is longer than {size_text(bytes_max)} (HEADROOM_BODY_BYTES_MAX)",))
    if not raw and (why := binary_sign(data)):
        fail((f"{name} is a binary file ({why}): give the text of a tool's output, or a request body; --raw takes it",))
    return data


def _write(output: Path, sent: bytes) -> None:
    try:
        output.write_bytes(sent)
    except (OSError, ValueError) as error:
        fail((f"--output {output} cannot be written: {getattr(error, 'strerror', None) or error}",))


def _producer(tool: str, command: str) -> Producer:
    return Producer(tool or "Bash", {"command": command}) if command else Producer(tool)


def _explain(data: bytes, producer: Producer, raw: bool, protocol_name: str, rules: Rules) -> Explanation:
    tokens = load()
    protocol = PROTOCOLS.get(protocol_name) or (None if raw or producer.name else protocol_of(data))
    if protocol is None:
        return explain_text(data.decode("utf-8", "surrogateescape"), producer, rules, tokens)
    try:
        return explain_body(data, protocol, rules, tokens)
    except ScanError as error:
        fail((f"as {protocol.name} the body goes through as it came: {error}",))


def _print(explanation: Explanation, *, told: bool) -> None:
    for number, span in enumerate(explanation.spans, 1):
        print(_line(number, span))
    for doubt in explanation.doubts:
        print(f"an item was left alone: {doubt}")
    before, after = explanation.tokens_before, explanation.tokens_after
    share = 100 * (before - after) / before if before else 0
    what = f"{explanation.protocol} body" if explanation.protocol else "tool output"
    print(f"{what}: {len(explanation.spans)} texts, {before} tokens before, {after} after, {share:.1f} % saved")
    if not explanation.protocol and not told:
        print("--- what would be sent:")
        sys.stdout.flush()
        sys.stdout.buffer.write(explanation.sent)


def _line(number: int, span: Explained) -> str:
    verdict = span.verdict
    action = f"compressed by {verdict.compressor} ({verdict.grade})" if verdict.text is not None else "kept"
    return (
        f"{number:4}  bytes {span.start}-{span.end}  {span.tool or 'unknown tool'}: {span.kind} ({span.why}); "
        f"{action}: {verdict.reason}; tokens {verdict.tokens_before} -> {verdict.tokens_after}"
    )

"""docs/agents.md: the figures of bench/agents.py as a page."""

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from bench.agents_dialects import CLIENTS, KINDS

if TYPE_CHECKING:
    from bench.agents import Ran, Reading

_HEAD = """# What real agents save

Written by `make bench-agents` on {day}; run it again, do not edit this page.

Each agent works in the same generated folder behind this server (gunicorn, two workers, default settings). A fake
upstream answers with one tool call after the other, so each agent runs its own tools and sends what they printed in its
own form. Tokens are estimates by o200k_base of each tool result, as the agent sent it and as the upstream got it.
*exact* means that the same bytes arrived; [reasons.md](reasons.md) has the reasons and grades,
[notations.md](notations.md) the forms.

Files that an agent reads in order to edit them stay exact but for line numbers, and repeated lines become
references, so a client whose reads have no numbers saves less there.

"""


def render(results: "Sequence[Ran]", day: date) -> str:
    """The whole page."""
    parts = [_HEAD.format(day=day), _versions(results), _by_kind(results)]
    parts += [_details(result) for result in results if result.readings]
    return "\n".join(parts)


def saved(before: int, after: int) -> str:
    """A share in percent."""
    return f"{100 * (before - after) / before:.0f} %" if before else "–"


def _versions(results: "Sequence[Ran]") -> str:
    lines = [
        "| agent | npm package | version | tokens of results received | sent | saved |",
        "|---|---|---|--:|--:|--:|",
    ]
    for each in results:
        client = CLIENTS[each.client]
        before, after = _sums(each.readings)
        figures = f"{before:,} | {after:,} | {saved(before, after)}"
        lines.append(f"| {client.title} | `{client.package}` | {each.version or '–'} | {figures} |")
    lines += [f"\n{CLIENTS[each.client].title}: {each.trouble}." for each in results if each.trouble]
    return "\n".join(lines) + "\n"


def _sums(readings: "Sequence[Reading]") -> tuple[int, int]:
    return sum(each.tokens_received for each in readings), sum(each.tokens_sent for each in readings)


def _by_kind(results: "Sequence[Ran]") -> str:
    shown = [each for each in results if each.readings]
    lines = [
        "## Saved by kind of output\n",
        "| output | " + " | ".join(CLIENTS[each.client].title for each in shown) + " |",
        "|---|" + "--:|" * len(shown),
    ]
    for kind in KINDS:
        cells = []
        for each in shown:
            of_kind = [reading for reading in each.readings if reading.kind == kind.title]
            cells.append(saved(*_sums(of_kind)) if of_kind else "no such tool")
        lines.append(f"| {kind.title} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _details(result: "Ran") -> str:
    lines = [f"## {CLIENTS[result.client].title} {result.version}\n"]
    lines.append("| output | tool | received | sent | saved | recognised as | form | promise |")
    lines.append("|---|---|--:|--:|--:|---|---|---|")
    lines += [_row(each) for each in result.readings]
    return "\n".join(lines) + "\n"


def _row(each: "Reading") -> str:
    verdict = each.explained.verdict
    form, promise = ("–", f"exact: `{verdict.reason}`")
    if each.sent != each.received:
        form, promise = f"`{verdict.compressor}`", f"{verdict.grade}"
    return (
        f"| {each.kind} | `{each.call}` | {each.tokens_received:,} | {each.tokens_sent:,} "
        f"| {saved(each.tokens_received, each.tokens_sent)} | {verdict.kind or each.explained.kind} "
        f"| {form} | {promise} |"
    )

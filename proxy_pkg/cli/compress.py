"""`proxyctl compress FILE`: what would be sent for a request body or a tool's output, decision by decision."""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Final

import typer

from proxy_pkg.cli.options import command_app, with_overrides
from proxy_pkg.cli.report import fail, print_json
from proxy_pkg.config.load import examine
from proxy_pkg.config.parsers import size_text
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

_MAGIC: Final = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF8": "GIF",
    b"%PDF-": "PDF",
    b"\x7fELF": "ELF",
    b"\xca\xfe\xba\xbe": "Java class",
    b"OggS": "Ogg",
    b"\x00asm": "WebAssembly",
}
"""How files begin that no tool prints as text. `BZh` and `GIF8` are letters: what follows has to be no text too."""
_SAMPLE_BYTES: Final = 64 << 10
_ODD_SHARE_MAX: Final = 0.1
"""Of a text in Latin-1 or Shift_JIS, far more is not UTF-8, but hardly anything is a control character."""
_CONTROLS: Final = bytes(set(range(32)) - set(b"\t\n\r\f\v\b\x07\x1b")) + b"\x7f"
"""Those that no terminal gets to see."""


def binary_sign(data: bytes) -> str:
    """Why this is no text, as a phrase; empty if it may be one."""
    sample = data[:_SAMPLE_BYTES]
    if b"\0" in data:
        return "it has a zero byte"
    odd = _odd_share(sample)
    for magic, name in _MAGIC.items():
        if sample.startswith(magic) and (odd or not magic.isascii() or name == "PDF"):
            return f"it begins as {name} does"
    if odd > _ODD_SHARE_MAX:
        return f"{odd:.0%} of it are bytes that no text has"
    return ""


def _odd_share(sample: bytes) -> float:
    """Control characters of no terminal and, where they stand together with such, bytes that are no UTF-8."""
    if not sample:
        return 0.0
    controls = len(sample) - len(sample.translate(None, _CONTROLS))
    if not controls:
        return 0.0
    broken = len(sample) - len(sample.decode("utf-8", "ignore").encode())
    return (controls + broken) / len(sample)


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
    _print(explanation, is_output=output is not None)


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


def _print(explanation: Explanation, *, is_output: bool) -> None:
    for number, span in enumerate(explanation.spans, 1):
        print(_line(number, span))
    for doubt in explanation.doubts:
        print(f"an item was left alone: {doubt}")
    before, after = explanation.tokens_before, explanation.tokens_after
    share = 100 * (before - after) / before if before else 0
    what = f"{explanation.protocol} body" if explanation.protocol else "tool output"
    print(f"{what}: {len(explanation.spans)} texts, {before} tokens before, {after} after, {share:.1f} % saved")
    if not explanation.protocol and not is_output:
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

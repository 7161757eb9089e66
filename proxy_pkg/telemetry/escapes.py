"""Letters that a log line must not have: what ends a line for somebody, or gives orders to a terminal."""

import re
from typing import Final

# C0 but the line feed, DEL and C1, the separators of lines and paragraphs, and what changes the direction of writing.
_UNSAFE: Final = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def escaped(text: str) -> str:
    """Each such letter as JSON spells it, which JSON itself demands of a few alone. Line feeds stay."""
    return text if text.isascii() and text.isprintable() else _UNSAFE.sub(_spelled, text)


def on_one_line(text: str) -> str:
    """The same, and line feeds too."""
    return escaped(text).replace("\n", "\\n")


def escaped_json(line: bytes) -> bytes:
    """The same for encoded JSON, which stays what it means."""
    if line.isascii() and b"\x7f" not in line:
        return line
    return escaped(line.decode()).encode()


def _spelled(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"

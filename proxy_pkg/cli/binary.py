"""What tells a binary file from a text, odd as it may be: old encodings, colours of a terminal, cut characters."""

from typing import Final

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

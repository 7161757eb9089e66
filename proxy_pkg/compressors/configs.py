"""Settings and manifests in YAML, TOML and INI: only blocks of lines that come again stand once, as repeats.py says.

Lists of like objects, as `kubectl get -o yaml` prints them, say most of it again for each object.
"""

import re

from proxy_pkg.compressors import repeats
from proxy_pkg.compressors.contract import Compressor
from proxy_pkg.compressors.folding import SAMPLE_CHARS_MAX
from proxy_pkg.model import Grade

LINES_MIN = 6
SAMPLE_LINES = 120
SHARE_MIN = 0.75
"""So much of the lines with text must be of the language; others are parts of long values."""
SECTIONS_SHARE = 40
"""At least one line in so many names a section or holds others."""

_YAML = re.compile(
    r" *(?:- +)*(?:[\"']?[\w./$~<-](?:[^\s:,;(){}=]|:(?=\S))*[\"']?:(?: .*)?|[kv]:\{.*\}:.*|-(?: .*)?|#.*)|---|\.\.\."
)
_YAML_NEST = re.compile(r"^( *)(?:- )?[\"']?[\w./$~-]+[\"']?:(?: *[|>][-+]?)?\n(?:\1 +\S|\1- )", re.MULTILINE)
_TOML = re.compile(r"\[{1,2}[\w.\"' -]+\]{1,2}|[\w.\"'-]+ = (?:[\"'\[{\d+-]|true\b|false\b).*|#.*|[ \]}].*|\"\"\"")
_INI = re.compile(r"\[[^\[\]]+\]|[\w.][^=\[\]]*[^=\[\]]?=.*|[;#].*|[ \t].*")
_SECTION = re.compile(r"^\[{1,2}[^\[\]\n]+\]{1,2}$", re.MULTILINE)


def looks_like_yaml(sample: str) -> str:
    """Return why `sample` is YAML, empty if it is not."""
    return _why(sample, _YAML, _YAML_NEST, "keys and items of YAML")


def looks_like_toml(sample: str) -> str:
    """Return why `sample` is TOML, empty if it is not."""
    return _why(sample, _TOML, _SECTION, "settings in TOML")


def looks_like_ini(sample: str) -> str:
    """Return why `sample` is an INI file, empty if it is not."""
    return _why(sample, _INI, _SECTION, "settings below [sections]")


def _why(sample: str, line_of: re.Pattern[str], section: re.Pattern[str], words: str) -> str:
    lines = [line for line in sample.split("\n", SAMPLE_LINES)[:SAMPLE_LINES] if line.strip()]
    found = sum(map(bool, map(line_of.fullmatch, lines)))
    if found < LINES_MIN or found < SHARE_MIN * len(lines):
        return ""
    sections = len(section.findall("\n".join(lines)))
    return f"{found} of the first {len(lines)} lines are {words}" if sections * SECTIONS_SHARE >= len(lines) else ""


def compress(text: str) -> str | None:
    """Return the YAML `text` with blocks that come again once, None where it is none or has no such blocks."""
    if repeats.has_marks(text) or not looks_like_yaml(text[:SAMPLE_CHARS_MAX]):
        return None
    return repeats.counted(text)


YAML = Compressor("yaml", Grade.INVERTIBLE, compress)

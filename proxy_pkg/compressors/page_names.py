"""HTML and XML in which the same tags, attributes and addresses come again and again: each once, then by a short name.

aliases.py describes the names, repeats.py the marks for whole lines that come again.
"""

from proxy_pkg.compressors import aliases, gaps, repeats
from proxy_pkg.compressors.contract import Compressor
from proxy_pkg.compressors.folding import SAMPLE_CHARS_MAX, is_folded
from proxy_pkg.compressors.markup import looks_like
from proxy_pkg.model import Grade

SAVED_SHARE = 20
"""Names that save less than one character in so many are not worth looking up."""


def compress(text: str) -> str | None:
    """Return the HTML or XML in `text` with short names, None where it is none or they save little."""
    if is_folded(text) or gaps.has_marks(text) or not looks_like(text[:SAMPLE_CHARS_MAX]):
        return None
    result = repeats.counted(text) or text
    result = aliases.named(result, ()) or result
    return result if len(result) * SAVED_SHARE < len(text) * (SAVED_SHARE - 1) else None


PAGE_NAMES = Compressor("page-names", Grade.INVERTIBLE, compress, version=2)

"""Diffs in which hunks come again, as where many files change alike: each is shown once (see repeats)."""

from proxy_pkg.compressors import repeats
from proxy_pkg.compressors.contract import Compressor
from proxy_pkg.compressors.diffs import HEADER, looks_like
from proxy_pkg.model import Grade


def compress(text: str) -> str | None:
    """Return the diff `text`, perhaps in the form of `diffs`, with what comes again counted or referred to."""
    if not (text.startswith(HEADER) or looks_like(text)) or repeats.has_marks(text):
        return None
    return repeats.counted(text)


DIFF_REPEATS = Compressor("diff-repeats", Grade.INVERTIBLE, compress)

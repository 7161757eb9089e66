"""The tokenizer vocabulary that ships inside the package, so that nothing is fetched at run time."""

import gzip
import hashlib
import zlib
from pathlib import Path

from proxy_pkg.errors import VocabularyError

VOCABULARY_PATH = Path(__file__).parent / "data" / "o200k_base.tiktoken.gz"
# gzip, not xz: half a megabyte more on disk, half the time to unpack at every start.
VOCABULARY_SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"


def read(path: Path = VOCABULARY_PATH) -> bytes:
    """Return the unpacked rank file: one line for each token, `base64(token) rank`, ranks counting up from 0.

    Raises VocabularyError, which names the file and the cure, if it is missing or not the published one.
    """
    try:
        data = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise VocabularyError(f"{path}: cannot be read ({error}): install the package again") from error
    if hashlib.sha256(data).hexdigest() != VOCABULARY_SHA256:
        raise VocabularyError(f"{path}: is not the published o200k_base: install the package again")
    return data


def verify() -> None:
    """Raise VocabularyError unless the vocabulary is there and is the published one."""
    read()

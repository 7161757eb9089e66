import gzip
from pathlib import Path

import pytest

from proxy_pkg.errors import VocabularyError
from proxy_pkg.tokens import vocabulary


def test_the_shipped_file_is_the_published_one() -> None:
    vocabulary.verify()
    lines = vocabulary.read().splitlines()
    assert [int(line.split()[1]) for line in lines] == list(range(199_998))


@pytest.mark.parametrize(
    "content",
    [None, b"", b"not gzip", gzip.compress(b"YQ== 0\n", mtime=0), vocabulary.VOCABULARY_PATH.read_bytes()[:-9000]],
    ids=["missing", "empty", "not gzip", "another vocabulary", "cut short"],
)
def test_a_missing_or_damaged_file_is_named_with_the_cure(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "ranks.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(VocabularyError, match=r"ranks\.gz.*install the package again"):
        vocabulary.read(path)


def test_a_flipped_byte_is_noticed(tmp_path: Path) -> None:
    data = bytearray(vocabulary.VOCABULARY_PATH.read_bytes())
    data[len(data) // 2] ^= 1
    path = tmp_path / "ranks.gz"
    path.write_bytes(data)
    with pytest.raises(VocabularyError):
        vocabulary.read(path)

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.compressors.paths import compress, looks_like
from tests.compressors.inverse_search import paths

PARTS = st.sampled_from(["src", "b", "c d", "lib", "main.py", "a-1.txt", "[id]", "x"])
LISTED = st.tuples(
    st.sampled_from(["", "/srv/app/", "./"]), st.lists(PARTS, min_size=1, max_size=4), st.sampled_from(["", "", "/"])
)
OTHERS = st.lists(
    st.sampled_from(["Found 9 files", "(truncated)", "", " x", "[5 paths by directory]", "a/", "total: 3"]), max_size=2
)


@given(OTHERS, st.lists(LISTED, min_size=3, max_size=25), OTHERS, st.booleans(), st.sampled_from("/\\"))
@settings(max_examples=200, deadline=None)
def test_the_inverse_gives_the_list_back(
    before: list[str], listed: list[tuple[str, list[str], str]], after: list[str], ordered: bool, mark: str
) -> None:
    lines = [(start + "/".join(parts) + end).replace("/", mark) for start, parts, end in listed]
    text = "\n".join([*before, *(sorted(lines) if ordered else lines), *after])
    shorter = compress(text)
    if shorter is not None:
        assert paths(shorter) == text
        assert compress(shorter) in (None, shorter)


def test_each_directory_is_written_once() -> None:
    names = ["cli/main.py", "cli/report.py", "cli/options.py", "README.md", "web/app.py"]
    text = "Found 5 files\n" + "".join(f"/srv/app/{name}\n" for name in names)
    assert compress(text) == (
        "Found 5 files\n[5 paths by directory, all below /srv/app/]\n"
        "cli/\n main.py\n report.py\n options.py\nREADME.md\nweb/app.py\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "a\nb\nc\nd\ne\nf\n",
        "You may read and/or write.\nIt is/was so.\nYes/no: both.\nOne, two/three.\nEither/or; none.\n",
        "a/b.py: 3\na/c.py: 4\na/d.py: 5\na/e.py: 6\na/f.py: 7\n",
        "x/1\nx/2\n",
        "",
    ],
)
def test_what_is_no_list_of_paths_is_left_alone(text: str) -> None:
    assert not looks_like(text)
    assert compress(text) is None

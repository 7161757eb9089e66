import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.compressors.tree import compress, looks_like
from tests.compressors.inverse_search import tree

STYLES = [("│   ", "├── ", "└── "), ("│\xa0\xa0 ", "├── ", "└── "), ("|   ", "|-- ", "`-- ")]
NAMES = st.sampled_from(["src", "a b.py", "x", "serde v1.0 (*)", "├── y", "", "│   z", "n\r"])


def drawn(depths: list[int], names: list[str], style: tuple[str, str, str]) -> list[str]:
    bar, branch, last = style
    lines = []
    for at, depth in enumerate(depths):
        later = [
            next((other == level for other in depths[at + 1 :] if other <= level), False) for level in range(depth + 1)
        ]
        lines.append(
            "".join(bar if each else "    " for each in later[:-1]) + (branch if later[-1] else last) + names[at]
        )
    return lines


@given(st.data(), st.sampled_from(STYLES), st.lists(NAMES, min_size=5, max_size=20))
@settings(max_examples=200, deadline=None)
def test_the_inverse_gives_the_tree_back(data: st.DataObject, style: tuple[str, str, str], names: list[str]) -> None:
    depths = [0]
    for _ in names[1:]:
        depths.append(data.draw(st.integers(0, depths[-1] + data.draw(st.sampled_from([1, 1, 1, 2])))))
    lines = drawn(depths, names, style)
    if data.draw(st.integers(0, 5)) == 0:
        lines[data.draw(st.integers(0, len(lines) - 1))] = data.draw(NAMES)
    text = "\n".join([*data.draw(st.lists(NAMES, max_size=2)), *lines, *data.draw(st.lists(NAMES, max_size=2))])
    shorter = compress(text)
    if shorter is not None:
        assert tree(shorter) == text
        assert compress(shorter) in (None, shorter)


def test_levels_are_indented() -> None:
    names = ["src", "cli", "main.py", "report.py", "web", "app.py", "README.md", "docs", "notes.md", "guide.md"]
    depths = [0, 1, 2, 2, 1, 2, 0, 0, 1, 1]
    text = ".\n" + "\n".join(drawn(depths, names, STYLES[0])) + "\n\n5 directories, 5 files\n"
    assert compress(text) == (
        "[tree: 10 entries below line 1, indented instead of ├──]\n"
        ".\nsrc\n cli\n  main.py\n  report.py\n web\n  app.py\nREADME.md\ndocs\n notes.md\n guide.md\n"
        "\n5 directories, 5 files\n"
    )


@pytest.mark.parametrize("text", ["", "├── a\n", "a\nb\nc\nd\ne\nf\n", "├── a\nb\n├── c\n├── d\n├── e\n├── f\n"])
def test_what_is_no_tree_is_left_alone(text: str) -> None:
    assert not looks_like(text)
    assert compress(text) is None


def test_a_tree_drawn_otherwise_is_left_alone() -> None:
    assert compress(".\n" + "├── a\n" * 9) is None

"""The figures of the structure count what they say."""

from pathlib import Path

from bench.house_static import modules_of, rows_of

FILES = {
    "one/table.py": """
from typing import Any
from library._inside import name
import mmap

class Table:
    kept: int

    def __init__(self, a: Any, b: int, c: int, d: int, e: int, f: int, g: int) -> None:
        self.told = a
        self.also = mmap.mmap(b, c)
        self._ours = 1

    def read(self, other: Any) -> Any:
        return other._theirs + other._ours
""",
    "two/table.py": "class Table: ...\n",
    "two/__init__.py": "",
    "one/__init__.py": "",
}


def test_each_figure_counts_what_it_says(tmp_path: Path) -> None:
    for path, text in FILES.items():
        file = tmp_path / "proxy_pkg" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    rows = {row.name: row for row in rows_of(modules_of(tmp_path))}
    assert {name: row.value for name, row in rows.items()} == {
        "modules": "4",
        "lines": "16",
        "repeated basenames": "1",
        "repeated class names": "1",
        "attributes of the largest class": "4",
        "parameters of a function, at most": "7",
        "Any per 1,000 lines": "187.5",
        "banned words in names": "1",
        "reaches into private parts of libraries": "2",
        "modules that map a shared file": "1",
    }
    assert rows["repeated basenames"].detail == "table.py (2)"
    assert "one/table.py" in rows["modules that map a shared file"].detail

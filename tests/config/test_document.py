from pathlib import Path

from proxy_pkg.config.settings import ROWS, SOURCES
from proxy_pkg.config.settings_page import TARGET, render


def test_the_page_tells_every_setting() -> None:
    page = render()
    for name in [*(row.environment for row in ROWS.values()), *ROWS, *SOURCES]:
        assert f"`{name}`" in page


def test_the_page_in_the_repository_is_the_one_the_table_makes() -> None:
    assert (Path(__file__).parents[2] / TARGET).read_text("utf-8") == render()


def test_every_row_of_a_table_has_the_same_cells() -> None:
    rows = [
        line.replace("\\|", "") for line in render().splitlines() if line.startswith("| `HEADROOM") or "HUP |" in line
    ]
    assert {row.count("|") for row in rows} == {3, 8}

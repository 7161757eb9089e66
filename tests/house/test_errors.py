"""docs/errors.md says of each code of `x-headroom-error` what the table says, and the code says no others."""

import ast
import re
from pathlib import Path

import pytest

from proxy_pkg.config.settings import BY_ENVIRONMENT
from proxy_pkg.stats.refusals import FAILURES, REFUSALS

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "errors.md"
CODE = re.compile(r"[a-z]+(?:_[a-z]+)*")
SAYS = {"RefusedError": 1, "Refusal": 1, "_refused": 1}
"""Who says a code -> at which place."""


def codes_said() -> dict[str, set[int]]:
    """Each code that a call says, with the statuses that stand beside it as numbers."""
    found: dict[str, set[int]] = {}
    for path in [
        path
        for room in ("server", "web", "limits", "billing")
        for path in sorted((ROOT / "proxy_pkg" / room).rglob("*.py"))
    ]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SAYS:
                argument = node.args[SAYS[node.func.id]] if len(node.args) > 1 else None
                if isinstance(argument, ast.Constant) and CODE.fullmatch(str(argument.value)):
                    statuses = {each.value for each in node.args[1:] if isinstance(each, ast.Constant)} - {
                        argument.value
                    }
                    found.setdefault(str(argument.value), set()).update(
                        status for status in statuses if isinstance(status, int) and 400 <= status < 600
                    )
    return found


@pytest.mark.parametrize(("title", "table"), [("Refusals", REFUSALS), ("Failures of an upstream", FAILURES)])
def test_the_page_says_what_the_table_says(title: str, table: dict[str, tuple[int, str]]) -> None:
    section = PAGE.read_text().split(f"## {title}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([\w-]+)` \| (\d+) \| (.+) \|$", section, re.MULTILINE)
    assert {code: (int(status), text) for code, status, text in rows} == table


def test_the_code_says_every_refusal_and_no_other() -> None:
    said = codes_said()
    of_limits = set(
        re.findall(r'^    "\w+": "(\w+_\w+)",$', (ROOT / "proxy_pkg/limits/limiter.py").read_text(), re.MULTILINE)
    )
    assert set(said) | of_limits == set(REFUSALS)
    wrong = {code: statuses for code, statuses in said.items() if statuses - {REFUSALS[code][0]}}
    assert not wrong


def test_settings_that_the_page_names_exist() -> None:
    assert set(re.findall(r"HEADROOM_\w+", PAGE.read_text())) <= set(BY_ENVIRONMENT)


def test_the_readme_leads_to_the_page() -> None:
    assert "(docs/errors.md)" in (ROOT / "README.md").read_text()

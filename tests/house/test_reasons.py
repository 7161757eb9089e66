"""docs/reasons.md says of each decision, reason and grade what the table says, and the code says no others."""

import re
from pathlib import Path

import pytest

from proxy_pkg.model import Grade
from proxy_pkg.stats.reasons import BODY_REASONS, DECISIONS, GRADES, TEXT_REASONS

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "reasons.md"
SOURCES = "\n".join(
    path.read_text() for path in sorted((ROOT / "proxy_pkg").rglob("*.py")) if path.name != "reasons.py"
)
TABLES = {
    "Decisions": DECISIONS,
    "Reasons of a body": BODY_REASONS,
    "Reasons of a text": TEXT_REASONS,
    "Grades": GRADES,
}


@pytest.mark.parametrize("title", TABLES)
def test_the_page_says_what_the_table_says(title: str) -> None:
    section = PAGE.read_text().split(f"## {title}\n")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| `([\w-]+)` \| (.+) \|$", section, re.MULTILINE))
    assert rows == TABLES[title]


def test_the_readme_leads_to_the_page() -> None:
    assert "(docs/reasons.md)" in (ROOT / "README.md").read_text()


def test_the_code_says_every_reason_and_no_other() -> None:
    known = set(BODY_REASONS) | set(TEXT_REASONS)
    for reason in known:
        assert f'"{reason}"' in SOURCES, f"nothing says {reason}"
    scan = set(re.findall(r'ScanError\([^\n]*"(\w+)"\)', SOURCES)) | {"broken_json"}
    coding = set(re.findall(r'^    reason = "(\w+)"$', SOURCES, re.MULTILINE))
    decided = set(re.findall(r'_decide\(record, "\w+", "(\w+)"\)', SOURCES))
    of_texts = set(re.findall(r'(?:Verdict|_kept)\("(\w+)"', SOURCES)) | set(re.findall(r'doubt="(\w+)"', SOURCES))
    assert scan | coding | decided <= set(BODY_REASONS)
    assert of_texts <= set(TEXT_REASONS)
    assert {grade.value for grade in Grade} == set(GRADES)
    assert len(BODY_REASONS) < 48, "the counter's label has room for so many"

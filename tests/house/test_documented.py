"""What is generated from a table says what the table says; what is named to users exists."""

import re
from pathlib import Path

from bench import notations
from proxy_pkg.compressors.table import COMPRESSORS, REDUCERS
from proxy_pkg.config import headroom_page
from proxy_pkg.config import settings_page as settings_document
from proxy_pkg.config.settings import BY_ENVIRONMENT, SOURCES
from proxy_pkg.stats import metrics_page as metrics_document

ROOT = Path(__file__).parents[2]


def test_the_settings_page_is_the_table() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == settings_document.render()


def test_the_page_for_people_from_headroom_is_the_rules() -> None:
    assert (ROOT / "docs" / "from-headroom.md").read_text() == headroom_page.render()


def test_the_metrics_page_is_the_catalogue() -> None:
    assert (ROOT / "docs" / "metrics.md").read_text() == metrics_document.metrics_markdown()


def test_the_page_of_notations_is_the_registry() -> None:
    """`python -m bench.notations docs/notations.md` writes it."""
    page = (ROOT / "docs" / "notations.md").read_text()
    assert page == notations.render()
    for form in (*COMPRESSORS, *REDUCERS.values()):
        section = page.split(f"# `{form.name}`\n")[1].split("\n## ")[0].split("\n### ")[0]
        assert "\nAfter, " in section, f"{form.name} has no example"


def names_in(text: str) -> set[str]:
    words = text.replace("`", " ").replace("=", " ").replace(",", " ").replace("$", " ").split()
    return {word for word in words if word.isupper() and (word.startswith("HEADROOM_") or word.endswith("_API_URL"))}


def test_every_variable_that_the_guides_name_exists() -> None:
    known = set(BY_ENVIRONMENT) | set(SOURCES)
    for page in (ROOT / "README.md", ROOT / "deploy" / "systemd" / "environment.example"):
        assert names_in(page.read_text()) <= known


def test_no_text_has_people_install_this_package_by_its_name() -> None:
    """On a public index that name may be somebody else's: it is installed from the checkout, or from a wheel file."""
    by_name = re.compile(r"install\b[^\n]{0,40}?[\s'\"`](?:proxy_pkg|proxy-pkg)(?:\[[\w,]+\])?[\s'\"`,;.)]")
    kinds = ("*.py", "*.md", "*.toml", "*.yaml", "*.conf", "*.service", "*.example", "Dockerfile", "Makefile", "*.mk")
    folders = ("proxy_pkg", "docs", "deploy", "bench", "requirements")
    pages = [path for folder in folders for kind in kinds for path in (ROOT / folder).rglob(kind)]
    pages += [ROOT / name for name in ("README.md", "CHANGELOG.md", "Makefile", "pyproject.toml", "gunicorn_conf.py")]
    found = [f"{path}: {match[0]}" for path in pages for match in by_name.finditer(path.read_text())]
    assert found == []
    assert by_name.search("run pip install 'proxy_pkg[redis]' first")


def test_every_page_that_the_readme_links_exists() -> None:
    text = (ROOT / "README.md").read_text()
    links = [part.split(")")[0] for part in text.split("](")[1:]]
    assert [link for link in links if not (ROOT / link).exists()] == []

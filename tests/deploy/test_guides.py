"""What the guides tell a newcomer to type can be typed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.processes import ROOT
from bench.stacks import plain_environment
from proxy_pkg.cli.main import COMMANDS
from proxy_pkg.config.load import examine
from tests.fakes.bodies import ANTHROPIC, NUMBERED, literal

GUIDES = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "deploy").rglob("*.md")]
README = GUIDES[0].read_text()
MAKEFILES = (ROOT / "Makefile").read_text() + (ROOT / "bench/targets.mk").read_text()
BLOCKS = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
OFFLINE = [
    line.partition(" #")[0].strip()
    for _, block in BLOCKS.findall(README)
    for line in block.splitlines()
    if line.startswith(".venv/bin/proxyctl compress")
]


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: str(guide.relative_to(ROOT)))
def test_targets_commands_and_pages_exist(guide: Path) -> None:
    text = guide.read_text()
    shown = "".join(block for _, block in BLOCKS.findall(text))
    targets = {*re.findall(r"`make ([a-z-]+)", text), *re.findall(r"^make ([a-z-]+)", shown, re.MULTILINE)}
    assert [name for name in targets if not re.search(rf"^{name}:", MAKEFILES, re.MULTILINE)] == []
    assert set(re.findall(r"proxyctl ([a-z-]+)", text)) <= set(COMMANDS)
    links = [link.partition("#")[0] for link in re.findall(r"\]\((?!http)([^)]+)\)", text)]
    assert [link for link in links if link and not (guide.parent / link).exists()] == []


@pytest.mark.parametrize("line", OFFLINE)
def test_what_can_be_typed_without_a_network_works(line: str, tmp_path: Path) -> None:
    program, *words = line.split()
    (tmp_path / words[-1]).write_bytes(
        ANTHROPIC.body(literal(NUMBERED)) if line.endswith("json") else b"all is well\n" * 400
    )
    done = subprocess.run(
        [Path(sys.executable).parent / Path(program).name, *words],
        cwd=tmp_path,
        env=plain_environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "tokens" in done.stdout


def test_there_is_something_to_type() -> None:
    assert len(OFFLINE) == 3


def test_the_tables_of_the_settings_page_can_be_copied(tmp_path: Path) -> None:
    blocks = [block for kind, block in BLOCKS.findall((ROOT / "docs/settings.md").read_text()) if kind == "toml"]
    assert blocks
    for block in blocks:
        file = tmp_path / "settings.toml"
        file.write_text(block)
        assert examine({"HEADROOM_CONFIG": str(file)}).problems == ()

"""What a worker was deciding when it died is known to the next one, and told once."""

import os
import subprocess
import sys
from pathlib import Path

from proxy_pkg.store.journal import Journal

BEGIN = """
import sys
from proxy_pkg.store.journal import Journal
journal = Journal(sys.argv[1], 3)
journal.sit()
journal.begin(0, 40)
journal.begin(1, 42)
journal.end(0)
"""


def test_a_text_begun_by_a_process_that_is_gone_is_told_once(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", BEGIN, str(tmp_path)], check=True)
    assert list(Journal(str(tmp_path), 0).unfinished()) == [42]
    assert list(Journal(str(tmp_path), 3).unfinished()) == []


def test_what_a_living_worker_is_at_is_its_own_affair(tmp_path: Path) -> None:
    working = Journal(str(tmp_path), 1)
    working.sit()
    working.begin(1, 42)
    assert list(Journal(str(tmp_path), 2).unfinished()) == []


def test_without_a_place_or_a_slot_it_is_kept_in_memory(tmp_path: Path) -> None:
    for journal in (Journal(str(tmp_path / "nowhere"), 1), Journal("", 1), Journal(str(tmp_path), -1)):
        journal.sit()
        journal.begin(1, 42)
        journal.end(1)
        assert list(journal.unfinished()) == []
    assert os.listdir(tmp_path) == []


def test_rows_of_no_sense_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "deciding").write_bytes(b"\xff" * 65536)
    journal = Journal(str(tmp_path), 0)
    assert set(journal.unfinished()) == {(1 << 64) - 1}
    journal.sit()
    assert list(journal.unfinished()) == []

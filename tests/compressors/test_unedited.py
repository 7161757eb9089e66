"""Files that nobody edits: printed logs, lock files and dumps get forms that come back byte for byte; no other file."""

import pytest

from proxy_pkg.compressors.detect import Kind, detect
from proxy_pkg.compressors.programs import printed_files
from proxy_pkg.compressors.unedited import DUMP_LINES_MIN, Origin, origin
from proxy_pkg.model import Grade, Producer
from proxy_pkg.planning.policy import Rules, decide
from tests.compressors import inverse_lines
from tests.fakes.tokens import FourCharacters

LOG = "".join(f"2024-05-01 10:00:{n % 60:02d}.000 INFO  Cart: item {n} added to the basket\n" for n in range(80))
LOCK = "# yarn lockfile v1\n" + "".join(
    f'\n"pkg{n}@^1.0.0":\n  version "1.0.{n}"\n  resolved "https://registry.yarnpkg.com/pkg{n}/-/pkg{n}-1.0.{n}.tgz"\n'
    f"  integrity sha512-{n:064x}==\n"
    for n in range(40)
)
TABLE = "id,place,state\n" + "".join(f"{n},Springfield,open\n" for n in range(DUMP_LINES_MIN + 1))
CODE = "".join(f"def step_{n}(value):\n    return value + {n}\n\n\n" for n in range(40))
COLOURED = "".join(f"\x1b[32m2024-05-01 10:00:{n % 60:02d} INFO\x1b[0m  item {n}\n" for n in range(80))


def shell(command: str, **arguments: str) -> Producer:
    return Producer("Bash", {"command": command, **arguments})


LOGS_PRINTED = [
    "cat app.log",
    "tail -n 200 /var/log/syslog",
    "tail -100f logs/app.log",
    "head -50 build.log | grep -v DEBUG",
    "sed -n '100,200p' server.log",
    "sed -n -e 1,9p server.log",
    "awk '{print $1, $2}' /var/log/nginx/access.log.1",
    "zcat /var/log/nginx/access.log.2.gz | head",
    "zgrep -A 50 start /var/log/app.log.gz",
    "less /var/log/messages",
    "sudo tail -n 20 /var/log/auth.log",
    "sudo sh -c 'tail -n 20 /var/log/auth.log'",
    "bash -lc 'cd /srv/app && cat app.log'",
    "docker exec web cat /var/log/app.log",
    "ssh host 'tail -n 5 /var/log/syslog'",
    "cat a.log b.log 2>/dev/null; ls",
    "cut -d' ' -f 1 access.log | sort | uniq -c",
    "cat app-2024-05-01.log",
    "cat app.log.2024-05-01",
    "cat nohup.out",
    r"type C:\logs\app.log",
]
NOT_KNOWN = [
    "cat app.log a.py",
    "cat app.log; cat a.py",
    "cat tests/fixtures/app.log",
    "cd tests/data && cat app.log",
    "cat test_data/app.log",
    "cat src/parser/app.log",
    'cat "$f"',
    "for f in *.log; do cat $f; done",
    "find . -name '*.log' -exec cat {} +",
    "ls *.log | xargs cat",
    "cat < app.log",
    "cat log",
    "cat app.logic",
    "cat app.log.py",
    "sed -f app.log a.py",
    "grep -A 200 app.log a.py",
    "git show HEAD:app.log",
    "python -c \"print(open('app.log').read())\"",
    "bash -c 'cat app.log' && bash -c 'cat a.py'",
    "jq . app.log",
]


@pytest.mark.parametrize("command", LOGS_PRINTED)
def test_a_printed_log_is_told_by_path_and_content(command: str) -> None:
    assert origin(shell(command)) is Origin.LOG
    assert detect(LOG, shell(command)).kind is Kind.LOG
    assert detect(CODE, shell(command)).kind is Kind.FILE


@pytest.mark.parametrize("command", NOT_KNOWN)
def test_a_file_that_may_be_edited_stays_exact(command: str) -> None:
    assert origin(shell(command)) is None
    assert detect(LOG, shell(command)).kind is Kind.FILE


def test_the_folder_that_a_command_runs_in_counts_too() -> None:
    assert origin(shell("cat app.log", workdir="/srv/app")) is Origin.LOG
    assert origin(shell("cat app.log", workdir="/srv/app/tests")) is None


@pytest.mark.parametrize(
    ("name", "arguments", "is_log"),
    [
        ("read_file", {"path": "/srv/app.log"}, True),
        ("Read", {"file_path": "/var/log/syslog"}, True),
        ("mcp__filesystem__read_text_file", {"path": "logs/a.log"}, True),
        ("read_file", {"path": "fixtures/app.log"}, False),
        ("read_file", {"path": "app.txt"}, False),
        ("read_file", {}, False),
        ("write_file", {"path": "/srv/app.log"}, False),
        ("Edit", {"file_path": "/srv/app.log"}, False),
        ("mystery", {"path": "/srv/app.log"}, False),
    ],
)
def test_tools_that_read_name_their_file(name: str, arguments: dict[str, str], is_log: bool) -> None:
    assert (origin(Producer(name, arguments)) is Origin.LOG) == is_log


@pytest.mark.parametrize("name", ["yarn.lock", "frontend/yarn.lock", "Cargo.lock", "go.sum"])
def test_a_lock_file_is_told_by_its_hashes(name: str) -> None:
    assert detect(LOCK, shell(f"cat {name}")).kind is Kind.GENERATED
    assert detect(CODE, shell(f"cat {name}")).kind is Kind.FILE
    assert detect(LOCK, shell(f"cat tests/{name}")).kind is Kind.FILE
    assert detect(LOCK, shell("cat a.lock")).kind is Kind.FILE


def test_a_dump_is_long_and_lies_where_programs_write() -> None:
    assert detect(TABLE, shell("cat /tmp/rows.csv")).kind is Kind.DELIMITED
    assert detect(TABLE, shell("head -99 exports/rows.csv")).kind is Kind.DELIMITED
    assert detect(TABLE, shell("cat rows.csv")).kind is Kind.FILE
    assert detect(TABLE[:600], shell("cat /tmp/rows.csv")).kind is Kind.FILE
    assert detect(LOG, shell("cat /tmp/rows.csv")).kind is Kind.FILE


@pytest.mark.parametrize("reduces", [False, True])
@pytest.mark.parametrize(("text", "name"), [(LOG * 40, "a.log"), (LOCK, "yarn.lock"), (COLOURED, "a.log")])
def test_what_nobody_edits_comes_back_byte_for_byte(text: str, name: str, reduces: bool) -> None:
    verdict = decide(text, shell(f"cat {name}"), Rules(5, 1 << 20, reduces=reduces), FourCharacters())
    assert verdict.grade in (None, Grade.INVERTIBLE)
    if text is not COLOURED:
        assert verdict.text is not None
        assert inverse_lines.lines(verdict.text) == text


def test_folders_stand_among_the_files() -> None:
    assert printed_files("cd /srv/logs && cat app.log") == ("/srv/logs/", "app.log")
    assert printed_files("ls app.log") == ()

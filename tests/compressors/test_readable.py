"""Forms that a reader could misread are not used, or say in place what they mean."""

import json

from proxy_pkg.compressors.delimited import compress as delimited
from proxy_pkg.compressors.detect import Kind, detect
from proxy_pkg.compressors.json_text import compress as json_text
from proxy_pkg.compressors.table import run_chain
from proxy_pkg.model import Producer
from tests.compressors import inverses

UNKNOWN = Producer("Bash", {"command": "./x"})
TREE = "".join(
    f"100644 blob {number * 0x5BD1E9955BD1E995:032x}{number:08x}\t{number % 7:02x}/{number}/context.md\n"
    for number in range(1, 30)
)
ERROR = "ERROR: connect ECONNREFUSED 127.0.0.1:5432 (attempt failed, retrying in 5 seconds, see docs)"
RUSTC = "".join(
    f"error[E0599]: no method named `context` found\n   --> src/git.rs:{line}:35\n    |\n"
    f"{line} |         let output = cmd.output()\n{line + 1} |             .context(text)?;\n"
    f"{line + 2} |         done(output)\n    |         ^^^^ method not found\n\n"
    for line in range(104, 700, 31)
)


def test_a_first_row_like_all_others_names_no_columns() -> None:
    short = delimited(TREE)
    assert short is not None
    assert "29 TSV rows without header" in short
    assert inverses.delimited(short) == TREE


def test_a_first_row_with_a_value_that_comes_again_names_no_columns() -> None:
    rows = "running,alpha,eu-central\n" + "".join(f"running,host {n},eu-central\n" for n in range(40))
    short = delimited(rows)
    assert short is not None
    assert "41 CSV rows without header" in short
    assert inverses.delimited(short) == rows


def test_a_first_row_of_names_is_a_header() -> None:
    rows = "id,path,2024\n" + "".join(f"{n},/srv/{n}.txt,{n * 3}\n" for n in range(60))
    assert delimited(rows) is None or "without header" in str(delimited(rows))  # a year may be a name or a number
    named = rows.replace("2024", "size")
    assert "60 CSV rows: id,path" in str(delimited(named))


def test_equal_lines_are_counted_and_not_written_as_bare_rows() -> None:
    text = "\n".join([ERROR] * 60)
    kind = detect(text, UNKNOWN).kind
    done = run_chain(kind, text)
    assert done is not None
    assert done[0].split("\n") == [ERROR, " [the line above 59 more times]"]


def test_rows_that_differ_in_nothing_stay_as_they_are() -> None:
    rows = "host,state,zone\n" + "worker-1,running,eu-central\n" * 40 + "worker-2,stopped,eu-central\n"
    short = delimited(rows)
    assert short is None or ",\n,\n,\n" not in short


def test_findings_with_a_line_or_two_of_source_are_no_numbered_file() -> None:
    assert detect(RUSTC, UNKNOWN).kind is not Kind.NUMBERED
    done = run_chain(detect(RUSTC, UNKNOWN).kind, RUSTC)
    assert done is not None
    assert len(done[0]) < 0.8 * len(RUSTC)


def test_checksums_are_no_paths() -> None:
    sums = "".join(
        f"{number * 0x9E3779B97F4A7C15F39CC0605CEDC835:032x}"[-32:]
        + f"  /repository/datasette/views/{'abc'[number % 3] * 3}/file_{number}.py\n"
        for number in range(1, 40)
    )
    assert detect(sums, UNKNOWN).kind is not Kind.PATHS
    assert run_chain(detect(sums, UNKNOWN).kind, sums) is not None


def test_a_text_inside_json_keeps_the_order_of_its_keys() -> None:
    rows = [{"id": n, "state": "done" if n % 3 else "open", "owner": {"a": n, "b": "x"}} for n in range(30)]
    mixed = [dict(reversed(list(row.items()))) if n == 7 else row for n, row in enumerate(rows)]
    for values in (rows, mixed):
        text = json.dumps([{"type": "text", "text": json.dumps(values, indent=2)}])
        short = json_text(text)
        assert short is not None
        inner = inverses.json_sent(short)
        assert inner == inverses.json_values(text)
        assert list(json.loads(json.loads(text)[0]["text"])[7]) == list(values[7])
        table = "30 rows" in short
        assert table is (values is rows), "rows of another order are no table"

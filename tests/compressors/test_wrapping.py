import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.compressors.detect import Kind, detect
from proxy_pkg.compressors.table import reduce_and_run_chain, run_chain
from proxy_pkg.compressors.wrapping import HEAD_CHARS_MAX, TAIL_CHARS_MAX, unwrap
from proxy_pkg.model import Producer

SHELL = Producer("bash", {"command": "python list.py"})
OUTPUT = "[\n" + ",\n".join(f'  {{"id": {n}, "name": "item {n}"}}' for n in range(40)) + "\n]"
WARNING = "<warning>\nThe output of your last command was too long.\nTry head, tail or sed.\n</warning>"
REMINDER = "\n\n<system-reminder>\nBe careful.\n\nReally.\n</system-reminder>\n"
AROUND = {
    "tags": ("<returncode>0</returncode>\n<output>\n", "\n</output>"),
    "tags and a warning": (f"<returncode>1</returncode>\n{WARNING}<output>\n", "\n</output>\n"),
    "status lines": ("Exit code: 0\nWall time: 1.2 seconds\nTotal output lines: 300\nOutput:\n", ""),
    "a session": (
        "Chunk ID: 5e1f\nWall time: 0.05 seconds\nProcess exited with code 0\nOriginal token count: 9\nOutput:\n",
        "",
    ),
    "a session whose output was cut": (
        "Chunk ID: 5e1f\nWall time: 0.05 seconds\nProcess exited with code 0\nOriginal token count: 9000\nOutput:\n"
        "Warning: truncated output (original token count: 9000)\nTotal output lines: 82\n\n",
        "",
    ),
    "words around": (
        "Command: npm test\nDirectory: (root)\nOutput: ",
        "\nError: (none)\nExit Code: 0\nSignal: (none)\nBackground PIDs: (none)\nProcess Group PGID: 77",
    ),
    "what is not to be trusted": ("<untrusted_context>\n", "\n</untrusted_context>"),
    "words inside of that": (
        "<untrusted_context>\nOutput: ",
        "\nExit Code: 1\nProcess Group PGID: 77\n</untrusted_context>",
    ),
    "time alone": ("Wall time: 0.5 seconds\nOutput:\n", ""),
    "output on the same line": ("Output: ", "\nProcess Group PGID: 77"),
    "a failed command": ("Exit code 1\n", ""),
    "marks below": (
        "",
        "\n[The command completed with exit code 0.]\n[Current working directory: /srv/app]"
        "\n[Python interpreter: /usr/bin/python]\n[Command finished with exit code 0]",
    ),
    "a folder": ("", "\nShell cwd was reset to /srv/app"),
    "a reminder": ("", REMINDER),
    "two reminders and tags": ("<output>\n", f"\n</output>{REMINDER}{REMINDER}"),
}
EACH = pytest.mark.parametrize(("head", "tail"), AROUND.values(), ids=AROUND.keys())


@EACH
def test_what_stands_around_an_output_is_set_apart(head: str, tail: str) -> None:
    found = unwrap(head + OUTPUT + tail)
    assert (found.head, found.body, found.tail) == (head, OUTPUT, tail)


@EACH
def test_an_output_is_recognised_and_shortened_inside(head: str, tail: str) -> None:
    text = head + OUTPUT + tail
    assert detect(text, SHELL).kind == detect(OUTPUT, SHELL).kind == Kind.JSON
    inside, whole = run_chain(Kind.JSON, OUTPUT), run_chain(Kind.JSON, text)
    assert inside is not None
    assert whole is not None
    assert whole[0] == head + inside[0] + tail
    assert unwrap(whole[0]).body == inside[0]


LOG = "\n".join(f"2024-05-01 10:00:{n % 60:02} INFO app: request {n} took {n % 7} ms" for n in range(1200))


@EACH
def test_an_output_is_reduced_inside(head: str, tail: str) -> None:
    text = head + LOG + tail
    assert detect(text, SHELL).kind == Kind.LOG
    inside, whole = reduce_and_run_chain(Kind.LOG, LOG, ()), reduce_and_run_chain(Kind.LOG, text, ())
    assert inside is not None
    assert whole is not None
    assert whole == (head + inside[0] + tail, inside[1])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Output",
        "<outputs>\nx",
        "<project>\n<output>\nx\n</output>\n</project>",
        "Error: first line\nmore",
        "Command: a\nDirectory: b\nno output",
        "[Current working directory: /srv]\nx",
        "a\n</system-reminder>",
    ],
)
def test_other_texts_stay_whole(text: str) -> None:
    assert unwrap(text).body == text


PIECES = st.sampled_from(
    [*(part for pair in AROUND.values() for part in pair), "x\n", "\n", " ", "<output>", "</output>", "Output:\n"]
)


@given(st.lists(PIECES, max_size=8).map("".join))
@settings(max_examples=200, deadline=None)
def test_the_parts_joined_are_the_text(text: str) -> None:
    found = unwrap(text)
    assert found.head + found.body + found.tail == text


@pytest.mark.parametrize("piece", ["\n", "<output>", "</output>\n", "Output:\n", "\nError: x", "Exit code: 1\n"])
@pytest.mark.parametrize("more", ["<system-reminder>\n", "\n[Command finished with x]", "Command: a\n", " "])
def test_no_more_than_the_ends_of_a_text_is_looked_at(piece: str, more: str) -> None:
    found = unwrap((piece + more) * 20_000 + "x" + (more + piece) * 20_000)
    assert len(found.head) <= HEAD_CHARS_MAX
    assert len(found.tail) <= TAIL_CHARS_MAX


def test_an_output_in_a_json_object_is_treated_as_by_itself() -> None:
    read = "\n".join(f"{n:6}\tvalue_{n} = {n}" for n in range(1, 60))
    text = json.dumps({"output": read, "metadata": {"exit_code": 0}})
    producer = Producer("shell", {"command": ["bash", "-lc", "cat -n a.py"]})
    assert detect(text, producer).kind == Kind.NUMBERED
    alone, within = run_chain(Kind.NUMBERED, read), run_chain(Kind.NUMBERED, text)
    assert alone is not None
    assert within is not None
    assert within[0] == json.dumps({"output": alone[0], "metadata": {"exit_code": 0}})
    assert run_chain(Kind.NUMBERED, text.replace("value", "\\u0076alue")) is None

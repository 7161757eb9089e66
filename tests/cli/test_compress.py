"""`proxyctl compress`: the decisions of the server, told offline."""

import gzip
import json
import random
import zlib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from proxy_pkg.cli.compress import app

READ = "\n".join(f"{number:6}→    value_{number} = compute({number}, mode='fast')" for number in range(1, 80))


def run(*arguments: str, text: bytes = b"") -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(arguments), input=text)
    return result.exit_code, result.stdout, result.stderr


def body_file(folder: Path) -> Path:
    call = {"type": "tool_use", "id": "t1", "name": "Read", "input": {"file_path": "a.py"}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": READ}
    messages = [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    path = folder / "body.json"
    path.write_text(json.dumps({"model": "m", "messages": messages}))
    return path


def test_a_binary_file_and_a_wrong_path_are_told_in_one_line(proxyctl, tmp_path: Path) -> None:
    binary = tmp_path / "image.png"
    binary.write_bytes(b"\x89PNG\0\0")
    text = tmp_path / "a.txt"
    text.write_text("plain")
    for arguments, said in (
        ((str(binary),), "is a binary file"),
        ((str(tmp_path),), "cannot be read"),
        ((str(text), "--output", str(tmp_path / "no" / "file")), "cannot be written"),
    ):
        result = proxyctl("compress", *arguments)
        assert (result.exit_code, said in result.stderr, result.stderr.count("\n")) == (1, True, 1)


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(b"x" * 5000, mtime=0),
        zlib.compress(bytes(range(256)) * 40).replace(b"\0", b"\x01"),
        b"%PDF-1.7\n1 obj",
        random.Random(7).randbytes(4000).replace(b"\0", b"\x01"),
        b"\xff\xd8\xff\xe0\x10JFIF",
    ],
    ids=["gzip", "zlib", "pdf", "noise", "jpeg"],
)
@pytest.mark.parametrize("by_name", [True, False])
def test_binary_input_is_refused_by_more_than_a_zero_byte(data: bytes, by_name: bool, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    code, out, err = run(str(path) if by_name else "-", text=data)
    assert (code, out) == (1, "")
    assert err.startswith(f"problem: {path if by_name else 'standard input'} is a binary file (")
    assert run("-", "--raw", text=data)[0] == 0


@pytest.mark.parametrize(
    "text",
    [
        b"",
        "Grüße, naïve café ".encode("latin-1") * 50,
        "日本語のテキスト\n".encode("shift_jis") * 50,
        b"\x1b[31mred\x1b[0m\r\n\x07\x08ok\n" * 40,
        "half a character: ü".encode()[:-1],
        b"form\x0cfeed and one stray \x01 byte in a long line of text, as logs have them\n" * 5,
        b"GIF87 is a format\n",
        b"PK is a bank\n",
    ],
)
def test_odd_text_is_no_binary_file(text: bytes) -> None:
    code, _, err = run("-", "--tool", "Bash", text=text)
    assert (code, err) == (0, "")


def test_a_pipe_without_end_is_not_read_without_end(proxyctl) -> None:
    result = proxyctl("compress", "/dev/zero", "--body-bytes-max", "1MiB")
    assert result.exit_code == 1
    assert "is longer than 1MiB (HEADROOM_BODY_BYTES_MAX)" in result.stderr


def test_a_tool_output_is_followed_by_what_would_be_sent() -> None:
    code, out, _ = run("-", "--tool", "Read", text=READ.encode())
    assert code == 0
    assert "numbered (invertible): smaller" in out
    _, sent = out.split("--- what would be sent:\n")
    assert "value_79 = compute(79, mode='fast')" in sent
    assert len(sent) < len(READ)


def test_a_request_body_is_told_span_by_span(tmp_path: Path) -> None:
    sent = tmp_path / "sent.json"
    code, out, _ = run(str(body_file(tmp_path)), "--output", str(sent))
    assert code == 0
    assert "Read: numbered" in out
    assert out.rstrip().splitlines()[-1].startswith("anthropic_messages body: 1 texts")
    assert json.loads(sent.read_bytes())["messages"][1]["content"][0]["content"] != READ


def test_json_says_the_same_for_programs(tmp_path: Path) -> None:
    code, out, _ = run(str(body_file(tmp_path)), "--json")
    assert code == 0
    [span] = json.loads(out)["spans"]
    assert (span["kind"], span["compressed"], span["reason"], span["tool"]) == ("numbered", True, "smaller", "Read")
    assert span["tokens_after"] < span["tokens_before"]


def test_a_body_that_is_no_request_is_a_tool_output() -> None:
    code, out, _ = run("-", text=b'{"messages": "broken')
    assert code == 0
    assert "tool output: 1 texts" in out


def test_bytes_that_are_no_text_come_back_as_they_went_in(tmp_path: Path) -> None:
    sent = tmp_path / "sent"
    data = bytes(range(256)) * 4
    code, _, _ = run("-", "--raw", "--output", str(sent), text=data)
    assert code == 0
    assert sent.read_bytes() == data


def test_errors_say_what_to_do(tmp_path: Path) -> None:
    assert run(str(tmp_path / "nothing"))[0] == 1
    code, _, err = run("-", "--protocol", "soap", text=b"{}")
    assert code == 1
    assert "anthropic_messages" in err
    code, _, err = run("-", "--protocol", "openai_chat", text=b'{"messages": 1}')
    assert code == 1
    assert "goes through as it came" in err


def test_an_unknown_level_is_refused() -> None:
    code, _, error = run("-", "--level", "total", text=b"x")
    assert code != 0
    assert "--level total is not known" in error


def test_balanced_may_leave_lines_out_and_lossless_never_does() -> None:
    log = "".join(f"2024-05-01 10:00:{n % 60:02d} INFO app: item {n} done in {n % 7} ms\n" for n in range(4000))
    _, lossless, _ = run("-", "--command", "make", "--level", "lossless", "--json", text=log.encode())
    _, balanced, _ = run("-", "--command", "make", "--level", "balanced", "--json", text=log.encode())
    assert json.loads(balanced)["tokens_after"] < json.loads(lossless)["tokens_after"]
    assert "left out" in json.loads(balanced)["spans"][0]["sent"]
    assert "left out" not in json.loads(lossless)["spans"][0]["sent"]

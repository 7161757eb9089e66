"""One line for each request, whatever it held: a path cannot forge a line, and a line tells what happened."""

import asyncio
import re
import shlex

import msgspec
import pytest

from proxy_pkg.stats.record import RequestRecord
from proxy_pkg.telemetry.outcome import Ended
from proxy_pkg.web.middleware.access_log import AccessLog


async def logged(form: str, path: str, record: RequestRecord | None = None, problem: str = "") -> bytes:
    lines: list[bytes] = []
    log = AccessLog(form, lines.append)
    log.add(Ended("hr_1", "POST", path, 200, record or RequestRecord(), problem, 1234.5678, 2_500_000))
    log.flush()
    return b"".join(lines)


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize(
    "path", ["/v1/\nforged level=error", "/v1/\r\n\x1b[31m", "/v1/\x85\u2028x", "/v1/é 🙂", '/v1/"x"']
)
async def test_a_path_stays_on_its_line(form: str, path: str) -> None:
    line = await logged(form, path)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert form == "json" or len(line.decode().splitlines()) == 1
    assert b"\x1b" not in line


CANARIES = "\x00\x07\t\x1b[31m\r\x7f\x85\x9b\u2028\u2029\u202e\ufeff\nforged"
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")


@pytest.mark.parametrize("form", ["json", "text"])
async def test_no_control_letter_reaches_a_line_raw_whatever_field_has_it(form: str) -> None:
    record = RequestRecord(
        protocol=CANARIES,
        outcome=CANARIES,
        client=CANARIES,
        decision=CANARIES,
        decision_reason=CANARIES,
        tokens_before=1,
    )
    lines: list[bytes] = []
    log = AccessLog(form, lines.append)
    log.add(Ended(CANARIES, CANARIES, "/v1/" + CANARIES, 200, record, CANARIES, 1234.5678, 1))
    log.flush()
    text = b"".join(lines).decode().removesuffix("\n")
    assert text.count("forged") == 9
    assert not CONTROL.search(text)
    if form == "json":
        assert msgspec.json.decode(text)["problem"] == CANARIES


async def test_a_text_line_keeps_words_apart_from_fields() -> None:
    line = (await logged("text", "/v1/x outcome=forged", problem="it broke")).decode()
    words = shlex.split(line)
    assert [word for word in words if word.startswith("outcome=")] == ["outcome=relayed"]
    assert "problem=it broke" in words
    assert "path=/v1/x outcome=forged" in words


async def test_a_line_tells_what_became_of_the_request() -> None:
    record = RequestRecord(
        protocol="openai_chat", outcome="failed", decision="rewritten", decision_reason="smaller", tokens_before=9
    )
    fields = msgspec.json.decode(await logged("json", "/v1/chat/completions", record, "the upstream closed"))
    assert fields["level"] == "warning"
    assert (fields["time"], fields["ms"]) == ("1970-01-01T00:20:34.567Z", 2.5)
    assert (fields["id"], fields["status"], fields["path"]) == ("hr_1", 200, "/v1/chat/completions")
    assert (fields["decision"], fields["reason"], fields["tokens_before"]) == ("rewritten", "smaller", 9)
    assert fields["problem"] == "the upstream closed"


async def test_lines_are_written_together_and_none_is_forgotten() -> None:
    writes: list[bytes] = []
    log = AccessLog("json", writes.append)
    for _ in range(300):
        log.add(Ended("hr_1", "GET", "/", 200, RequestRecord(), "", 1.0, 0))
    assert [data.count(b"\n") for data in writes] == [64] * 4
    await asyncio.sleep(0)
    log.flush()
    log.flush()
    assert sum(data.count(b"\n") for data in writes) == 300
    assert len(writes) == 5


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/v1/messages", "/v1/messages"),
        ("/v1/responses/resp_68a1b2c3d4e5f60718293a4b", "/v1/responses/resp_68a1b2c3d4e5f60718293a4b"),
        ("/model/us.anthropic.claude-sonnet-4-5-20250929-v1:0/invoke",) * 2,
        ("/v1/projects/sk-learn/models",) * 2,
        ("/v1beta/models/m:generateContent?key=AIzaSecret", "/v1beta/models/m:generateContent"),
        ("/v1/models;key=secret", "/v1/models"),
        ("/v1/models&key=secret", "/v1/models"),
        ("/v1/Bearer secret/messages", "/v1/***/messages"),
        ("/sk-ant-api03-secret/v1/messages", "/***/v1/messages"),
        ("/x/AIzaSySecret", "/x/***"),
        ("/v1/key=secret/x", "/v1/***/x"),
        ("http://user:secret@host/v1/messages", "http://***host/v1/messages"),
        ("/" + "a" * 70_000, "/" + "a" * 255 + "..."),
    ],
)
async def test_a_path_shows_no_credential_and_is_not_too_long(path: str, shown: str) -> None:
    assert msgspec.json.decode(await logged("json", path))["path"] == shown


async def test_what_cannot_be_encoded_takes_no_other_line_with_it() -> None:
    assert msgspec.json.decode(await logged("json", "/v1/\ud83d", problem="lone \udcff"))["problem"] == "lone ?"

"""Coded request bodies through the real server: rewritten in their own coding, or sent on as they came."""

import gzip
import zlib
from collections.abc import Iterator

import msgspec
import pytest

from bench.processes import Server
from proxy_pkg.wire.encoding import decode, encode
from tests.fakes.client import Answer, ask
from tests.fakes.scripts import reply
from tests.fakes.upstream import Upstream
from tests.system.conftest import starting

MIB = 1 << 20
NUMBERED = "\n".join(f"{n:6}→    total_{n % 7} = read_part({n}) + total_{n % 5}" for n in range(1, 90))
CODINGS = ["gzip", "x-gzip", "deflate", "br", "zstd", "gzip, zstd", "deflate,br", "GZIP"]


@pytest.fixture(scope="module")
def place(upstream_of_module: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with starting(upstream_of_module.url, tmp_path_factory.mktemp("server")) as start:
        yield start(HEADROOM_WORKERS="1", HEADROOM_BODY_BYTES_MAX=str(8 * MIB))


@pytest.fixture(autouse=True)
def _plain_answers(upstream: Upstream) -> None:
    upstream.answer = lambda _: reply()


def body_of(output: str, filler: str = "") -> bytes:
    items = [{"type": "function_call_output", "call_id": "c", "output": output}]
    return msgspec.json.encode({"model": "gpt-5", "input": items, "filler": filler})


def post(place: Server, body: bytes, coding: str) -> Answer:
    headers = ((b"content-type", b"application/json"), (b"content-encoding", coding.encode()))
    return ask(place.port, "POST", "/v1/responses", headers, body)


@pytest.mark.parametrize("filler", ["", "x" * 300_000])
@pytest.mark.parametrize("coding", CODINGS)
def test_a_coded_body_shrinks_as_a_plain_one_does(coding: str, filler: str, place: Server, upstream: Upstream) -> None:
    body = body_of(NUMBERED, filler)
    assert post(place, body, "identity").status == 200
    answer = post(place, encode(body, coding), coding)
    plain, coded = upstream.requests[-2:]
    assert len(plain.body) < len(body)
    assert coded.header("content-encoding") == coding
    assert coded.header("content-length") == str(len(coded.body))
    assert decode(coded.body, coding, MIB) == plain.body
    assert answer.header("x-headroom-decision") == "rewritten; reason=smaller"


@pytest.mark.parametrize("coding", CODINGS)
def test_an_unchanged_body_goes_up_in_the_bytes_that_came(coding: str, place: Server, upstream: Upstream) -> None:
    # At another level than ours, so that coding it again would show.
    coded = gzip.compress(body_of("short"), 9) if coding == "gzip" else encode(body_of("short"), coding)
    answer = post(place, coded, coding)
    assert upstream.requests[-1].body == coded
    assert upstream.requests[-1].header("content-encoding") == coding
    assert answer.header("x-headroom-decision") == "passthrough; reason=nothing_to_change"


GOOD = gzip.compress(body_of(NUMBERED), mtime=0)


@pytest.mark.parametrize(
    ("coded", "coding", "reason"),
    [
        (GOOD, "aws-chunked", "coding_unknown"),
        (GOOD, "gzip, gzip, gzip, gzip", "coding_unknown"),
        (GOOD[:-1], "gzip", "coding_corrupt"),
        (GOOD + b"x", "gzip", "coding_corrupt"),
        (GOOD, "zstd", "coding_corrupt"),
        (body_of(NUMBERED), "gzip", "coding_corrupt"),
        (zlib.compress(bytes(9 * MIB)), "deflate", "decoded_too_large"),
        (b"\x00\xff" * 50_000, "br", "coding_corrupt"),
        (gzip.compress(b'no JSON "tool_call "x_call"', mtime=0), "gzip", "broken_json"),
    ],
)
def test_what_cannot_be_read_is_the_providers_to_judge(
    coded: bytes, coding: str, reason: str, place: Server, upstream: Upstream
) -> None:
    answer = post(place, coded, coding)
    assert answer.status == 200
    assert upstream.requests[-1].body == coded
    assert upstream.requests[-1].header("content-encoding") == coding
    assert answer.header("x-headroom-decision") == f"passthrough; reason={reason}"


def test_two_header_lines_are_one_list(place: Server, upstream: Upstream) -> None:
    headers = ((b"content-encoding", b"gzip"), (b"content-encoding", b"zstd"))
    ask(place.port, "POST", "/v1/responses", headers, encode(body_of(NUMBERED), "gzip, zstd"))
    got = upstream.requests[-1]
    assert got.header("content-encoding") == "gzip, zstd"
    assert len(decode(got.body, "gzip, zstd", MIB)) < len(body_of(NUMBERED))


def test_a_small_bomb_neither_stops_nor_swells_the_worker(place: Server, upstream: Upstream) -> None:
    [worker] = place.worker_pids
    post(place, GOOD, "gzip")
    before = peak_kib(worker)
    bomb = encode(bytes(200 * MIB), "gzip, gzip")
    assert post(place, bomb, "gzip, gzip").header("x-headroom-decision") == "passthrough; reason=decoded_too_large"
    assert upstream.requests[-1].body == bomb
    assert peak_kib(worker) - before < 24 * 1024


def peak_kib(pid: int) -> int:
    with open(f"/proc/{pid}/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

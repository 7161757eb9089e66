"""Content codings beside the loop: bodies take turns, what is late goes through, and what grows is held."""

import asyncio
import gzip
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from proxy_pkg.errors import RefusedError
from proxy_pkg.web.coding import Coder
from proxy_pkg.wire.encoding import LateCodingError, Steps, decode, decoding, encode, encoding
from tests.fakes.client import ask
from tests.fakes.scripts import reply
from tests.fakes.upstream import Upstream
from tests.system.conftest import starting

MIB = 1 << 20
LONG_MS = 60_000
NUMBERS = b"\n".join(b"%d" % number for number in range(3_000_000))
CODINGS = ["gzip", "deflate", "br", "zstd", "gzip, zstd"]


@pytest.fixture
def coder() -> Iterator[Coder]:
    coder = Coder(LONG_MS)
    yield coder
    coder.close()


@pytest.mark.parametrize("coding", CODINGS)
async def test_turns_come_to_what_one_call_does(coding: str, coder: Coder) -> None:
    plain = NUMBERS[: 4 * MIB]
    coded = await coder.encoded(encoding(plain, coding))
    assert coded == encode(plain, coding)
    held = [0]
    assert await coder.decoded(decoding(coded, coding, 8 * MIB), lambda more: held.append(held[-1] + more)) == plain
    assert held[-1] == len(plain)


def test_a_zstd_frame_says_its_size() -> None:
    """Readers that decode in one call refuse a frame that does not: its second byte holds the flags for it."""
    assert encode(bytes(100_000), "zstd")[4] >> 6


async def test_a_short_body_does_not_wait_for_the_long_ones(coder: Coder) -> None:
    ended: list[str] = []

    async def one(name: str, body: bytes) -> None:
        await coder.decoded(decoding(body, "gzip", 256 * MIB), lambda _: None)
        ended.append(name)

    bomb = gzip.compress(NUMBERS, 1)
    bombs = [asyncio.create_task(one("bomb", bomb)) for _ in range(4)]
    await asyncio.sleep(0)
    await one("short", gzip.compress(NUMBERS[:300_000]))
    assert ended == ["short"]
    await asyncio.gather(*bombs)


def endless() -> Steps:
    size = 0
    while True:
        size += MIB
        yield size


async def test_what_is_late_is_given_up_and_what_it_held_too() -> None:
    coder, held = Coder(deadline_ms=20), [0]
    with pytest.raises(LateCodingError):
        await coder.decoded(endless(), lambda more: held.append(held[-1] + more))
    assert max(held) > 0 == held[-1]
    coder.close()


async def test_a_body_that_finds_no_room_stops_growing(coder: Coder) -> None:
    held = [0]

    def hold(more: int) -> None:
        if held[-1] + more > 8 * MIB:
            raise RefusedError("no room", "overloaded", 503)
        held.append(held[-1] + more)

    with pytest.raises(RefusedError):
        await coder.decoded(decoding(gzip.compress(NUMBERS, 1), "gzip", 256 * MIB), hold)
    assert max(held) > 0 == held[-1]


async def test_without_a_thread_the_loop_takes_the_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_thread(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(ThreadPoolExecutor, "submit", no_thread)
    coder = Coder(LONG_MS)
    plain = b"x" * MIB
    assert await coder.decoded(decoding(encode(plain, "br"), "br", 8 * MIB), lambda _: None) == plain


def test_a_body_that_is_decoded_too_late_goes_up_as_it_came(
    upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> None:
    upstream.answer = lambda _: reply()
    text = "".join(f"line {n}: {n * n}\n" for n in range(1_500_000))
    body = gzip.compress(msgspec.json.encode({"model": "gpt-5", "input": [], "x": text}), 1)
    with starting(upstream.url, tmp_path_factory.mktemp("server")) as start:
        place = start(HEADROOM_WORKERS="1", HEADROOM_COMPRESSION_DEADLINE_MS="1")
        headers = ((b"content-type", b"application/json"), (b"content-encoding", b"gzip"))
        answer = ask(place.port, "POST", "/v1/responses", headers, body)
    assert answer.header("x-headroom-decision") == "passthrough; reason=coding_late"
    assert upstream.requests[-1].body == body
    assert len(decode(body, "gzip", 64 * MIB)) > 16 * MIB

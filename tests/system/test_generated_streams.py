"""Generated streams over real sockets: the upstream gets the requests that h11 reads, in order, or fewer; never others.

`make fuzz-framing` runs many more of them without sockets (bench/framing.py).
"""

import pytest

from bench.framing import Ours, read_by_h11
from bench.framing_streams import Stream, stream
from bench.processes import Server
from proxy_pkg.protocols.addresses import tidy
from tests.fakes.client import Caller
from tests.fakes.upstream import Upstream

STREAMS = 250
KNOWN = ("/v1/messages", "/v1/models?a=1&b=2", "/v1/files/a;b=c", "/v1/models?x=1", "/v1/files")
"""Of the targets of the generator, those that are sent on."""


async def playable(first_seed: int) -> list[tuple[Stream, int | None]]:
    """Streams that come to an end by themselves, with the number of their answers; None where ours closes."""
    ours, found, seed = Ours(), [], first_seed
    while len(found) < STREAMS:
        given = stream(seed)
        seed += 1
        if b"websocket" in given.data.lower() or not given.reads_body:
            continue
        reading = await ours.read(given)
        if reading.refused or (reading.requests and all(seen.complete for seen in reading.requests)):
            found.append((given, None if reading.refused else len(reading.requests)))
    return found


@pytest.mark.parametrize("first_seed", [1_000_000, 2_000_000])
async def test_the_upstream_gets_the_requests_of_the_reference_and_no_others(
    first_seed: int, shared_server: Server, upstream: Upstream
) -> None:
    whole = 0
    for given, answers in await playable(first_seed):
        reference = [seen for seen in read_by_h11(given.data).requests if seen.complete]
        upstream.requests.clear()
        play(given, answers, [seen.method.decode() for seen in reference], shared_server)
        expected = [(tidy(seen.target.decode()), seen.body) for seen in reference]
        got = [(request.target, request.body) for request in upstream.requests if request.complete]
        rest = iter(expected)
        assert all(pair in rest for pair in got), f"seed {given.seed}: {given.data!r}: {got}"
        if given.proper and answers is not None:
            sent_on = [pair for pair in expected if pair[0] in KNOWN]
            assert got == sent_on, f"seed {given.seed}: {given.data!r}"
        whole += len(got)
    assert whole > STREAMS // 2


def play(given: Stream, answers: int | None, methods: list[str], server: Server) -> None:
    """Write the stream in its pieces and take the answers, all of them or until the connection ends."""
    with Caller(server.port) as caller:
        try:
            for piece in given.pieces:
                caller.write(piece)
        except ConnectionError:
            pass  # refused before all of it was written
        for method in methods[:answers]:
            if not caller.answer(method).status:
                return
        while answers is None and caller.more():
            pass

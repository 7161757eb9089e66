"""What accounting costs: the CPU time of everything that is done for figures, for one request, threads included.

Counting the request, keeping the parts of its answer, reading its usage, its price and saving, the conversation's
last turn, counting these, and the bodies that are counted whole for the calibration.
"""

import asyncio
import gc
from collections.abc import Callable, Sequence
from time import process_time

import msgspec

from bench.figures import Figure, figure
from proxy_pkg.billing.accounts import Accounts, Answer
from proxy_pkg.billing.models import asked_in, label
from proxy_pkg.billing.usage import Copy
from proxy_pkg.prices.table import load
from proxy_pkg.protocols.anthropic import MESSAGES
from proxy_pkg.server.worker import YOUNG_OBJECTS
from proxy_pkg.stats.counters import private_counters
from proxy_pkg.stats.record import RequestRecord
from proxy_pkg.store.turns import Turns
from proxy_pkg.tokens import count

ROUNDS, REQUESTS = 15, 1024
CONVERSATIONS = 40
BODY_CHARS = 120_000
BAR_MICROSECONDS = 60.0
_USAGE = {"input_tokens": 4, "cache_read_input_tokens": 30_000, "cache_creation_input_tokens": 900, "output_tokens": 7}
_BODY = msgspec.json.encode(
    {
        "model": "claude-sonnet-4-5",
        "messages": [{"role": "user", "content": "def total(values): return sum(values)\n" * (BODY_CHARS // 38)}],
    }
)
_WHOLE = msgspec.json.encode(
    {"id": "m", "model": "claude-sonnet-4-5", "content": [{"text": "x" * 900}], "usage": _USAGE}
)
_STREAM = (
    b'data: {"type":"message_start","message":{"model":"claude-sonnet-4-5","id":"m","usage":'
    + msgspec.json.encode(_USAGE)
    + b"}}\n\n",
    *(b'data: {"type":"content_block_delta","index":0,"delta":{"text":"%d words"}}\n\n' % n for n in range(200)),
    b'data: {"type":"message_delta","usage":{"output_tokens":77}}\n\n',
)


def accounting(names: tuple[str, ...], say: Callable[[str], None]) -> list[Figure]:
    """Microseconds for a request with a JSON answer, and for one with a stream of some 200 chunks.

    The cycle collector passes over what is loaded, and comes as often, as it does in a worker.
    """
    count.load()
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
    return [
        figure("accounting, JSON answer", "ours", asyncio.run(_samples((_WHOLE,))), "us", BAR_MICROSECONDS),
        figure("accounting, 202 chunks", "ours", asyncio.run(_samples(_STREAM)), "us", BAR_MICROSECONDS),
    ]


async def _samples(chunks: Sequence[bytes]) -> list[float]:
    counters = private_counters()
    accounts = Accounts(counters, load(), Turns(), count.load(), 300)
    samples = []
    for _ in range(ROUNDS):
        began = process_time()
        for number in range(REQUESTS):
            model = asked_in(_BODY)
            record = RequestRecord(
                protocol=MESSAGES.name,
                model=label(model),
                decision="rewritten",
                tokens_before=9000,
                tokens_after=7000,
            )
            copy, relayed_bytes = Copy(), 0
            for chunk in chunks:  # as the exchange does
                relayed_bytes += len(chunk)
                copy.parts.append(chunk)
                if relayed_bytes > copy.cut_at_bytes:
                    copy.cut(relayed_bytes)
            record.response_bytes = relayed_bytes
            counters.finished(record)
            accounts.settle(_answer(copy, model, number % CONVERSATIONS))
            if number % 16 == 0:
                await asyncio.sleep(0)  # so that what the thread has done is taken in
        while accounts.is_busy:
            await asyncio.sleep(0.001)
        samples.append((process_time() - began) / REQUESTS * 1e6)
    await accounts.close()
    counters.close()
    return samples


def _answer(copy: Copy, model: str, number: int) -> Answer:
    return Answer(
        protocol=MESSAGES,
        copy=copy,
        sent=_BODY,
        model=model,
        headers=[(b"x-api-key", b"k")],
        opening=number.to_bytes(16, "little"),
        arm="compressed",
        saved=2000,
    )

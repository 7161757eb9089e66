"""The Redis that servers share: can it be reached and used, how fast is it, does it keep what it is given."""

import importlib
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from proxy_pkg.cli.checkups.finding import Finding, ok, problem, warning
from proxy_pkg.config.settings import Settings
from proxy_pkg.server.preflight import redis_usable
from proxy_pkg.store.address import Address, parse
from proxy_pkg.store.contract import Rate, StoreError

SKEW_SECONDS_MAX: Final = 5
CALL_MS: Final = 2000
"""The time limit of each call here, longer than that of a server."""
SAMPLES: Final = 5
_SUBJECT: Final = "Redis"
_HERE: Final = frozenset(("localhost", "127.0.0.1", "::1"))


class RedisFacts(Struct, frozen=True):
    """What a Redis tells about itself. `evicts` is its policy where it may drop keys, else empty; skew is how far its
    clock is ahead of ours.
    """

    version: str
    evicts: str
    latency_ms: float
    skew_seconds: float


async def examined(settings: Settings) -> list[Finding]:
    """All of it; nothing where no Redis is set, or none can be used, which the check of the configuration tells."""
    if not settings.redis_url or redis_usable(settings).problems:
        return []
    address = parse(settings.redis_url)
    found = list(exposure(address))
    clients, engine = (importlib.import_module(f"proxy_pkg.store.{name}") for name in ("redis_client", "redis"))
    errors = importlib.import_module("redis.exceptions")
    client = clients.connect(address, CALL_MS / 1000)
    store = engine.Redis(client, settings.redis_key_prefix, CALL_MS)
    try:
        facts = await _facts_of(client)
        found += judged(facts, settings.redis_timeout_ms)
        await store.acquire([Rate("doctor", 1, 0, 1)])
        found.append(ok(_SUBJECT, f"takes our scripts, for keys that begin with {settings.redis_key_prefix}"))
    except (errors.AuthenticationError, errors.AuthorizationError, errors.NoPermissionError) as error:
        advice = "put a user and password that it knows into HEADROOM_REDIS_URL: redis://user:password@host"
        found.append(problem(_SUBJECT, f"does not let us in: {error}", advice))
    except (errors.RedisError, OSError, TimeoutError) as error:
        advice = "check that it runs, HEADROOM_REDIS_URL, the firewall, and TLS on both sides (rediss://)"
        found.append(problem(_SUBJECT, f"cannot be reached: {str(error) or type(error).__name__}", advice))
    except StoreError as error:
        advice = "its user needs EVAL, EVALSHA and writing; a replica, or a Cluster without all slots, takes no writes"
        found.append(problem(_SUBJECT, f"answers, but does not do what is asked: {error}", advice))
    finally:
        await store.close()
    return found


def exposure(address: Address) -> Iterator[Finding]:
    """Whether others on the way could read along."""
    far = [host for host, _ in address.hosts if host not in _HERE]
    if far and not address.tls:
        text = f"names of callers and counts go to {', '.join(far)} in plain text"
        yield warning(_SUBJECT, text, "use rediss://, unless the network between is yours alone")


def judged(facts: RedisFacts, timeout_ms: int) -> Iterator[Finding]:
    """What its answers mean for limits and budgets."""
    latency = f"version {facts.version} answers in {facts.latency_ms:.1f} ms"
    if facts.latency_ms > timeout_ms / 2:
        advice = "raise HEADROOM_REDIS_TIMEOUT_MS, or bring it nearer: calls that are late count as lost"
        yield warning(_SUBJECT, f"{latency}, and {timeout_ms} ms are all it gets", advice)
    else:
        yield ok(_SUBJECT, f"{latency}; the limit is {timeout_ms} ms")
    if facts.evicts:
        text = f"drops keys when it is full ({facts.evicts}): limits and budgets would begin anew"
        yield warning(_SUBJECT, text, "CONFIG SET maxmemory-policy noeviction, on a Redis of our own")
    if abs(facts.skew_seconds) > SKEW_SECONDS_MAX:
        text = f"its clock is {facts.skew_seconds:.0f} seconds ahead of ours"
        yield warning("clock", text, "set both clocks: each day's budget begins at midnight, as this machine has it")
    else:
        yield ok("clock", "that of Redis and ours agree")


async def _facts_of(client: Any) -> RedisFacts:
    latencies = [await _milliseconds(client.ping) for _ in range(SAMPLES)]
    info: Mapping[str, Any] = _of_one(await client.execute_command("INFO"), "redis_version")
    asked = time.time()
    seconds, micros = await _time(client)
    skew = seconds + micros / 1e6 - (asked + time.time()) / 2
    policy = str(info.get("maxmemory_policy", "noeviction"))
    is_bounded = int(info.get("maxmemory", 0)) > 0
    version = str(info.get("valkey_version") or info.get("redis_version") or "unknown")
    evicts = policy if is_bounded and policy != "noeviction" else ""
    return RedisFacts(version, evicts, statistics.median(latencies), skew)


async def _time(client: Any) -> tuple[int, int]:
    answer = await client.execute_command("TIME")
    seconds, micros = next(iter(answer.values())) if isinstance(answer, dict) else answer
    return int(seconds), int(micros)


def _of_one(answer: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """One node's answer: a Cluster may give those of all, by their names."""
    if key in answer:
        return answer
    return next((each for each in answer.values() if isinstance(each, dict)), answer)


async def _milliseconds(call: Callable[[], Awaitable[Any]]) -> float:
    began = time.perf_counter()
    await call()
    return (time.perf_counter() - began) * 1000

"""The store of one worker, from what the settings say."""

import importlib
import logging
from typing import Any, Final

from msgspec import Struct

from proxy_pkg.store.address import parse
from proxy_pkg.store.contract import Store
from proxy_pkg.store.embedded import Embedded
from proxy_pkg.store.fallback import Fallback, Lost

_NEEDED: Final = ("proxy_pkg.store.redis_client", "proxy_pkg.store.redis")

logger = logging.getLogger("proxy_pkg")


class StoreOptions(Struct, frozen=True):
    """`state_dir` may be empty: then each worker is by itself. `redis_url` may be empty: then there is no fleet."""

    state_dir: str
    values_bytes_max: int
    redis_url: str = ""
    redis_key_prefix: str = "headroom:"
    redis_timeout_ms: int = 100
    servers: int = 1
    redis_connect_seconds: float = 5.0


def open_store(options: StoreOptions, lost: Lost) -> tuple[Fallback, str]:
    """Open the store, inside the running loop; and a sentence where something of it cannot be had, for people.

    Nothing is connected here: the first call does it. Without the `redis` extra a URL leaves this machine by itself.
    """
    local = Embedded(options.state_dir, options.values_bytes_max)
    problems = [local.problem]
    shared: Store | None = None
    if options.redis_url:
        try:
            shared = _open_shared(options)
        except ImportError:
            problems.append("redis_url is set, but its extra is missing: `make extras` in the checkout installs it")
        except (ValueError, OSError) as error:
            problems.append(f"redis_url cannot be used: {error}")
    return Fallback(local, shared, options.servers, lost, local.scope), "; ".join(filter(None, problems))


def _open_shared(options: StoreOptions) -> Store:
    # Loaded by name, so that nothing of it is imported where no Redis is asked for.
    clients, engine = (importlib.import_module(name) for name in _NEEDED)
    address = parse(options.redis_url)
    client: Any = clients.connect(address, options.redis_connect_seconds)
    store: Store = engine.Redis(
        client, options.redis_key_prefix, options.redis_timeout_ms, options.redis_connect_seconds, address.shown
    )
    return store

"""From the address of a Redis to a client of it. Needs the `redis` extra; `opening` loads this only if a URL is set."""

from typing import Any, Final

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from proxy_pkg.store.address import Address
from proxy_pkg.store.connections import CONNECTIONS_MAX, patient

_RESP = 2
"""The protocol's version: nothing of the third is used, and this one needs no handshake for it."""


def connect(address: Address, connect_seconds: float) -> Any:
    """A client that connects when it is first used, never tries twice by itself, and returns bytes.

    `connect_seconds` is the limit for all that connecting takes. A call has no limit here: its caller sets one, and
    may leave while a connection is being made.
    """
    client = _CLIENTS[address.kind](address, _connection(address, connect_seconds))
    if pool := getattr(client, "connection_pool", None):
        pool.connection_class = patient(pool.connection_class)
        manager = getattr(pool, "sentinel_manager", None)
        for sentinel in manager.sentinels if manager else ():
            sentinel.connection_pool.connection_class = patient(sentinel.connection_pool.connection_class)
    else:
        _of_nodes(client)
    return client


def _of_nodes(cluster: Any) -> None:
    """The same for the nodes of a Cluster, those that are named and those that it finds."""
    kind = patient(cluster.connection_kwargs["connection_class"])
    for options in (cluster.connection_kwargs, cluster.nodes_manager.connection_kwargs):
        options["connection_class"] = kind
    for node in cluster.nodes_manager.startup_nodes.values():
        node.connection_class = kind


async def close(client: Any) -> None:
    """Close a client of `connect`, and those of the Sentinels that it asks, which it would leave open."""
    await client.aclose()
    manager = getattr(getattr(client, "connection_pool", None), "sentinel_manager", None)
    for sentinel in manager.sentinels if manager else ():
        await sentinel.aclose()


def _connection(address: Address, connect_seconds: float) -> dict[str, Any]:
    given = {"username": address.username or None, "password": address.password or None}
    wait = {"socket_timeout": connect_seconds, "socket_connect_timeout": connect_seconds}
    tls = {name: value for name, value in address.options.items() if name.startswith("ssl_")} if address.tls else {}
    if "ssl_check_hostname" in tls:
        tls["ssl_check_hostname"] = tls["ssl_check_hostname"].lower() not in ("0", "no", "false", "off")  # type: ignore[assignment]
    # Telling Redis the name of this library would take two answers more on each new connection.
    return {**given, **wait, **tls, "ssl": address.tls, "protocol": _RESP, "driver_info": None}


def _single(address: Address, connection: dict[str, Any]) -> Any:
    host, port = address.hosts[0]
    return Redis(host=host, port=port, db=address.db, max_connections=CONNECTIONS_MAX, retry=_once(), **connection)


def _socket(address: Address, connection: dict[str, Any]) -> Any:
    connection = {**connection, "ssl": False}
    return Redis(
        unix_socket_path=address.place, db=address.db, max_connections=CONNECTIONS_MAX, retry=_once(), **connection
    )


def _cluster(address: Address, connection: dict[str, Any]) -> Any:
    nodes = [ClusterNode(host, port) for host, port in address.hosts]
    # The one retry is for MOVED: a slot that has a new node is found there.
    retry = Retry(NoBackoff(), 1)
    return RedisCluster(
        startup_nodes=nodes, max_connections=CONNECTIONS_MAX, require_full_coverage=False, retry=retry, **connection
    )


def _sentinel(address: Address, connection: dict[str, Any]) -> Any:
    credentials = {
        "username": address.options.get("sentinel_username"),
        "password": address.options.get("sentinel_password"),
    }
    of_sentinel = {**connection, **credentials, "retry": _once()}
    sentinels = Sentinel(  # type: ignore[no-untyped-call]
        list(address.hosts), sentinel_kwargs=of_sentinel
    )
    return sentinels.master_for(
        address.place, db=address.db, max_connections=CONNECTIONS_MAX, retry=_once(), **connection
    )


def _once() -> Retry:
    return Retry(NoBackoff(), 0)


_CLIENTS: Final = {"single": _single, "socket": _socket, "sentinel": _sentinel, "cluster": _cluster}

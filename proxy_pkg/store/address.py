"""Where a Redis is: its URL, taken apart. Valkey and others that speak the same protocol have the same URLs.

    redis://[user[:password]@]host[:port][/db]                  one server; rediss:// over TLS
    unix:///path/to/socket[?db=1]                               one server on this machine
    redis+sentinel://[user[:password]@]host[:port],…/name[/db]  the primary that the Sentinels name
    redis+cluster://[user[:password]@]host[:port],…             a Cluster, found through any of its nodes

`rediss+sentinel` and `rediss+cluster` are the same over TLS, and `valkey` may stand for `redis`. Options come as a
query: `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile`, `ssl_check_hostname`, `sentinel_username`, `sentinel_password`.
"""

import re
from typing import Final, Literal
from urllib.parse import parse_qsl, unquote

from msgspec import Struct, structs

Kind = Literal["single", "socket", "sentinel", "cluster"]

SCHEME: Final = re.compile(r"(?:redis|valkey)(s?)(?:\+(sentinel|cluster))?|(unix)")
HOST: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+)(?::([0-9]{1,5}))?")
KINDS: Final[dict[str | None, Literal["single", "sentinel", "cluster"]]] = {
    None: "single",
    "sentinel": "sentinel",
    "cluster": "cluster",
}
PORTS: Final = {"single": 6379, "cluster": 6379, "sentinel": 26379}
PORT_MAX: Final = 65535
DB_MAX: Final = 10_000
OPTIONS: Final = frozenset(
    (
        "db",
        "ssl_ca_certs",
        "ssl_certfile",
        "ssl_keyfile",
        "ssl_check_hostname",
        "sentinel_username",
        "sentinel_password",
    )
)


class Address(Struct, frozen=True):
    """A Redis. `hosts` are (host, port), several for Sentinel and Cluster; `place` is a socket's path or the name of
    the primary that Sentinels know.
    """

    kind: Kind
    tls: bool = False
    hosts: tuple[tuple[str, int], ...] = ()
    place: str = ""
    db: int = 0
    username: str = ""
    password: str = ""
    options: dict[str, str] = {}  # each address gets its own

    @property
    def shown(self) -> str:
        """For people, without user and password."""
        hosts = ", ".join(f"{host}:{port}" for host, port in self.hosts)
        return f"{self.place} by {hosts}" if self.kind == "sentinel" else hosts or self.place


def parse(url: str) -> Address:
    """The address that a URL means. ValueError says what is wrong, in words that never repeat the URL: it may hold a
    password.
    """
    scheme, separator, rest = url.partition("://")
    match = SCHEME.fullmatch(scheme.lower())
    if not separator or match is None:
        raise ValueError("does not start with redis://, rediss://, redis+sentinel://, redis+cluster:// or unix://")
    rest, _, query = rest.partition("?")
    authority, _, path = rest.partition("/")
    user, _, places = authority.rpartition("@")
    username, _, password = user.partition(":")
    found = _socket(places, path) if match[3] else _remote(KINDS[match[2]], places, path)
    options = _options(query)
    db = _db(options.pop("db")) if "db" in options else found.db
    return structs.replace(
        found, tls=bool(match[1]), db=db, username=unquote(username), password=unquote(password), options=options
    )


def _socket(places: str, path: str) -> Address:
    if places or not path:
        raise ValueError("a socket is named by its absolute path, as in unix:///run/redis.sock")
    return Address("socket", place=unquote(f"/{path}"))


def _remote(kind: Literal["single", "sentinel", "cluster"], places: str, path: str) -> Address:
    steps = [unquote(step) for step in path.split("/") if step]
    if kind == "sentinel" and not steps:
        raise ValueError("the name of the primary is missing behind the hosts of the Sentinels")
    name = steps.pop(0) if kind == "sentinel" else ""
    if len(steps) > (kind != "cluster"):
        raise ValueError("its path holds more than the number of a database")
    hosts = tuple(_host(text, PORTS[kind]) for text in places.split(","))
    if kind == "single" and len(hosts) > 1:
        raise ValueError("several hosts need redis+sentinel:// or redis+cluster://")
    return Address(kind, hosts=hosts, place=name, db=_db(steps[0] if steps else ""))


def _host(text: str, port: int) -> tuple[str, int]:
    match = HOST.fullmatch(text)
    if match is None or not 0 < int(match[2] or port) <= PORT_MAX:
        raise ValueError("a host or port is missing or malformed")
    return match[1].strip("[]"), int(match[2] or port)


def _db(text: str) -> int:
    if text and (not text.isdecimal() or int(text) > DB_MAX):
        raise ValueError("the database is not a small number")
    return int(text or 0)


def _options(query: str) -> dict[str, str]:
    pairs = dict(parse_qsl(query, keep_blank_values=True))
    if set(pairs) - OPTIONS:
        raise ValueError(f"has an unknown option; known are {', '.join(sorted(OPTIONS))}")
    return pairs

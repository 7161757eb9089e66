"""From what a person wrote, in whatever layer, to the value of a setting: one reader for each kind, chosen by
table.

A reader takes the row and the raw value (text, or what TOML and JSON have already typed) and raises
ValueError with the reason, in words that never repeat the value, because it may be a secret.
"""

import re
from collections.abc import Callable
from typing import Final

from proxy_pkg.config import upstream_table, urls
from proxy_pkg.config.row import GIB, KIB, MIB, Row, Scalar
from proxy_pkg.model import Upstream

AUTO: Final = "auto"
TEXT_CHARACTERS_MAX: Final = 4096
GLOBS_MAX: Final = 64
BOOLEANS: Final = {
    "true": True,
    "1": True,
    "yes": True,
    "on": True,
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}
SAME_CHOICE: Final = {"warn": "warning"}
"""What people write -> the choice that it means."""
UNITS: Final = {"": 1, "b": 1, "kib": KIB, "mib": MIB, "gib": GIB, "kb": 10**3, "mb": 10**6, "gb": 10**9}
WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}")
DECIMAL: Final = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{1,18})?")
SIZE: Final = re.compile(r"([0-9]{1,18}) ?([a-z]{0,3})", re.IGNORECASE)
KEYS_MAX: Final = 256
KEY_CHARACTERS_MIN: Final = 16
KEY_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,32}")
KEY_PREFIX: Final = re.compile(r"[A-Za-z0-9:._-]{1,64}")
VISIBLE_ASCII: Final = re.compile(r"[\x21-\x7e]+")


def read(row: Row, raw: object) -> Scalar:
    """The value of `row`, ready for Settings; `auto` workers stay the word. ValueError says what is wrong."""
    return READERS[row.kind](row, raw)


def allowed(row: Row) -> str:
    """What `row` takes, as the end of the sentence "allowed: …"."""
    return ALLOWED[row.kind](row)


def _integer(row: Row, raw: object) -> int:
    if isinstance(raw, str) and WHOLE.fullmatch(raw):
        raw = int(raw)
    if not isinstance(raw, int) or isinstance(raw, bool):
        raise ValueError("not a whole number")
    return int(_within(row, raw))


def _number(row: Row, raw: object) -> float:
    if isinstance(raw, str) and DECIMAL.fullmatch(raw):
        raw = float(raw)
    if not isinstance(raw, int | float) or isinstance(raw, bool) or raw != raw:  # NaN is no number
        raise ValueError("not a number")
    return float(_within(row, raw))


def _workers(row: Row, raw: object) -> int | str:
    if isinstance(raw, str) and raw.lower() == AUTO:
        return AUTO
    return _integer(row, raw)


def _size(row: Row, raw: object) -> int:
    if isinstance(raw, str):
        match = SIZE.fullmatch(raw)
        if match is None or match[2].lower() not in UNITS:
            raise ValueError("not a size")
        raw = int(match[1]) * UNITS[match[2].lower()]
    return _integer(row, raw)


def _within(row: Row, number: float) -> float:
    if number < row.minimum:
        raise ValueError(f"below {_plain(row, row.minimum)}")
    if number > row.maximum:
        raise ValueError(f"above {_plain(row, row.maximum)}")
    return number


def _boolean(_row: Row, raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    word = str(raw).lower() if isinstance(raw, str | int) else ""
    if word not in BOOLEANS:
        raise ValueError("neither true nor false")
    return BOOLEANS[word]


def _choice(row: Row, raw: object) -> str:
    word = _string(raw).lower()
    word = SAME_CHOICE.get(word, word)
    if word not in row.choices:
        raise ValueError("not one of the choices")
    return word


def _string(raw: object) -> str:
    if not isinstance(raw, str):
        raise ValueError("not a text")
    if len(raw) > TEXT_CHARACTERS_MAX:
        raise ValueError(f"longer than {TEXT_CHARACTERS_MAX} characters")
    if not raw.isprintable():
        raise ValueError("holds characters that cannot be printed")
    return raw


def _host(_row: Row, raw: object) -> str:
    return urls.host(_string(raw))


def _token(_row: Row, raw: object) -> str:
    token = _string(raw)
    if not VISIBLE_ASCII.fullmatch(token):
        raise ValueError("holds a space or a character beyond ASCII, which a header cannot carry")
    return token


def _proxy_keys(_row: Row, raw: object) -> str:
    pairs = [part.strip().partition(":") for part in _string(raw).split(",") if part.strip()]
    if len(pairs) > KEYS_MAX:
        raise ValueError(f"more than {KEYS_MAX} keys")
    if not all(KEY_NAME.fullmatch(name) and VISIBLE_ASCII.fullmatch(token) for name, _, token in pairs):
        raise ValueError("has a part that is no NAME:TOKEN")
    if len({token for _, _, token in pairs}) < len(pairs):
        raise ValueError("has the same token twice")
    if any(len(token) < KEY_CHARACTERS_MIN for _, _, token in pairs):
        raise ValueError(f"has a token of less than {KEY_CHARACTERS_MIN} characters, which can be guessed")
    return ",".join(f"{name}:{token}" for name, _, token in pairs)


def _path(_row: Row, raw: object) -> str:
    path = _string(raw)
    if not path.startswith("/"):
        raise ValueError("not an absolute path")
    return path.rstrip("/") or "/"


def _url(_row: Row, raw: object) -> str:
    return urls.origin(_string(raw))


def _proxy_url(_row: Row, raw: object) -> str:
    return urls.proxy(_string(raw))


def _collector_url(_row: Row, raw: object) -> str:
    text = _string(raw)
    return urls.origin(text) if text else ""


def _redis_url(_row: Row, raw: object) -> str:
    return urls.redis(_string(raw))


def _key_prefix(_row: Row, raw: object) -> str:
    prefix = _string(raw)
    if not KEY_PREFIX.fullmatch(prefix):
        raise ValueError("longer than 64 characters, or with other characters than letters, digits and : . _ -")
    return prefix


def _host_list(_row: Row, raw: object) -> str:
    return ",".join(part.strip() for part in _string(raw).split(",") if part.strip())


def _name_servers(_row: Row, raw: object) -> str:
    return ",".join(urls.name_server(part.strip()) for part in _string(raw).split(",") if part.strip())


def _glob_list(_row: Row, raw: object) -> str:
    globs = [part.strip() for part in _string(raw).split(",") if part.strip()]
    if len(globs) > GLOBS_MAX:
        raise ValueError(f"more than {GLOBS_MAX} names")
    if any(len(glob.split()) > 1 for glob in globs):
        raise ValueError("a name with a blank in it, which no tool has")
    return ",".join(globs)


def _upstreams(_row: Row, raw: object) -> tuple[Upstream, ...]:
    return upstream_table.upstreams(dict(raw) if raw == () else raw)


def _plain(row: Row, number: float) -> str:
    """A bound as people write it: 64MiB, 0.05, 3."""
    if row.kind == "size":
        return size_text(int(number))
    return f"{number:g}" if number < 100_000 else str(int(number))


def size_text(number: int) -> str:
    """Bytes in the largest binary unit that divides them, in a form that `read` takes."""
    for unit, factor in (("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if number and number % factor == 0:
            return f"{number // factor}{unit}"
    return str(number)


def _range(row: Row) -> str:
    return f"from {_plain(row, row.minimum)} to {_plain(row, row.maximum)}"


READERS: Final[dict[str, Callable[[Row, object], Scalar]]] = {
    "boolean": _boolean,
    "choice": _choice,
    "glob_list": _glob_list,
    "host": _host,
    "host_list": _host_list,
    "integer": _integer,
    "key_prefix": _key_prefix,
    "name_servers": _name_servers,
    "number": _number,
    "path": _path,
    "proxy_keys": _proxy_keys,
    "proxy_url": _proxy_url,
    "redis_url": _redis_url,
    "size": _size,
    "token": _token,
    "upstreams": _upstreams,
    "collector_url": _collector_url,
    "url": _url,
    "workers": _workers,
}

ALLOWED: Final[dict[str, Callable[[Row], str]]] = {
    "boolean": lambda row: "true or false (also yes, no, on, off, 1, 0)",
    "choice": lambda row: "one of " + ", ".join(row.choices),
    "glob_list": lambda row: f"at most {GLOBS_MAX} names of tools with *, ? and [], separated by commas",
    "host": lambda row: "an IP address or a host name, without port",
    "host_list": lambda row: "host names, domains and addresses, separated by commas",
    "integer": lambda row: f"a whole number {_range(row)}",
    "key_prefix": lambda row: "up to 64 letters, digits and : . _ -",
    "name_servers": lambda row: "IP addresses with or without a port, separated by commas",
    "number": lambda row: f"a number {_range(row)}",
    "path": lambda row: "an absolute path",
    "proxy_keys": lambda row: (
        f"NAME:TOKEN,… with names of letters, digits and . _ -, and tokens of {KEY_CHARACTERS_MIN} characters or more "
        "without commas"
    ),
    "proxy_url": lambda row: "http:// or https:// with a host, an optional port and credentials",
    "redis_url": lambda row: "redis://, rediss://, redis+sentinel://, redis+cluster:// or unix://; see below",
    "size": lambda row: f"bytes, or a size such as 64MiB or 10MB, {_range(row)}",
    "token": lambda row: "printable ASCII characters without spaces",
    "upstreams": lambda row: "tables with `url`, `api` and optional `models`, by name; as text, the same in JSON",
    "collector_url": lambda row: "http:// or https:// with a host, an optional port and an optional path, or empty",
    "url": lambda row: "http:// or https:// with a host, an optional port and an optional path",
    "workers": lambda row: f"auto, or a whole number {_range(row)}",
}

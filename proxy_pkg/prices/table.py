"""What a model's tokens cost: the shipped table, and a file of the operator's own that goes before it."""

import re
import tomllib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from proxy_pkg.errors import SettingsError

SHIPPED_PATH = Path(__file__).with_name("prices.toml")
SHIPPED: Final = "shipped"
FILE_BYTES_MAX: Final = 1 << 20
MODELS_KNOWN_MAX: Final = 1024

_BEFORE_NAME = re.compile(r"^.*[/:](?=[^/:]*[a-z])|^(?:[a-z]{2,6}\.)?[a-z]+\.(?=[a-z]+-)")


class Price(Struct, frozen=True, forbid_unknown_fields=True):
    """US dollars for a million tokens, which are also millionths of a dollar for one token."""

    input: float
    cache_read: float
    cache_write: float
    output: float


class Entry(Struct, frozen=True, forbid_unknown_fields=True):
    """One row of a file of prices."""

    match: tuple[str, ...]
    input: float
    cache_read: float
    cache_write: float
    output: float

    @property
    def price(self) -> Price:
        return Price(self.input, self.cache_read, self.cache_write, self.output)


class PriceFile(Struct, frozen=True, forbid_unknown_fields=True):
    """A whole file: the date its prices are of, and its rows."""

    as_of: str
    models: tuple[Entry, ...]


class Source(Struct, frozen=True):
    """Where prices come from: a file's path or SHIPPED, and the date that it says they are of."""

    source: str
    as_of: str


class Prices:
    """Looks prices up by a model's name. Bounded: names beyond MODELS_KNOWN_MAX are looked up anew each time."""

    def __init__(self, files: tuple[PriceFile, ...], sources: tuple[Source, ...] = ()) -> None:
        """Of `files`, an earlier one goes before a later one. `sources` says where they are from, for people."""
        self.as_of = files[0].as_of
        self.sources = sources
        self._files = [
            sorted(((pattern, entry.price) for entry in file.models for pattern in entry.match), key=_plainest_last)
            for file in files
        ]
        self._known: dict[str, Price | None] = {}

    def of(self, model: str) -> Price | None:
        """The price of `model`, None if no row fits it."""
        if model in self._known:
            return self._known[model]
        price = self._find(model)
        if len(self._known) < MODELS_KNOWN_MAX:
            self._known[model] = price
        return price

    def _find(self, model: str) -> Price | None:
        names = (model, _BEFORE_NAME.sub("", model.lower()))
        for rows in self._files:
            for pattern, price in rows:
                if any(fnmatchcase(name, pattern) for name in names):
                    return price
        return None


def load(own_path: str = "") -> Prices:
    """The shipped prices, and before them those of the file at `own_path`.

    Raises SettingsError, which says what is wrong with that file and where.
    """
    shipped = _decode(SHIPPED_PATH.read_text(), str(SHIPPED_PATH))
    shipped_source = Source(SHIPPED, shipped.as_of)
    if not own_path:
        return Prices((shipped,), (shipped_source,))
    own = _read(own_path)
    return Prices((own, shipped), (Source(own_path, own.as_of), shipped_source))


def _read(path: str) -> PriceFile:
    try:
        data = Path(path).read_bytes()[: FILE_BYTES_MAX + 1]
        text = data.decode()
    except OSError as error:
        raise SettingsError((f"prices {path}: cannot be read: {error.strerror or error}",)) from error
    except UnicodeDecodeError as error:
        raise SettingsError((f"prices {path}: is not UTF-8: {error.reason} at byte {error.start}",)) from error
    if len(data) > FILE_BYTES_MAX:
        raise SettingsError((f"prices {path}: is longer than {FILE_BYTES_MAX} bytes",))
    return _decode(text, path)


def _decode(text: str, path: str) -> PriceFile:
    try:
        raw: Mapping[str, Any] = tomllib.loads(text)
        file = msgspec.convert(raw, PriceFile)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError((f"prices {path}: is no TOML: {error}",)) from error
    except msgspec.ValidationError as error:
        raise SettingsError((f"prices {path}: {error}",)) from error
    for entry in file.models:
        if min(entry.input, entry.cache_read, entry.cache_write, entry.output) < 0:
            raise SettingsError((f"prices {path}: a price of {', '.join(entry.match)} is below 0",))
    return file


def _plainest_last(row: tuple[str, Price]) -> tuple[int, str]:
    pattern = row[0]
    return -sum(char not in "*?[]" for char in pattern), pattern

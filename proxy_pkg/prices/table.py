"""What a model's tokens cost: the shipped table, and a file of the operator's own that goes before it."""

import os
import re
import stat
import tomllib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from proxy_pkg.errors import SettingsError

SHIPPED_PATH = Path(__file__).with_name("prices.toml")
SHIPPED: Final = "shipped"
FILE_BYTES_MAX: Final = 1 << 20
MODELS_KNOWN_MAX: Final = 1024

USD_MAX: Final = 1e6
"""For a million tokens."""

# "us.anthropic." before a model of Bedrock. A dot in a version comes after a hyphen.
_vendor = re.compile(r"(?:[a-z-]+\.)?[a-z0-9]+\.(?=[a-z])").match

_Usd = Annotated[float, Meta(ge=0, le=USD_MAX)]


class Price(Struct, frozen=True):
    """US dollars for a million tokens, which are also millionths of a dollar for one token."""

    input: float
    cache_read: float
    cache_write: float
    output: float
    cache_write_1h: float
    long_context: "Price | None" = None
    long_above_tokens: int = 0
    output_tokens_max: int = 0
    """The longest answer that the model gives; 0 where that is not known."""

    def at(self, input_tokens: int) -> "Price":
        """The price of all tokens of a request with so much input."""
        if self.long_context is not None and input_tokens > self.long_above_tokens:
            return self.long_context
        return self


class Rates(Struct, frozen=True, forbid_unknown_fields=True):
    """The prices that a row states."""

    input: _Usd
    cache_read: _Usd
    cache_write: _Usd
    output: _Usd
    cache_write_1h: _Usd | None = None

    def price(self, long: "LongContext | None" = None) -> Price:
        return Price(
            input=self.input,
            cache_read=self.cache_read,
            cache_write=self.cache_write,
            output=self.output,
            cache_write_1h=self.cache_write if self.cache_write_1h is None else self.cache_write_1h,
            long_context=None if long is None else long.price(),
            long_above_tokens=0 if long is None else long.above_tokens,
        )


class LongContext(Rates, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all tokens of a request with more input than `above_tokens` cost."""

    above_tokens: Annotated[int, Meta(ge=1)]


class Entry(Rates, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One row of a file of prices."""

    match: tuple[str, ...]
    long_context: LongContext | None = None
    output_tokens_max: Annotated[int, Meta(ge=0)] = 0


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
            sorted(
                (
                    (pattern, replace(entry.price(entry.long_context), output_tokens_max=entry.output_tokens_max))
                    for entry in file.models
                    for pattern in entry.match
                ),
                key=_plainest_last,
            )
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
        names = _names(model)
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
        data = _bytes(path)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise SettingsError((f"prices {path}: cannot be read: {error.strerror or error}",)) from error
    except UnicodeDecodeError as error:
        raise SettingsError((f"prices {path}: is not UTF-8: {error.reason} at byte {error.start}",)) from error
    if len(data) > FILE_BYTES_MAX:
        raise SettingsError((f"prices {path}: is longer than {FILE_BYTES_MAX} bytes",))
    return _decode(text, path)


def _bytes(path: str) -> bytes:
    """The beginning of a regular file: nothing is waited for, as in a pipe, or read without end, as from a device."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(None, "not a regular file")
        return file.read(FILE_BYTES_MAX + 1)


def _decode(text: str, path: str) -> PriceFile:
    try:
        raw: Mapping[str, Any] = tomllib.loads(text)
        file = msgspec.convert(raw, PriceFile)
    except RecursionError as error:
        raise SettingsError((f"prices {path}: its values are nested too deeply",)) from error
    except msgspec.ValidationError as error:
        raise SettingsError((f"prices {path}: {error}",)) from error
    except ValueError as error:  # TOMLDecodeError is one, and so is what a number of 5,000 digits raises
        raise SettingsError((f"prices {path}: is no TOML: {error}",)) from error
    return file


def _names(model: str) -> tuple[str, ...]:
    """The names that a row may know a model by: as it is; without what is a place, a provider or a variant of it."""
    plain = model.lower().rpartition("/")[2]
    if vendor := _vendor(plain):
        plain = plain[vendor.end() :]
    if plain.endswith(":free"):
        return (model,)
    return model, plain, plain.partition(":")[0], plain.rpartition(":")[2]


def _plainest_last(row: tuple[str, Price]) -> tuple[int, str]:
    pattern = row[0]
    return -sum(char not in "*?[]" for char in pattern), pattern

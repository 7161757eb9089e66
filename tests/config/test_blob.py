import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as options
from hypothesis import strategies as st
from msgspec import structs

from proxy_pkg.config.blob import pack, unpack
from proxy_pkg.config.load import load
from proxy_pkg.config.origins import at_start
from proxy_pkg.config.settings import ROWS, Settings
from proxy_pkg.errors import SettingsError
from proxy_pkg.model import Level, Upstream

BY_TYPE = {
    "IntType": st.integers(min_value=-(2**63), max_value=2**64 - 1),
    "FloatType": st.floats(allow_nan=False),
    "StrType": st.text(),
    "BoolType": st.booleans(),
    "EnumType": st.sampled_from(Level),
    "VarTupleType": st.lists(
        st.builds(Upstream, st.text(), st.text(), st.text(), st.lists(st.text()).map(tuple)), max_size=3
    ).map(tuple),
}


def values_of(field: msgspec.inspect.Field) -> st.SearchStrategy[object]:
    if isinstance(field.type, msgspec.inspect.LiteralType):
        return st.sampled_from(field.type.values)
    return BY_TYPE[type(field.type).__name__]


SETTINGS = st.fixed_dictionaries(
    {field.name: values_of(field) for field in msgspec.inspect.type_info(Settings).fields}
).map(lambda values: Settings(**values))


@options(suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no fault of the values
@given(SETTINGS)
def test_every_field_survives(settings: Settings) -> None:
    assert unpack(pack(settings)).settings == settings


def test_where_values_came_from_survives() -> None:
    loaded = load({"HEADROOM_PORT": "3"})
    origins = at_start(loaded.sources)
    assert unpack(pack(loaded.settings, origins)).origins == origins


def test_a_field_that_is_not_packed_would_be_noticed() -> None:
    assert set(msgspec.msgpack.decode(pack(load({}).settings))["settings"]) == set(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_a_missing_field_is_an_error(name: str) -> None:
    values = structs.asdict(load({}).settings)
    del values[name]
    with pytest.raises(SettingsError, match=name):
        unpack(msgspec.msgpack.encode({"settings": values, "origins": {}}))


def test_an_unknown_field_is_an_error() -> None:
    with pytest.raises(SettingsError, match="newcomer"):
        values = structs.asdict(load({}).settings) | {"newcomer": 1}
        unpack(msgspec.msgpack.encode({"settings": values, "origins": {}}))


@pytest.mark.parametrize("blob", [b"", b"\x80", b"\xff", b"\xc1", bytes(range(160, 224)), b"\x81\xa4host\xa1\xff"])
def test_noise_is_an_error(blob: bytes) -> None:
    with pytest.raises(SettingsError):
        unpack(blob)


def test_bytes_behind_the_end_are_an_error() -> None:
    with pytest.raises(SettingsError):
        unpack(pack(load({}).settings) + b"x")

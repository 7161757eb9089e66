import msgspec
import pytest
from msgspec import structs

from proxy_pkg.config.load import load
from proxy_pkg.config.parsers import ALLOWED, READERS, allowed, read
from proxy_pkg.config.settings import BY_ENVIRONMENT, ROWS, Settings

FIXED = {
    "HEADROOM_HOST": "127.0.0.1",
    "HEADROOM_PORT": 8787,
    "HEADROOM_WORKERS": 1,
    "HEADROOM_LIMIT_CONCURRENCY": 1000,
    "HEADROOM_MAX_CONNECTIONS": 500,
    "HEADROOM_MAX_KEEPALIVE": 100,
    "ANTHROPIC_TARGET_API_URL": "https://api.anthropic.com",
    "OPENAI_TARGET_API_URL": "https://api.openai.com",
    "GEMINI_TARGET_API_URL": "https://generativelanguage.googleapis.com",
    "HEADROOM_COMPRESSION": "lossless",
}


@pytest.mark.parametrize(("variable", "default"), FIXED.items())
def test_names_and_defaults_that_people_have_stay(variable: str, default: object) -> None:
    assert ROWS[BY_ENVIRONMENT[variable]].default == default


def test_every_field_has_a_row_and_every_row_a_field() -> None:
    assert tuple(ROWS) == Settings.__struct_fields__


def test_no_two_settings_share_a_variable() -> None:
    assert len(BY_ENVIRONMENT) == len(ROWS)


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_rows_are_whole(row) -> None:
    assert row.help.endswith(".") and row.kind in READERS and row.kind in ALLOWED and allowed(row)
    if row.default not in ("", ()):
        assert read(row, row.default) == row.default, "a default passes its own reader"
    if row.kind in ("integer", "number", "size", "workers"):
        assert row.minimum < row.maximum


def test_settings_have_no_defaults_of_their_own() -> None:
    with pytest.raises(TypeError):
        Settings()


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        load({}).settings.port = 1  # type: ignore[misc]


def test_a_secret_shows_in_no_form_for_people() -> None:
    loaded = load({"HEADROOM_PROXY_TOKEN": "canary-secret-token"})
    assert loaded.settings.proxy_token == "canary-secret-token"
    for text in (repr(loaded), str(loaded), f"{loaded.settings}", repr(list(loaded.settings.__rich_repr__()))):
        assert "canary" not in text
        assert "(hidden)" in text


def test_every_token_key_or_password_is_marked_secret() -> None:
    suspicious = [
        name
        for name in ROWS
        if name.endswith(("_key", "proxy_keys")) or any(word in name for word in ("token", "secret", "password"))
        if not ROWS[name].unit
    ]
    carriers = ["upstream_https_proxy_url", "upstream_http_proxy_url", "redis_url"]
    assert [*carriers, *suspicious] == [name for name, row in ROWS.items() if row.secret]


def test_types_agree_with_rows() -> None:
    for field in msgspec.inspect.type_info(Settings).fields:
        row = ROWS[field.name]
        kinds = {
            "size": "int",
            "integer": "int",
            "workers": "int",
            "number": "float",
            "boolean": "bool",
            "upstreams": "vartuple",
        }
        expected = {"choice": ("enum", "literal")}.get(row.kind, (kinds.get(row.kind, "str"),))
        assert type(field.type).__name__.removesuffix("Type").lower() in expected, field.name


def test_values_of_defaults_are_typed() -> None:
    values = structs.asdict(load({}).settings)
    assert isinstance(values["connect_timeout_seconds"], float) and type(values["port"]) is int

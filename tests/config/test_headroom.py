"""Every environment variable that Headroom reads: none that says "leave this alone" is passed over."""

from pathlib import Path

import pytest

from proxy_pkg.config.headroom import FOREIGN
from proxy_pkg.config.headroom_names import ALL_SHARED
from proxy_pkg.config.load import examine, load
from proxy_pkg.config.settings import BY_ENVIRONMENT, SOURCES
from proxy_pkg.model import Level

TABLE = dict(
    line.split()
    for line in (Path(__file__).parent / "headroom_names.txt").read_text().splitlines()
    if not line.startswith("#")
)
"""Name -> what becomes of it."""


def named(kind: str) -> list[str]:
    return [name for name, what in TABLE.items() if what == kind]


def problems_of(**environ: str) -> str:
    return "\n".join(examine(environ).problems)


def warnings_of(**environ: str) -> str:
    return "\n".join(load(environ).warnings)


def test_every_name_is_known() -> None:
    assert len(TABLE) == 365
    assert set(TABLE) == FOREIGN | ALL_SHARED
    assert not FOREIGN & (BY_ENVIRONMENT.keys() | SOURCES.keys())
    assert set(named("setting")) == ALL_SHARED


@pytest.mark.parametrize("name", named("warned"))
def test_names_of_what_is_not_here_are_warned_of(name: str) -> None:
    assert name in warnings_of(**{name: "1"})


@pytest.mark.parametrize("name", named("holds_if_false"))
def test_a_no_that_holds_anyway_is_quiet_and_a_yes_is_warned_of(name: str) -> None:
    assert warnings_of(**{name: "0"}) == warnings_of(**{name: "off"}) == ""
    assert name in warnings_of(**{name: "true"})


@pytest.mark.parametrize("name", named("holds_if_true"))
def test_a_yes_that_holds_anyway_is_quiet_and_a_no_is_warned_of(name: str) -> None:
    assert warnings_of(**{name: "1"}) == warnings_of(**{name: "enabled"}) == ""
    assert name in warnings_of(**{name: "false"})


@pytest.mark.parametrize("name", named("holds_always"))
def test_what_holds_with_any_value_is_quiet(name: str) -> None:
    assert load({name: "whatever"}).warnings == ()


REFUSED_VALUES = {
    "HEADROOM_BACKEND": ("bedrock", "anthropic"),
    "HEADROOM_CODEX_UPSTREAM_BASE_URL": ("https://codex.example", ""),
    "HEADROOM_COMPRESSORS": ("smart_crusher,tabular", "*"),
    "HEADROOM_MCP_RESULT_MIN_CHARS": ("4000", "100"),
    "HEADROOM_MIN_CHARS_FOR_BLOCK": ("500", "25"),
    "HEADROOM_MODEL_ROUTER_ENABLED": ("1", "0"),
    "HEADROOM_PIPELINE_EXTENSIONS": ("redact", ""),
    "HEADROOM_PROTECT_ANALYSIS_CONTEXT": ("1", "0"),
    "HEADROOM_PROTECT_RECENT": ("4", "0"),
    "HEADROOM_PROXY_EXTENSIONS": ("redact", " "),
    "HEADROOM_SMART_CRUSHER_COMPACTION": ("0", "1"),
    "HEADROOM_UDS": ("/run/headroom.sock", ""),
    "HEADROOM_WS_FAIL_OPEN_ON_COMPRESSION_FAILURE": ("false", "true"),
    "HEADROOM_WS_ORIGINS": ("https://example.com", "*"),
}


@pytest.mark.parametrize("name", named("refused"))
def test_what_cannot_be_honoured_refuses_to_start_and_says_what_to_set(name: str) -> None:
    refused, taken = REFUSED_VALUES[name]
    (problem,) = examine({name: refused}).problems
    assert problem.startswith(f"{name}=") and "unset this name" in problem and "docs/from-headroom.md" in problem
    loaded = load({name: taken})
    assert loaded.warnings == () and loaded.settings == load({}).settings


def test_values_with_credentials_are_not_repeated() -> None:
    assert "canary" not in problems_of(HEADROOM_CODEX_UPSTREAM_BASE_URL="https://user:canary@host")


@pytest.mark.parametrize(
    ("name", "value", "level"),
    [
        ("HEADROOM_OPTIMIZE", "false", Level.OFF),
        ("HEADROOM_OPTIMIZE", "0", Level.OFF),
        ("HEADROOM_OPTIMIZE", "disabled", Level.OFF),
        ("HEADROOM_OPTIMIZE", "true", Level.LOSSLESS),
        ("HEADROOM_OPTIMIZE", "", Level.LOSSLESS),
        ("HEADROOM_LOSSLESS_COMPACTION", "0", Level.OFF),
        ("HEADROOM_LOSSLESS_COMPACTION", "1", Level.LOSSLESS),
        ("HEADROOM_MODE", "off", Level.OFF),
        ("HEADROOM_MODE", "Passthrough", Level.OFF),
        ("HEADROOM_MODE", "audit", Level.OBSERVE),
        ("HEADROOM_MODE", "simulate", Level.OBSERVE),
        ("HEADROOM_MODE", "token", Level.LOSSLESS),
        ("HEADROOM_MODE", "cache", Level.LOSSLESS),
        ("HEADROOM_MODE", "cost_savings", Level.LOSSLESS),
    ],
)
def test_who_switched_compression_off_has_it_off(name: str, value: str, level: Level) -> None:
    loaded = load({name: value})
    assert loaded.settings.compression is level and loaded.warnings == ()
    assert loaded.sources["compression"] == ("default" if level is Level.LOSSLESS else f"environment {name}")


def test_the_least_of_two_levels_counts() -> None:
    names = {"HEADROOM_MODE": "observe", "HEADROOM_OPTIMIZE": "no"}
    assert load(names).settings.compression is Level.OFF


def test_an_unknown_mode_is_refused() -> None:
    assert "HEADROOM_MODE=tokne: this mode is not known; use one of off, " in problems_of(HEADROOM_MODE="tokne")


@pytest.mark.parametrize("ours", ["lossless", "balanced"])
def test_a_level_that_contradicts_is_refused(ours: str) -> None:
    problems = problems_of(HEADROOM_OPTIMIZE="false", HEADROOM_COMPRESSION=ours)
    assert f"HEADROOM_OPTIMIZE=false and HEADROOM_COMPRESSION {ours} contradict each other" in problems


@pytest.mark.parametrize("ours", ["off", "observe"])
def test_a_level_of_ours_that_changes_nothing_stays(ours: str) -> None:
    names = {"HEADROOM_OPTIMIZE": "false", "HEADROOM_COMPRESSION": ours}
    assert load(names).settings.compression == ours


def test_names_in_the_environment_file_count_too(tmp_path: Path) -> None:
    file = tmp_path / "settings.env"
    file.write_text("HEADROOM_OPTIMIZE=false\nHEADROOM_PROTECT_RECENT=2\n")
    examined = examine({"HEADROOM_ENV_FILE": str(file)})
    assert examined.settings.compression is Level.OFF
    assert "HEADROOM_PROTECT_RECENT=2" in "\n".join(examined.problems)


def test_exact_tools_of_both_names_count() -> None:
    settings = load({"HEADROOM_EXCLUDE_TOOLS": "WebFetch, mcp__*", "HEADROOM_PROTECT_TOOL_RESULTS": "Bash"}).settings
    assert settings.compression_exact_tools == "WebFetch,mcp__*,Bash"
    alone = load({"HEADROOM_PROTECT_TOOL_RESULTS": "Bash,Shell"})
    assert alone.settings.compression_exact_tools == "Bash,Shell"
    assert alone.sources["compression_exact_tools"] == "environment HEADROOM_PROTECT_TOOL_RESULTS"


def test_least_tokens_and_protected_reads_are_settings() -> None:
    settings = load({"HEADROOM_MIN_TOKENS": "500", "HEADROOM_PROTECT_READS": "1"}).settings
    assert (settings.compression_tokens_min, settings.compression_exact_reads) == (500, True)


def test_references_go_with_dedupe() -> None:
    assert load({"HEADROOM_DEDUPE": "0"}).settings.compression_references is False
    assert load({"HEADROOM_DEDUPE": "1"}).settings.compression_references is True
    both = problems_of(HEADROOM_DEDUPE="0", HEADROOM_COMPRESSION_REFERENCES="true")
    assert "HEADROOM_DEDUPE=0 and HEADROOM_COMPRESSION_REFERENCES true contradict" in both


def test_the_proxy_on_the_way_out_is_taken_over() -> None:
    names = {"HEADROOM_HTTP_PROXY": "http://squid:3128", "HTTPS_PROXY": "http://weaker:1"}
    settings = load(names).settings
    assert settings.upstream_https_proxy_url == settings.upstream_http_proxy_url == "http://squid:3128"
    ours = load(names | {"HEADROOM_UPSTREAM_HTTPS_PROXY_URL": "http://ours:1"}).settings
    assert (ours.upstream_https_proxy_url, ours.upstream_http_proxy_url) == ("http://ours:1", "http://squid:3128")


def test_a_server_without_state_keeps_nothing_on_a_disk() -> None:
    assert load({"HEADROOM_STATELESS": "true", "HEADROOM_PORT": "9000"}).settings.state_dir.startswith("/dev/shm/")
    assert load({"HEADROOM_STATELESS": "false"}).settings.state_dir == load({}).settings.state_dir
    both = problems_of(HEADROOM_STATELESS="1", HEADROOM_STATE_DIR="/var/lib/x")
    assert "HEADROOM_STATELESS=1 and HEADROOM_STATE_DIR /var/lib/x contradict each other" in both
    assert problems_of(HEADROOM_STATELESS="1", HEADROOM_STATE_DIR="/run/x") == ""


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (("HEADROOM_LOSSLESS", "1"), ("HEADROOM_COMPRESSION", "balanced")),
        (("HEADROOM_LOSSLESS_ONLY", "1"), ("HEADROOM_COMPRESSION", "balanced")),
        (("HEADROOM_RATE_LIMIT_ENABLED", "false"), ("HEADROOM_RPM", "60")),
        (("HEADROOM_RATE_LIMIT_ENABLED", "false"), ("HEADROOM_TOTAL_TPM", "60")),
        (("HEADROOM_RETRY_MAX_ATTEMPTS", "1"), ("HEADROOM_RETRY_ATTEMPTS_MAX", "2")),
        (("HEADROOM_OTEL_METRICS_ENABLED", "0"), ("HEADROOM_OTEL", "true")),
    ],
)
def test_a_no_of_theirs_and_a_yes_of_ours_are_refused(theirs: tuple[str, str], ours: tuple[str, str]) -> None:
    (problem,) = examine(dict((theirs, ours))).problems
    assert problem.startswith(f"{theirs[0]}={theirs[1]} and {ours[0]} {ours[1]} contradict each other")
    assert load(dict((theirs,))).warnings == ()

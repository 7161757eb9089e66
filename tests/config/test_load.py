import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_pkg.config.load import environment_for, examine, load, load_for_asgi, socket_passed
from proxy_pkg.config.settings import ROWS
from proxy_pkg.errors import SettingsError
from proxy_pkg.model import Level

SECRET = "canary-0123456789-secret"


def write(path: Path, text: str | bytes) -> str:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def problems_of(environ: dict[str, str], overrides: dict[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load(environ, overrides)
    return caught.value.problems


def test_defaults_alone_are_usable_and_quiet() -> None:
    loaded = load({})
    assert loaded.settings.compression is Level.LOSSLESS and loaded.warnings == ()
    assert set(loaded.sources) == set(ROWS) and set(loaded.sources.values()) == {"default"}


def test_later_layers_win(tmp_path: Path) -> None:
    toml = write(tmp_path / "a.toml", "port = 1001\nbacklog = 1\nworkers = 1\nmax_requests = 1\nlog_level = 'error'")
    file = write(tmp_path / "a.env", "HEADROOM_WORKERS=3\nHEADROOM_MAX_REQUESTS=3\n")
    environ = {
        "HEADROOM_CONFIG": toml,
        "HEADROOM_ENV_FILE": file,
        "HEADROOM_BACKLOG": "2",
        "HEADROOM_WORKERS": "2",
        "HEADROOM_MAX_REQUESTS": "2",
    }
    loaded = load(environ, {"max_requests": "4"})
    settings = loaded.settings
    assert (settings.port, settings.backlog, settings.workers, settings.max_requests) == (1001, 2, 3, 4)
    assert [loaded.sources[name] for name in ("host", "port", "backlog", "workers", "max_requests")] == [
        "default",
        f"file {toml}",
        "environment HEADROOM_BACKLOG",
        f"environment file {file}",
        "command line",
    ]


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    toml = write(tmp_path / "a.toml", "bakclog = 5\n[server]\nport = 1")
    problems = problems_of(
        {
            "HEADROOM_CONFIG": toml,
            "HEADROOM_PORT": "x",
            "HEADROOM_WORKRS": "2",
            "HEADROOM_HOST": "0.0.0.0",
            "HEADROOM_BODY_BYTES_MAX": "2GiB",
        },
        {"log_level": "loud"},
    )
    assert len(problems) == 7
    text = "\n".join(problems)
    for part in (
        f"bakclog in {toml}",
        "did you mean backlog?",
        "server in",
        "top level",
        "HEADROOM_WORKRS",
        "did you mean HEADROOM_WORKERS?",
        "HEADROOM_PORT: 'x' is not a whole number; allowed: a whole number from 1 to 65535",
        "--log-level: 'loud'",
        "one of debug, info, warning, error",
        "HEADROOM_HOST 0.0.0.0",
        "HEADROOM_BODY_BYTES_MAX 2GiB",
    ):
        assert part in text


@pytest.mark.parametrize("name", ["HEADROOM_PORTT", "HEADROOM_", "HEADROOM_OPENAI_TARGET_API_URL", "HEADROOM_port"])
def test_an_unknown_name_is_an_error(name: str) -> None:
    assert name in problems_of({name: "1"})[0]


def test_a_prefixed_target_url_is_led_to_its_real_name() -> None:
    assert "did you mean OPENAI_TARGET_API_URL?" in problems_of({"HEADROOM_OPENAI_TARGET_API_URL": "http://h"})[0]


def test_names_of_headroom_give_one_warning() -> None:
    loaded = load({"HEADROOM_PROVIDER": "x", "HEADROOM_REGION": "x", "PATH": "/bin", "OTHER": "1"})
    assert len(loaded.warnings) == 1
    assert loaded.warnings[0].endswith("HEADROOM_PROVIDER, HEADROOM_REGION (docs/from-headroom.md)")


def test_an_empty_value_counts_as_not_set_in_every_layer(tmp_path: Path) -> None:
    toml = write(tmp_path / "a.toml", "port = 1001\nlog_level = ''")
    loaded = load({"HEADROOM_CONFIG": toml, "HEADROOM_PORT": " ", "OPENAI_TARGET_API_URL": ""}, {"port": ""})
    assert loaded.settings.port == 1001 and loaded.settings.log_level == "info"
    assert loaded.settings.openai_target_api_url == "https://api.openai.com"


def test_an_empty_variable_of_ours_takes_back_what_all_programs_have() -> None:
    names = {"HTTPS_PROXY": "socks5://127.0.0.1:1080", "HTTP_PROXY": "http://squid:1"}
    assert load(names).settings.upstream_https_proxy_url == "socks5://127.0.0.1:1080"
    settings = load(names | {"HEADROOM_UPSTREAM_HTTPS_PROXY_URL": ""}).settings
    assert (settings.upstream_https_proxy_url, settings.upstream_http_proxy_url) == ("", "http://squid:1")


def test_all_proxy_stands_for_both_where_nothing_narrower_is_said() -> None:
    settings = load({"ALL_PROXY": "http://all:1", "HTTP_PROXY": "http://squid:1"}).settings
    assert (settings.upstream_https_proxy_url, settings.upstream_http_proxy_url) == ("http://all:1", "http://squid:1")


def test_an_empty_name_in_the_environment_file_takes_back_the_inherited_value(tmp_path: Path) -> None:
    file = write(tmp_path / "a.env", "HEADROOM_PORT=\n")
    assert load({"HEADROOM_ENV_FILE": file, "HEADROOM_PORT": "9000"}).settings.port == 8787


def test_the_environment_file_may_name_the_toml_file(tmp_path: Path) -> None:
    toml = write(tmp_path / "a.toml", "port = 1001")
    file = write(tmp_path / "a.env", f'HEADROOM_CONFIG="{toml}"\n')
    assert load({"HEADROOM_ENV_FILE": file, "HEADROOM_CONFIG": "/nowhere"}).settings.port == 1001
    assert load({}, {"env_file": file}).settings.port == 1001


def test_a_changed_file_is_seen_by_the_next_load(tmp_path: Path) -> None:
    file = tmp_path / "a.env"
    environ = {"HEADROOM_ENV_FILE": write(file, "HEADROOM_LIMIT_CONCURRENCY=7")}
    assert load(environ).settings.limit_concurrency == 7
    write(file, "HEADROOM_LIMIT_CONCURRENCY=8")
    assert load(environ).settings.limit_concurrency == 8


BROKEN_TOML = {
    "syntax": ("port = 1\nhost = \n", "line 2"),
    "bytes": (b"port = 1\nhost = '\xff'", "not UTF-8 (at line 2)"),
    "digits": ("port = " + "9" * 5000, "not valid TOML"),
    "depth": ("a = " + "[" * 5000, "HEADROOM_CONFIG"),
    "size": ("#" * (1024 * 1024 + 1), "longer than"),
}


@pytest.mark.parametrize(("text", "part"), BROKEN_TOML.values(), ids=BROKEN_TOML)
def test_a_broken_toml_file_is_one_problem(tmp_path: Path, text: str | bytes, part: str) -> None:
    path = write(tmp_path / "a.toml", text)
    problems = problems_of({"HEADROOM_CONFIG": path})
    assert len(problems) == 1 and path in problems[0] and part in problems[0]


@pytest.mark.parametrize(
    "line", ["port = [1]", "port = {a = 1}", "port = 1979-05-27", "port = nan", "port = 0x" + "f" * 9000]
)
def test_a_toml_value_of_a_wrong_type_is_a_problem(tmp_path: Path, line: str) -> None:
    path = write(tmp_path / "a.toml", line)
    assert problems_of({"HEADROOM_CONFIG": path})[0].startswith(f"port in {path}: ")


def test_a_file_that_is_no_file_is_a_problem_and_never_a_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "none", Path("/dev/zero")):
        assert str(path) in problems_of({"HEADROOM_CONFIG": str(path)})[0]
        assert str(path) in problems_of({"HEADROOM_ENV_FILE": str(path)})[0]


def test_an_unreadable_layer_raises_no_false_alarm_about_what_it_may_hold(tmp_path: Path) -> None:
    path = write(tmp_path / "a.toml", "proxy_token = ")
    assert len(problems_of({"HEADROOM_CONFIG": path, "HEADROOM_HOST": "0.0.0.0"})) == 1


def test_an_export_line_is_told_not_dropped(tmp_path: Path) -> None:
    file = write(tmp_path / "a.env", "export PATH=/bin\nexport HEADROOM_PORT=1\n")
    (problem,) = problems_of({"HEADROOM_ENV_FILE": file})
    assert "line 2" in problem and "NAME=value" in problem


def test_a_problem_says_which_file_it_is_in(tmp_path: Path) -> None:
    file = write(tmp_path / "a.env", "HEADROOM_PORT=x\nHEADROOM_PROT=1\n")
    problems = problems_of({"HEADROOM_ENV_FILE": file})
    assert len(problems) == 2 and all(file in problem for problem in problems)


def test_secrets_stay_out_of_every_message(tmp_path: Path) -> None:
    toml = write(
        tmp_path / "a.toml", f'proxy_token = "{SECRET} {SECRET}"\nopenai_target_api_url = "https://u:{SECRET}@h"'
    )
    environ = {
        "HEADROOM_CONFIG": toml,
        "ANTHROPIC_TARGET_API_URL": f"https://host/x?key={SECRET}",
        "GEMINI_TARGET_API_URL": f"{SECRET}:x@host",
    }
    problems = problems_of(environ)
    assert len(problems) == 4
    assert "canary" not in "\n".join(problems) and "(hidden)" in "\n".join(problems)
    json = msgspec.json.encode({"proxy_token": f"{SECRET}\n", "port": 0}).decode()
    for text in (json, json[:-1], f'["{SECRET}"]'):
        with pytest.raises(SettingsError) as caught:
            load_for_asgi({"HEADROOM_PROXY_CONFIG_JSON": text.replace("\\n", " x")})
        assert "canary" not in str(caught.value)


def test_long_values_are_cut_in_messages() -> None:
    assert len(problems_of({"HEADROOM_LOG_LEVEL": "x" * 100_000})[0]) < 400


def test_values_that_no_terminal_can_print_are_escaped() -> None:
    environ = {"HEADROOM_STATE_DIR": "/tmp/\udcff", "HEADROOM_\udcfe": "1", "HEADROOM_HOST": "a\x1b[31m"}
    text = "\n".join(problems_of(environ))
    assert text.isprintable() or text.replace("\n", "").isprintable()
    text.encode()


def test_auto_workers_are_resolved_once_and_say_so() -> None:
    loaded = load({"HEADROOM_WORKERS": "auto"})
    assert 1 <= loaded.settings.workers <= len(os.sched_getaffinity(0))
    assert loaded.sources["workers"] == "environment HEADROOM_WORKERS (auto)"


@pytest.mark.parametrize(
    ("environ", "directory"),
    [
        ({"RUNTIME_DIRECTORY": "/run/a:/run/b", "XDG_RUNTIME_DIR": "/run/user/1"}, "/run/a/8787"),
        ({"XDG_RUNTIME_DIR": "/run/user/1", "TMPDIR": "/scratch"}, "/run/user/1/proxy_pkg/8787"),
        ({"TMPDIR": "/scratch/"}, f"/scratch/proxy_pkg-{os.getuid()}/8787"),
        ({"XDG_RUNTIME_DIR": "relative", "TMPDIR": "also"}, f"/tmp/proxy_pkg-{os.getuid()}/8787"),
        ({"RUNTIME_DIRECTORY": "/run/a", "HEADROOM_PORT": "9"}, "/run/a/9"),
        ({"RUNTIME_DIRECTORY": "/run/a", "HEADROOM_STATE_DIR": "/mine"}, "/mine"),
    ],
)
def test_the_state_directory_is_private_to_a_port(environ: dict[str, str], directory: str) -> None:
    assert load(environ).settings.state_dir == directory


def test_json_wins_over_everything_for_asgi(tmp_path: Path) -> None:
    file = write(tmp_path / "a.env", "HEADROOM_PORT=1\nHEADROOM_BACKLOG=5\n")
    loaded = load_for_asgi(
        {
            "HEADROOM_ENV_FILE": file,
            "HEADROOM_COMPRESSION": "off",
            "HEADROOM_PROXY_CONFIG_JSON": '{"port": 2, "workers": "auto", "access_log": false, "state_dir": null}',
        }
    )
    settings = loaded.settings
    assert (settings.port, settings.backlog, settings.compression, settings.access_log) == (2, 5, Level.OFF, False)
    assert load_for_asgi({"HEADROOM_PORT": "3"}).settings.port == 3


@pytest.mark.parametrize(
    "text", ["{", "[]", "1", '{"prt": 1}', '{"port": {}}', '{"port": 1e999}', "\udcff", "[" * 9999]
)
def test_bad_json_is_told(text: str) -> None:
    with pytest.raises(SettingsError, match="HEADROOM_PROXY_CONFIG_JSON"):
        load_for_asgi({"HEADROOM_PROXY_CONFIG_JSON": text})


def test_json_under_gunicorn_is_a_warning() -> None:
    loaded = load({"HEADROOM_PROXY_CONFIG_JSON": '{"port": 2}'})
    assert loaded.settings.port == 8787 and "create_app_from_env" in loaded.warnings[0]


def test_options_of_serve_reach_the_server_and_outrank_its_files(tmp_path: Path) -> None:
    file = write(tmp_path / "a.env", "HEADROOM_PORT=1\nHEADROOM_WORKERS=2\n")
    child = environment_for({"port": "9", "env_file": file, "host": ""}, {"PATH": "/bin", "HEADROOM_HOST": "::1"})
    loaded = load(child)
    assert (loaded.settings.port, loaded.settings.workers, loaded.settings.host) == (9, 2, "::1")
    assert loaded.sources["port"] == "command line" and child["PATH"] == "/bin"


def test_the_toml_file_of_serve_outranks_the_one_that_the_environment_file_names(tmp_path: Path) -> None:
    mine = write(tmp_path / "mine.toml", "port = 1")
    file = write(tmp_path / "a.env", f"HEADROOM_CONFIG={write(tmp_path / 'other.toml', 'port = 2')}\n")
    options = {"config": mine, "env_file": file}
    assert load({}, options).settings.port == 1
    assert load(environment_for(options, {})).settings.port == 1


def test_the_real_environment_is_read_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_PORT", "4321")
    assert load().settings.port == 4321
    assert load_for_asgi().settings.port == 4321


def test_a_socket_from_the_service_manager_is_known_by_its_process_id() -> None:
    assert socket_passed({"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())})
    assert not socket_passed({"LISTEN_FDS": "1", "LISTEN_PID": "1"})
    assert not socket_passed({})


def test_examine_keeps_defaults_where_values_are_faulty() -> None:
    examined = examine({"HEADROOM_PORT": "x", "HEADROOM_WORKERS": "3"})
    assert (examined.settings.port, examined.settings.workers) == (8787, 3)
    assert examined.faulty == {"port"} and len(examined.problems) == 1


NAMES = st.sampled_from([row.environment for row in ROWS.values()]) | st.text("HEADROM_XY").map("HEADROOM_".__add__)


@given(st.dictionaries(NAMES, st.text(max_size=20), max_size=6))
def test_any_environment_loads_or_is_refused_with_sentences(environ: dict[str, str]) -> None:
    try:
        load(environ)
    except SettingsError as error:
        assert error.problems and all(problem.strip() for problem in error.problems)

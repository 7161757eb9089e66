"""Every setting, one row each: the annotations of `Settings` are the table, and all else is derived from
them.

A row says the default, the bounds, the unit and one line of help. The annotation gives the type, the
field gives the name, and the name gives the environment variable, so none of them can disagree. To add a
setting, add a row.
"""

from typing import Annotated, Final, Literal, get_args, get_origin, get_type_hints

from msgspec import Struct, structs

from proxy_pkg.model import Level, Upstream

Scalar = str | int | float | bool | tuple[Upstream, ...]
"""What a setting's value can be before it becomes a field of Settings."""

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB
SECONDS_MAX: Final = 86_400
PREFIX: Final = "HEADROOM_"
HIDDEN: Final = "(hidden)"


class Row(Struct, frozen=True, kw_only=True):
    """One setting. `minimum` and `maximum` are inclusive, in `unit`; `kind` picks the reader in `values.py`.

    `secret` values are never shown. A HUP applies a `reloadable` setting; the others need a restart.
    `name`, `environment`, `kind` and `choices` are filled in from the field where a row leaves them
    empty.
    """

    default: Scalar
    help: str
    unit: str = ""
    minimum: float = 0
    maximum: float = 0
    kind: str = ""
    secret: bool = False
    reloadable: bool = True
    environment: str = ""
    name: str = ""
    choices: tuple[str, ...] = ()


def _seconds(default: int, help: str, *, minimum: float = 0.05) -> Row:
    return Row(default=default, help=help, unit="seconds", minimum=minimum, maximum=SECONDS_MAX)


def _size(default: int, help: str, *, minimum: int, maximum: int) -> Row:
    return Row(default=default, help=help, unit="bytes", kind="size", minimum=minimum, maximum=maximum)


def _count(default: int, help: str, *, unit: str, minimum: int = 1, maximum: int = 1_000_000) -> Row:
    return Row(default=default, help=help, unit=unit, minimum=minimum, maximum=maximum)


def _target(default: str, environment: str, help: str) -> Row:
    return Row(default=default, help=help, kind="url", environment=environment)


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole configuration, complete and checked. No field has a default here: `load` fills every one."""

    # Where it listens, and with how many processes
    host: Annotated[
        str,
        Row(default="127.0.0.1", kind="host", reloadable=False, help="Address to listen on, without the port."),
    ]
    port: Annotated[int, Row(default=8787, minimum=1, maximum=65535, reloadable=False, help="TCP port to listen on.")]
    backlog: Annotated[
        int,
        Row(
            default=2048,
            minimum=1,
            maximum=65535,
            unit="connections",
            reloadable=False,
            help="Connections that the kernel may hold until a worker accepts them.",
        ),
    ]
    workers: Annotated[
        int,
        Row(
            default=1,
            minimum=1,
            maximum=256,
            unit="processes",
            kind="workers",
            help="Worker processes; `auto` takes the number of CPUs that this process may use.",
        ),
    ]
    max_requests: Annotated[
        int,
        _count(
            0,
            "Requests after which a worker drains and is replaced; 0 keeps it for good.",
            unit="requests",
            minimum=0,
            maximum=1_000_000_000,
        ),
    ]

    # How much each worker does at once
    limit_concurrency: Annotated[
        int, _count(1000, "Requests in progress per worker; further ones are refused.", unit="requests")
    ]
    max_connections: Annotated[int, _count(500, "Open connections to upstreams per worker.", unit="connections")]
    max_keepalive: Annotated[
        int, _count(100, "Idle connections to upstreams that a worker keeps.", unit="connections", minimum=0)
    ]

    # Where requests go
    anthropic_target_api_url: Annotated[
        str,
        _target(
            "https://api.anthropic.com",
            "ANTHROPIC_TARGET_API_URL",
            "Origin that Anthropic requests are relayed to.",
        ),
    ]
    openai_target_api_url: Annotated[
        str,
        _target("https://api.openai.com", "OPENAI_TARGET_API_URL", "Origin that OpenAI requests are relayed to."),
    ]
    gemini_target_api_url: Annotated[
        str,
        _target(
            "https://generativelanguage.googleapis.com",
            "GEMINI_TARGET_API_URL",
            "Origin that Gemini requests are relayed to.",
        ),
    ]

    vertex_target_api_url: Annotated[
        str,
        _target("", "VERTEX_TARGET_API_URL", "Origin for Vertex AI paths (`/v1/projects/…`); empty refuses them."),
    ]
    bedrock_target_api_url: Annotated[
        str,
        _target(
            "",
            "BEDROCK_TARGET_API_URL",
            "Gateway for Bedrock paths (`/model/…`), which signs requests anew; empty refuses them.",
        ),
    ]
    chatgpt_target_api_url: Annotated[
        str,
        _target(
            "https://chatgpt.com",
            "CHATGPT_TARGET_API_URL",
            "Origin for `/backend-api/…`, which Codex uses when signed in with ChatGPT.",
        ),
    ]
    code_assist_target_api_url: Annotated[
        str,
        _target(
            "https://cloudcode-pa.googleapis.com",
            "CODE_ASSIST_TARGET_API_URL",
            "Origin for `/v1internal:…`, which Gemini CLI uses when signed in with Google.",
        ),
    ]
    upstreams: Annotated[
        tuple[Upstream, ...],
        Row(default=(), kind="upstreams", help="More places to relay to, by name; see below."),
    ]

    # How they get there
    upstream_https_proxy_url: Annotated[
        str,
        Row(default="", kind="proxy_url", secret=True, help="Proxy for upstreams with https; empty goes straight."),
    ]
    upstream_http_proxy_url: Annotated[
        str,
        Row(default="", kind="proxy_url", secret=True, help="Proxy for upstreams with http; empty goes straight."),
    ]
    upstream_proxy_exceptions: Annotated[
        str, Row(default="", kind="host_list", help="Hosts that are reached without a proxy, separated by commas.")
    ]
    ca_bundle: Annotated[
        str,
        Row(
            default="",
            kind="path",
            help="PEM file of certificate authorities that upstreams may have, besides the system's.",
        ),
    ]

    # What is compressed
    compression: Annotated[
        Level,
        Row(
            default="lossless",
            help="How far compression goes; `observe` counts what it would do, yet sends the client's bytes.",
        ),
    ]
    compression_margin_percent: Annotated[
        int,
        Row(
            default=3,
            minimum=0,
            maximum=90,
            unit="percent",
            help="A compressed text is used only if it saves at least this share of its tokens.",
        ),
    ]
    compression_references: Annotated[
        bool,
        Row(
            default=True,
            help="Lines that stand in an earlier tool result of the same request become a reference to it.",
        ),
    ]
    compression_block_bytes_max: Annotated[
        int, _size(2 * MIB, "Longer tool results are left alone.", minimum=KIB, maximum=64 * MIB)
    ]
    compression_deadline_ms: Annotated[
        int,
        Row(
            default=300,
            minimum=1,
            maximum=60_000,
            unit="ms",
            help="Time for compressing one request; what is not done by then goes through as it came.",
        ),
    ]
    memo_bytes_max: Annotated[
        int, _size(64 * MIB, "Memory per worker for decisions already made.", minimum=0, maximum=16 * GIB)
    ]

    # Time limits
    connect_timeout_seconds: Annotated[float, _seconds(5, "Limit for connecting to an upstream.")]
    first_byte_timeout_seconds: Annotated[
        float, _seconds(600, "Limit between a request sent and the first byte of its answer.")
    ]
    gap_timeout_seconds: Annotated[float, _seconds(330, "Limit between two parts of an answer.")]
    total_timeout_seconds: Annotated[float, _seconds(0, "Limit for one whole exchange; 0 sets none.", minimum=0)]
    body_timeout_seconds: Annotated[float, _seconds(60, "Limit between two parts of a client's body.")]
    keepalive_seconds: Annotated[int, _seconds(75, "Time that an idle client connection is kept open.", minimum=1)]
    upstream_keepalive_seconds: Annotated[float, _seconds(15, "Time that an idle upstream connection is kept open.")]
    dns_cache_seconds: Annotated[
        float,
        _seconds(60, "Time that a looked-up upstream address is used; 0 looks up each time.", minimum=0),
    ]
    drain_limit_seconds: Annotated[
        int, _seconds(120, "Time for open requests to finish when a worker stops.", minimum=1)
    ]
    worker_timeout_seconds: Annotated[
        int, _seconds(30, "A worker that gives no sign of life for so long is replaced.", minimum=2)
    ]

    # What is asked for again
    retry_attempts_max: Annotated[
        int,
        _count(
            0,
            "How often a conversation that an upstream refuses as too busy (429, 529) is sent again; 0 never.",
            unit="retries",
            minimum=0,
            maximum=10,
        ),
    ]
    retry_delay_seconds_max: Annotated[
        float,
        _seconds(10, "Longest wait before a retry; an upstream that asks for a longer one is not asked again."),
    ]

    # Size limits
    body_bytes_max: Annotated[int, _size(128 * MIB, "Longer request bodies are refused.", minimum=KIB, maximum=4 * GIB)]
    body_bytes_in_flight_max: Annotated[
        int,
        _size(512 * MIB, "Request bodies that a worker holds at once, together.", minimum=KIB, maximum=64 * GIB),
    ]
    header_bytes_max: Annotated[int, _size(64 * KIB, "Longer request heads are refused.", minimum=4 * KIB, maximum=MIB)]

    # What it tells and keeps
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Row(default="info", help="Least level that is logged.")
    ]
    log_format: Annotated[Literal["json", "text"], Row(default="json", help="Form of a log line.")]
    access_log: Annotated[bool, Row(default=True, help="Log one line for each request.")]
    state_dir: Annotated[
        str,
        Row(
            default="",
            kind="path",
            reloadable=False,
            help="Private directory for what the workers share; empty picks one by port at run time.",
        ),
    ]

    # Who may call
    proxy_token: Annotated[
        str,
        Row(
            default="",
            kind="token",
            secret=True,
            help="Callers must send it as `x-headroom-token`; empty asks for none.",
        ),
    ]
    operations_remote: Annotated[
        bool, Row(default=False, help="Answer operations routes for callers beyond loopback too.")
    ]
    allow_unauthenticated_bind: Annotated[
        bool, Row(default=False, help="Listen beyond loopback although no `proxy_token` is set.")
    ]

    def __repr__(self) -> str:
        """All values, secrets hidden, so that a log line or a traceback cannot give one away."""
        pairs = (f"{name}={shown(ROWS[name], value)!r}" for name, value in structs.asdict(self).items())
        return f"Settings({', '.join(pairs)})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """The same for pretty printers, which would read the fields themselves."""
        return [(name, shown(ROWS[name], value)) for name, value in structs.asdict(self).items()]


def shown(row: Row, value: object) -> object:
    """`value` as it may be shown to people: a secret that is set becomes a fixed word."""
    return HIDDEN if row.secret and value else value


def _complete(name: str, annotation: object) -> Row:
    kind, row = get_args(annotation)
    assert isinstance(row, Row), "each field of Settings is annotated with its row"
    if get_origin(kind) is Literal:
        choices = get_args(kind)
    else:
        choices = tuple(level.value for level in Level) if kind is Level else ()
    by_type: dict[object, str] = {bool: "boolean", int: "integer", float: "number", str: "text"}
    return structs.replace(
        row,
        name=name,
        kind=row.kind or ("choice" if choices else by_type[kind]),
        environment=row.environment or PREFIX + name.upper(),
        choices=choices,
    )


ROWS: Final[dict[str, Row]] = {
    name: _complete(name, annotation) for name, annotation in get_type_hints(Settings, include_extras=True).items()
}
"""Setting name -> its row, in the order in which people read them."""

BY_ENVIRONMENT: Final[dict[str, str]] = {row.environment: row.name for row in ROWS.values()}
"""Environment variable -> setting name."""

CONFIG_FILE: Final = "HEADROOM_CONFIG"
ENVIRONMENT_FILE: Final = "HEADROOM_ENV_FILE"
CONFIG_JSON: Final = "HEADROOM_PROXY_CONFIG_JSON"
SERVE_OPTIONS: Final = "HEADROOM_SERVE_OPTIONS"

USUAL_VARIABLES: Final[dict[str, str]] = {
    "HTTP_PROXY": "upstream_http_proxy_url",
    "http_proxy": "upstream_http_proxy_url",
    "HTTPS_PROXY": "upstream_https_proxy_url",
    "https_proxy": "upstream_https_proxy_url",
    "NO_PROXY": "upstream_proxy_exceptions",
    "no_proxy": "upstream_proxy_exceptions",
    "SSL_CERT_FILE": "ca_bundle",
    "REQUESTS_CA_BUNDLE": "ca_bundle",
}
"""Variables that most programs read -> the setting; of two for one setting the later counts."""

SOURCES: Final[dict[str, str]] = {
    CONFIG_FILE: "A TOML file with settings: `name = value`, and a table for each named upstream.",
    ENVIRONMENT_FILE: "A file of NAME=VALUE lines, read again at each HUP.",
    CONFIG_JSON: "Settings as one JSON object. Read by `proxy_pkg.server.asgi:create_app_from_env` only.",
    SERVE_OPTIONS: "Set by `proxyctl serve`: the settings that its options gave, separated by commas.",
}
"""The variables that say where settings come from, and are no settings themselves."""

"""Every setting, one row each: the annotations of `Settings` are the table, and all else is derived from
them.

A row says the default, the bounds, the unit and one line of help. The annotation gives the type, the
field gives the name, and the name gives the environment variable, so none of them can disagree. To add a
setting, add a row.
"""

from typing import Annotated, Final, Literal, get_args, get_origin, get_type_hints

from msgspec import structs

from proxy_pkg.config.compression_settings import CompressionSettings
from proxy_pkg.config.row import GIB, KIB, MIB, Row, count, money, most, seconds, shown, size
from proxy_pkg.model import Level

PREFIX: Final = "HEADROOM_"


class Settings(CompressionSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole configuration, complete and checked. No field has a default here: `load` fills every one."""

    # Time limits
    connect_timeout_seconds: Annotated[
        float,
        seconds(5, "Limit for connecting to an upstream, looking its name up included; three times that by a proxy."),
    ]
    first_byte_timeout_seconds: Annotated[
        float, seconds(600, "Limit between a request sent and the first byte of its answer.")
    ]
    gap_timeout_seconds: Annotated[float, seconds(330, "Limit between two parts of an answer.")]
    total_timeout_seconds: Annotated[float, seconds(0, "Limit for one whole exchange; 0 sets none.", minimum=0)]
    head_timeout_seconds: Annotated[float, seconds(30, "Limit for the whole head of a client's request.", minimum=1)]
    body_timeout_seconds: Annotated[
        float, seconds(60, "Limit between two parts of a client's body, and for one that falls behind its least rate.")
    ]
    body_rate_bytes_min: Annotated[
        int,
        size(
            KIB,
            "Bytes a second of a client's body; one slower for `body_timeout_seconds` is refused; 0 sets no limit.",
            minimum=0,
            maximum=GIB,
        ),
    ]
    keepalive_seconds: Annotated[int, seconds(75, "Time that an idle client connection is kept open.", minimum=1)]
    upstream_keepalive_seconds: Annotated[float, seconds(15, "Time that an idle upstream connection is kept open.")]
    upstream_connection_seconds_max: Annotated[
        float,
        seconds(300, "Greatest age of an upstream connection that is used again; 0 sets none.", minimum=0),
    ]
    dns_cache_seconds: Annotated[
        float,
        seconds(
            60,
            "Longest time that a looked-up upstream address is used, if its TTL is not shorter; 0 looks up each time.",
            minimum=0,
        ),
    ]
    dns_servers: Annotated[
        str,
        Row(
            default="",
            kind="name_servers",
            help="Name servers to ask for upstreams; empty takes those of the system (/etc/resolv.conf).",
        ),
    ]
    dns_resolver: Annotated[
        Literal["own", "system"],
        Row(
            default="own",
            help="Who looks upstreams up: `own` asks name servers without threads, `system` is getaddrinfo in threads.",
        ),
    ]
    drain_limit_seconds: Annotated[
        int, seconds(120, "Time for open requests to finish when a worker stops.", minimum=1)
    ]
    worker_timeout_seconds: Annotated[
        int, seconds(30, "A worker that gives no sign of life for so long is replaced.", minimum=2)
    ]

    # What is asked for again
    retry_attempts_max: Annotated[
        int,
        count(
            0,
            "How often a conversation that an upstream refuses as too busy (429, 529) is sent again; 0 never.",
            unit="retries",
            minimum=0,
            maximum=10,
        ),
    ]
    retry_delay_seconds_max: Annotated[
        float,
        seconds(10, "Longest wait before a retry; an upstream that asks for a longer one is not asked again."),
    ]

    # Size limits
    body_bytes_max: Annotated[int, size(128 * MIB, "Longer request bodies are refused.", minimum=KIB, maximum=4 * GIB)]
    body_bytes_in_flight_max: Annotated[
        int,
        size(
            512 * MIB,
            "Request bodies and WebSocket messages that a worker holds at once, together.",
            minimum=KIB,
            maximum=64 * GIB,
        ),
    ]
    header_bytes_max: Annotated[int, size(64 * KIB, "Longer request heads are refused.", minimum=4 * KIB, maximum=MIB)]

    # What it tells and keeps
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Row(default="info", help="Least level that is logged.")
    ]
    log_format: Annotated[Literal["json", "text"], Row(default="json", reloadable=False, help="Form of a log line.")]
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

    # What the workers share, and with Redis several servers
    store_bytes_max: Annotated[
        int, size(256 * MIB, "Disk space for values that the workers share.", minimum=MIB, maximum=64 * GIB)
    ]
    redis_url: Annotated[
        str,
        Row(
            default="",
            kind="redis_url",
            secret=True,
            help="Redis or Valkey that makes several servers one: limits, budgets, statistics; empty for one server.",
        ),
    ]
    redis_key_prefix: Annotated[
        str, Row(default="headroom:", kind="key_prefix", help="What all keys in Redis begin with.")
    ]
    redis_timeout_ms: Annotated[
        int,
        Row(default=100, minimum=5, maximum=5000, unit="ms", help="Limit for one call to Redis."),
    ]
    redis_connect_timeout_seconds: Annotated[
        float, seconds(5, "Limit for connecting to Redis, TLS and password included; no request waits for it.")
    ]
    redis_servers: Annotated[
        int,
        count(
            1,
            "Servers that share this Redis: while it is out of reach, each keeps to one part in so many of a limit.",
            unit="servers",
            maximum=1000,
        ),
    ]

    # How much may be asked for; 0 sets no limit
    rpm: Annotated[int, most("Requests per minute of each caller; 0 sets no limit.", unit="requests")]
    total_rpm: Annotated[int, most("Requests per minute of all callers; 0 sets no limit.", unit="requests")]
    tpm: Annotated[int, most("Tokens per minute of each caller, in and out; 0 sets no limit.", unit="tokens")]
    total_tpm: Annotated[int, most("Tokens per minute of all callers; 0 sets no limit.", unit="tokens")]
    caller_concurrency: Annotated[
        int, most("Requests of each caller in progress at once; 0 sets no limit.", unit="requests", maximum=4000)
    ]
    total_concurrency: Annotated[
        int, most("Requests of all callers in progress at once; 0 sets no limit.", unit="requests", maximum=4000)
    ]
    budget_usd: Annotated[
        float,
        money("Money for all callers in each `budget_period`; 0 sets no limit.", environment="HEADROOM_BUDGET"),
    ]
    budget_period: Annotated[
        Literal["hourly", "daily", "monthly"],
        Row(default="daily", help="What `budget_usd` is for: a clock hour, a day or a month, in UTC."),
    ]
    budget_day_usd: Annotated[float, money("Money for all callers on each UTC day; 0 sets no limit.")]
    budget_month_usd: Annotated[float, money("Money for all callers in each UTC month; 0 sets no limit.")]
    caller_budget_day_usd: Annotated[float, money("Money for each caller on each UTC day; 0 sets no limit.")]
    caller_budget_month_usd: Annotated[float, money("Money for each caller in each UTC month; 0 sets no limit.")]
    uncounted: Annotated[
        Literal["allow", "refuse"],
        Row(
            default="allow",
            help="With limits of tokens or money: what becomes of requests whose cost cannot be counted.",
        ),
    ]

    # What it costs
    prices: Annotated[
        str,
        Row(default="", kind="path", help="TOML file of prices that go before the shipped ones; see README."),
    ]
    unknown_price: Annotated[
        Literal["open", "closed"],
        Row(
            default="open",
            help="Requests for a model without a price, where money is limited: `open` lets them go, `closed` refuses.",
        ),
    ]
    net_cost_cache_ttl_seconds: Annotated[
        int,
        Row(
            default=300,
            minimum=1,
            maximum=86_400,
            unit="seconds",
            help="For how long providers keep a prompt in their cache: what net savings are worked out with.",
        ),
    ]
    holdout: Annotated[
        float,
        Row(
            default=0,
            minimum=0,
            maximum=1,
            help="Share of conversations, 0 to 1, left uncompressed to compare what both kinds cost.",
        ),
    ]

    # What OpenTelemetry is told
    otel: Annotated[bool, Row(default=False, help="Send traces and metrics by OTLP; needs the `otel` extra.")]
    otel_endpoint: Annotated[
        str,
        Row(
            default="",
            kind="collector_url",
            help="Base URL of the collector; empty leaves it to OTEL_EXPORTER_OTLP_ENDPOINT, else port 4318 here.",
        ),
    ]
    otel_sample_share: Annotated[
        float,
        Row(default=1.0, minimum=0, maximum=1, help="Share of the traces that begin here, 0 to 1, that is kept."),
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
    proxy_keys: Annotated[
        str,
        Row(
            default="",
            kind="proxy_keys",
            secret=True,
            help="More such tokens, each with its caller's name: `NAME:TOKEN,…`. Limits hold for each name.",
        ),
    ]
    operations_remote: Annotated[
        bool, Row(default=False, help="Answer operations routes for callers beyond loopback too.")
    ]
    allowed_hosts: Annotated[
        str,
        Row(
            default="",
            kind="host_list",
            help="Names, beside `localhost` and addresses, by which callers on this machine reach operations routes.",
        ),
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

USUAL_VARIABLES: Final[dict[str, tuple[str, ...]]] = {
    "ALL_PROXY": ("upstream_http_proxy_url", "upstream_https_proxy_url"),
    "all_proxy": ("upstream_http_proxy_url", "upstream_https_proxy_url"),
    "HTTP_PROXY": ("upstream_http_proxy_url",),
    "http_proxy": ("upstream_http_proxy_url",),
    "HTTPS_PROXY": ("upstream_https_proxy_url",),
    "https_proxy": ("upstream_https_proxy_url",),
    "NO_PROXY": ("upstream_proxy_exceptions",),
    "no_proxy": ("upstream_proxy_exceptions",),
    "SSL_CERT_FILE": ("ca_bundle",),
    "REQUESTS_CA_BUNDLE": ("ca_bundle",),
}
"""Variables that most programs read -> the settings; of two for one setting the later counts."""

SOURCES: Final[dict[str, str]] = {
    CONFIG_FILE: "A TOML file with settings: `name = value`, and a table for each named upstream.",
    ENVIRONMENT_FILE: "A file of NAME=VALUE lines, read again at each HUP.",
    CONFIG_JSON: "Settings as one JSON object. Read by `proxy_pkg.server.asgi:create_app_from_env` only.",
    SERVE_OPTIONS: "Set by `proxyctl serve`: the settings that its options gave, separated by commas.",
}
"""The variables that say where settings come from, and are no settings themselves."""

"""The settings of connections: where the server listens, how much it takes on, where requests go and how."""

from typing import Annotated

from msgspec import Struct

from proxy_pkg.config.row import KIB, MIB, Row, count, size, target
from proxy_pkg.model import Upstream


class ConnectionSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first part of the table. See `settings.Settings`, which is the whole."""

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
        count(
            0,
            "Requests after which a worker drains and is replaced; 0 keeps it for good.",
            unit="requests",
            minimum=0,
            maximum=1_000_000_000,
        ),
    ]

    # How much each worker does at once
    limit_concurrency: Annotated[
        int, count(1000, "Requests in progress per worker; further ones are refused.", unit="requests")
    ]
    max_connections: Annotated[int, count(500, "Open connections to upstreams per worker.", unit="connections")]
    max_keepalive: Annotated[
        int, count(100, "Idle connections to upstreams that a worker keeps.", unit="connections", minimum=0)
    ]
    client_buffer_bytes: Annotated[
        int,
        size(
            64 * KIB,
            "What is read of an answer at once; a client that does not read costs four times as much, and 64 KiB.",
            minimum=16 * KIB,
            maximum=16 * MIB,
        ),
    ]

    # Where requests go
    anthropic_target_api_url: Annotated[
        str,
        target(
            "https://api.anthropic.com",
            "ANTHROPIC_TARGET_API_URL",
            "Origin that Anthropic requests are relayed to.",
        ),
    ]
    openai_target_api_url: Annotated[
        str,
        target("https://api.openai.com", "OPENAI_TARGET_API_URL", "Origin that OpenAI requests are relayed to."),
    ]
    gemini_target_api_url: Annotated[
        str,
        target(
            "https://generativelanguage.googleapis.com",
            "GEMINI_TARGET_API_URL",
            "Origin that Gemini requests are relayed to.",
        ),
    ]

    vertex_target_api_url: Annotated[
        str,
        target("", "VERTEX_TARGET_API_URL", "Origin for Vertex AI paths (`/v1/projects/…`); empty refuses them."),
    ]
    bedrock_target_api_url: Annotated[
        str,
        target(
            "",
            "BEDROCK_TARGET_API_URL",
            "Gateway for Bedrock paths (`/model/…`), which signs requests anew; empty refuses them.",
        ),
    ]
    chatgpt_target_api_url: Annotated[
        str,
        target(
            "https://chatgpt.com",
            "CHATGPT_TARGET_API_URL",
            "Origin for `/backend-api/…`, which Codex uses when signed in with ChatGPT.",
        ),
    ]
    code_assist_target_api_url: Annotated[
        str,
        target(
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

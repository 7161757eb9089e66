"""The settings of compression: how far it goes, which tools it leaves alone, and what it may take."""

from typing import Annotated

from proxy_pkg.config.connection_settings import ConnectionSettings
from proxy_pkg.config.row import GIB, KIB, MIB, Row, size
from proxy_pkg.model import Level


class CompressionSettings(ConnectionSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The second part of the table. See `settings.Settings`, which is the whole."""

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
    compression_file_tools: Annotated[
        str,
        Row(
            default="",
            kind="glob_list",
            help="More tools whose results are files, which stay exact, as globs: `mcp__*__read*`.",
        ),
    ]
    compression_shell_tools: Annotated[
        str, Row(default="", kind="glob_list", help="More tools that run shell commands, as globs: `mcp__*__run`.")
    ]
    compression_data_tools: Annotated[
        str,
        Row(
            default="",
            kind="glob_list",
            help="More tools whose results are never a file's text, as globs: `mcp__crm__*`.",
        ),
    ]
    compression_exact_tools: Annotated[
        str,
        Row(
            default="",
            kind="glob_list",
            environment="HEADROOM_EXCLUDE_TOOLS",
            help="Tools whose results are never changed, as globs: `WebFetch,mcp__*`.",
        ),
    ]
    compression_exact_reads: Annotated[
        bool,
        Row(
            default=False,
            environment="HEADROOM_PROTECT_READS",
            help="Results that print a file (a tool that reads, `cat`) are never changed, not even their line numbers.",
        ),
    ]
    compression_tokens_min: Annotated[
        int,
        Row(
            default=0,
            maximum=1_000_000,
            unit="tokens",
            environment="HEADROOM_MIN_TOKENS",
            help="Shorter tool results are never changed; 0 leaves it to what saves.",
        ),
    ]
    compression_block_bytes_max: Annotated[
        int, size(2 * MIB, "Longer tool results are left alone.", minimum=KIB, maximum=64 * MIB)
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
        int, size(64 * MIB, "Memory per worker for decisions already made.", minimum=0, maximum=16 * GIB)
    ]

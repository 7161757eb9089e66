"""The settings as the rules that planning decides by: the same for a server and for `proxyctl compress`."""

from proxy_pkg.compressors.producers import tools
from proxy_pkg.config.compression_settings import CompressionSettings
from proxy_pkg.planning.policy import Rules


def rules_of(settings: CompressionSettings, *, reduces: bool) -> Rules:
    """What the settings say about verdicts, and whether lines may go."""
    return Rules(
        settings.compression_margin_percent,
        settings.compression_block_bytes_max,
        settings.compression_references,
        reduces=reduces,
        tools=tools(
            settings.compression_file_tools,
            settings.compression_shell_tools,
            settings.compression_exact_tools,
            settings.compression_exact_reads,
            settings.compression_data_tools,
        ),
        tokens_min=settings.compression_tokens_min,
    )

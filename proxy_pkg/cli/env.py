"""`proxyctl env CLIENT`: the lines that point a client to this proxy, ready for a shell or a file."""

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Final

import typer

from proxy_pkg.cli.options import command_app, with_overrides
from proxy_pkg.cli.report import fail
from proxy_pkg.config.checks import WILDCARDS, asks_for_token
from proxy_pkg.config.load import examine
from proxy_pkg.config.settings import ROWS, Settings

TOKEN_HEADER: Final = "x-headroom-token"  # noqa: S105 (a header's name)
TOKEN_VARIABLE: Final = ROWS["proxy_token"].environment

app = command_app()


class Client(StrEnum):
    """The clients whose settings are known."""

    CLAUDE = "claude"
    CODEX = "codex"
    GEMINI = "gemini"
    OPENAI = "openai"


@app.command()
@with_overrides
def env(overrides: dict[str, str], client: Annotated[Client, typer.Argument(help="The client to point here.")]) -> None:
    """Print the lines that point a client to this proxy.

    For all but codex they are shell lines: eval "$(proxyctl env claude)". For codex they are a part of its
    configuration file.
    """
    examined = examine(overrides=overrides)
    if examined.problems:
        fail(examined.problems)
    print("\n".join(LINES[client](origin(examined.settings), examined.settings)))


def origin(settings: Settings) -> str:
    """Where a client on this machine reaches the proxy: scheme://host:port."""
    host = "127.0.0.1" if settings.host in WILDCARDS else settings.host
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def _claude(origin: str, settings: Settings) -> list[str]:
    lines = [f"export ANTHROPIC_BASE_URL={origin}"]
    if settings.anthropic_target_api_url == ROWS["anthropic_target_api_url"].default:
        lines += [
            "# Claude Code turns tool search off for any other address than Anthropic's own, and then",
            "# sends the definitions of all tools with each request. This turns it on again. It means that",
            "# requests carry tool_reference blocks, which the API behind the proxy must understand, as",
            "# Anthropic's does.",
            "export ENABLE_TOOL_SEARCH=true",
        ]
    else:
        lines += [
            "# If the API behind the proxy understands tool_reference blocks, this turns tool search on",
            "# again, which Claude Code turns off for any other address than Anthropic's own:",
            "# export ENABLE_TOOL_SEARCH=true",
        ]
    return lines + _token(settings, f'export ANTHROPIC_CUSTOM_HEADERS="{TOKEN_HEADER}: ${TOKEN_VARIABLE}"')


def _codex(origin: str, settings: Settings) -> list[str]:
    lines = [
        "# In ~/.codex/config.toml; the first line belongs above the first [table].",
        'model_provider = "proxy"',
        "",
        "[model_providers.proxy]",
        'name = "OpenAI through the compression proxy"',
        f'base_url = "{origin}/v1"',
        'wire_api = "responses"',
        "# Without this line Codex sends no credentials:",
        "requires_openai_auth = true",
    ]
    if asks_for_token(settings):
        lines += [
            f"# The proxy asks for a token; Codex takes it from the variable {TOKEN_VARIABLE}:",
            f'env_http_headers = {{ "{TOKEN_HEADER}" = "{TOKEN_VARIABLE}" }}',
        ]
    return lines


def _gemini(origin: str, settings: Settings) -> list[str]:
    return [
        "# For Gemini CLI signed in with an API key, and for the google-genai SDKs.",
        f"export GOOGLE_GEMINI_BASE_URL={origin}",
        f'# In Python: genai.Client(http_options={{"base_url": "{origin}"}})',
        *_token(settings, f'export GEMINI_CLI_CUSTOM_HEADERS="{TOKEN_HEADER}: ${TOKEN_VARIABLE}"'),
    ]


def _openai(origin: str, settings: Settings) -> list[str]:
    return [
        f"export OPENAI_BASE_URL={origin}/v1",
        f'# In Python: OpenAI(base_url="{origin}/v1")',
        *_token(
            settings,
            f'# In Python: OpenAI(default_headers={{"{TOKEN_HEADER}": os.environ["{TOKEN_VARIABLE}"]}})',
        ),
    ]


def _token(settings: Settings, line: str) -> list[str]:
    """The line that sends the proxy's token. It names the variable; the token itself is never printed."""
    if not asks_for_token(settings):
        return []
    return [f"# The proxy asks for a token, here taken from the variable {TOKEN_VARIABLE}:", line]


LINES: Final[dict[Client, Callable[[str, Settings], list[str]]]] = {
    Client.CLAUDE: _claude,
    Client.CODEX: _codex,
    Client.GEMINI: _gemini,
    Client.OPENAI: _openai,
}

"""From a User-Agent header to a label: the first product and its version, nothing personal."""

import re

# RFC 9110, 10.1.5: product = token ["/" product-version]. Only the plain part of a token is let through.
_PRODUCT = re.compile(r"\s*([A-Za-z][A-Za-z0-9._-]{0,31})(?:/v?([0-9]{1,6}(?:\.[0-9]{1,6}){0,2}))?")
_USER_AGENT_CHARS_MAX = 256


def client_label(user_agent: str) -> str:
    """`"claude-cli/2.1.3"` for `"claude-cli/2.1.3 (external, cli)"`; "other" where no product can be read."""
    match = _PRODUCT.match(user_agent[:_USER_AGENT_CHARS_MAX])
    if match is None:
        return "other"
    name, version = match.groups()
    return f"{name.lower()}/{version}" if version else str(name.lower())

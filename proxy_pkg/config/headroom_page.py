"""Writes docs/from-headroom.md from the rules: `python -m proxy_pkg.config.headroom_page [FILE]`."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from proxy_pkg.config import headroom_rules as rules
from proxy_pkg.config.headroom_names import ALL_SHARED, WITHOUT_MEANING
from proxy_pkg.config.settings import BY_ENVIRONMENT

TARGET: Final = Path("docs/from-headroom.md")

INTRODUCTION: Final = """# Coming from Headroom

This page is made from the tables in `proxy_pkg/config/headroom_rules.py` by `python -m proxy_pkg.config.headroom_page`.

Clients need no change: same port, same paths, same variables on their side. Take your environment over, run `proxyctl
check-config`, and it says for each of your variables what it does here. Nothing that you switched off is switched on by
the change.

## In five minutes

1. Stop Headroom, so that its port is free. `headroom wrap` and `headroom unwrap` wrote addresses into the files of your
   clients; they may stay, for they name the same port.
2. `make setup`, and `make extras` if you use Redis or OpenTelemetry.
3. `.venv/bin/proxyctl check-config` in the environment that Headroom had. Each problem says what to set instead.
4. `.venv/bin/proxyctl serve`, then `.venv/bin/proxyctl config show --running` and `.venv/bin/proxyctl doctor`.

## The compose file

Headroom's compose file listens on all addresses without a token. Here that wants one:

```yaml
services:
  proxy:
    build:
      context: .                        # this checkout
      dockerfile: deploy/docker/Dockerfile
    environment:
      HEADROOM_HOST: 0.0.0.0
      HEADROOM_PROXY_TOKEN: ${HEADROOM_PROXY_TOKEN:?at least 16 characters}
      HEADROOM_EXCLUDE_TOOLS: Read,Glob,Grep,Write,Edit   # what Headroom leaves alone by itself; see below
      HEADROOM_STATE_DIR: /var/lib/proxy_pkg/8787
    ports:
      - "127.0.0.1:8787:8787"
    volumes:
      - state:/var/lib/proxy_pkg
    stop_grace_period: 150s
volumes:
  state:
```

- `command: ["--host", "0.0.0.0"]` becomes `HEADROOM_HOST`. Clients send the token as `x-headroom-token`;
  `proxyctl env CLIENT` prints how.
- `~/.headroom` is not read: totals and learnt data begin anew. Qdrant and Neo4j are not used, since there is no memory.
- `/readyz`, `/livez`, `/health`, `/stats` and `/metrics` are where they were. The fields of `/stats` are not the same.
- Image, health check, limits: [deploy/docker](../deploy/docker).

## What is different, and why

- **No lossy forms.** A server sends nothing that a client could not have again, so there is no retrieval tool, no
  marker, no cache of originals and no model. It saves less of one request, and no answer is wrong for lack of a line.
- **Old turns never change.** What is sent for a result is the same on every turn, so that the provider's prompt cache
  goes on hitting. Headroom's modes `token` and `cache` both become that. For the same reason nothing can depend on how
  recent a result is, and HEADROOM_PROTECT_RECENT is refused.
- **Only results of tools are changed.** System prompts, users' messages, tool definitions and answers go as they came.
- **Reads are compressed without loss** (of ten line numbers nine go, and what stood in an earlier result is named).
  Headroom leaves Read, Glob, Grep, Write and Edit alone. To have the same:
  `HEADROOM_EXCLUDE_TOOLS=Read,Glob,Grep,Write,Edit`, or `HEADROOM_PROTECT_READS=true` for all that prints a file.
- **No limits unless set.** Headroom has 60 requests and 100,000 tokens a minute by default; here `HEADROOM_RPM` and
  `HEADROOM_TPM` are off, and hold for each caller.
- **Nobody outside gets in without a token.** An address beyond loopback wants `HEADROOM_PROXY_TOKEN`.
- **No request chooses where it goes.** The header `x-headroom-base-url` is not read. Name such places in
  `[upstreams.NAME]` ([settings](settings.md)).
- **No answers from a cache, no memory, no telemetry**, and no request is sent twice unless HEADROOM_RETRY_ATTEMPTS_MAX
  says so.
- Headers of clients that begin with `x-headroom-` do not go on to upstreams.

## Names

Names and values are read as Headroom reads them: `true`, `1`, `yes`, `on` and `enabled` mean yes, all other words no.
An empty value means that nothing is set. Where one of these names says no, and a setting of this proxy says yes, the
server does not start, and says which two contradict each other.
"""


def render() -> str:
    """The whole page."""
    shared = {name: f"`{BY_ENVIRONMENT[name]}`" for name in ALL_SHARED if name in BY_ENVIRONMENT}
    holds = (
        {name: f"no: {text}" for name, text in rules.HOLDS_IF_FALSE.items()}
        | {name: f"yes: {text}" for name, text in rules.HOLDS_IF_TRUE.items()}
        | {name: f"any: {text}" for name, text in rules.HOLDS_ALWAYS.items()}
    )
    refused = {name: f"{refusal.words}: {refusal.text}" for name, refusal in rules.REFUSED.items()}
    sections = (
        ("Settings here under the same name", "They are in [settings](settings.md), with bounds.", shared),
        ("Applied to a setting of this proxy", "", rules.APPLIED),
        ("Refused where they contradict a setting", "", rules.NOT_BESIDE),
        ("Refused", "The server does not start with them, since it could not do what they ask for.", refused),
        ("What they ask for holds in any case", "With another value they are warned of.", holds),
    )
    return "".join(
        (
            INTRODUCTION,
            *(_section(*section) for section in sections),
            "\n### Without a meaning here\n\n",
            "They ask for more than there is here, or for how something works that is not here. One warning names "
            "those that are set.\n\n",
            ", ".join(f"`{name}`" for name in sorted(WITHOUT_MEANING)),
            ".\n\nEvery other name that begins with `HEADROOM_` is an error: a misspelt one would go unnoticed.\n",
        )
    )


def _section(title: str, text: str, names: Mapping[str, str]) -> str:
    return f"\n### {title}\n\n" + (f"{text}\n\n" if text else "") + _table(sorted(names.items()))


def _table(rows: Iterable[tuple[str, str]]) -> str:
    return "| Name | |\n| --- | --- |\n" + "".join(f"| `{name}` | {text} |\n" for name, text in rows)


if __name__ == "__main__":
    (Path(sys.argv[-1]) if len(sys.argv) > 1 and not sys.argv[-1].startswith("-") else TARGET).write_text(
        render(), "utf-8"
    )

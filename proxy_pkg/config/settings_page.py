"""Writes docs/settings.md from the settings table: `python -m proxy_pkg.config.settings_page [FILE]`."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from proxy_pkg.config.parsers import allowed, size_text
from proxy_pkg.config.row import Row
from proxy_pkg.config.settings import CONFIG_FILE, ENVIRONMENT_FILE, ROWS, SOURCES, USUAL_VARIABLES

TARGET: Final = Path("docs/settings.md")


def _usual() -> str:
    pairs = (
        f"`{variable}` for " + " and ".join(f"`{name}`" for name in names)
        for variable, names in USUAL_VARIABLES.items()
        if variable.isupper()
    )
    return ", ".join(pairs)


INTRODUCTION: Final = f"""# Settings

This page is made from the table in `proxy_pkg/config/settings.py` by `python -m
proxy_pkg.config.settings_page`.

## Where a value comes from

Later layers win:

1. the defaults below;
2. the TOML file that `{CONFIG_FILE}` names: `name = value` lines with the names below, and `[upstreams.NAME]` tables;
3. the environment;
4. the environment file that `{ENVIRONMENT_FILE}` names;
5. the options of `proxyctl serve`, `check-config`, `config show` and `env`: `--limit-concurrency 200`.

`proxyctl config show` prints each value and its layer. `proxyctl check-config` reports every fault at
once. A name that does not exist is an error. What becomes of the names that Headroom reads is in
[from-headroom.md](from-headroom.md).

**The environment file** has NAME=VALUE lines as systemd's `EnvironmentFile=` reads them: `#` and `;`
start comments, values may be quoted, nothing is interpolated. It wins over the environment, because a
service that systemd started from that very file still has the file's old values in its environment. So
point both at the same file, and a HUP applies what has changed in it. To take a value back, leave the
name in the file with nothing behind the equals sign: a name that is gone from the file keeps the value it
had at the start.

**On HUP** both files are read again and all workers get the result. Settings marked *restart* keep their
values until then. `proxyctl check-config --running` says beforehand whether the new settings have a
fault.

**Without gunicorn**, `proxy_pkg.server.asgi:create_app_from_env` reads the same layers and, above them
all, a JSON object with the names below from `HEADROOM_PROXY_CONFIG_JSON`.

## How to write a value

- An empty value counts as not set, in each layer: the layer below decides. It takes back what a variable that most
  programs read has said: `HEADROOM_UPSTREAM_HTTPS_PROXY_URL=` goes without `HTTPS_PROXY`. Blanks around a value mean
  nothing.
- Whole numbers and seconds are plain digits; seconds may have a decimal point unless a whole number is
  asked for.
- Sizes are bytes, or have a unit: `64MiB`, `10MB`, `512 KiB`. Large and small letters are the same.
- true can be written `true`, `yes`, `on` or `1`, false `false`, `no`, `off` or `0`.
- A target URL has `http://` or `https://`, a host, and if need be a port and a path prefix. It has no
  user name, query or fragment. The path of each request, such as `/v1/messages`, is put behind it. It may end with
  a version as the SDKs' base URLs do: `https://host.example/v1` and `https://host.example` mean the same, and behind
  `https://api.z.ai/api/paas/v4` the path's own version goes. What both share, such as `/openai`, stands once.
- "per worker" limits hold for each worker process, so the whole server may use that many times `workers`.

## More upstreams

The TOML file can name more places to relay to:

```toml
[upstreams.azure]
url = "https://example.openai.azure.com"
api = "openai"

[upstreams.local]
url = "http://127.0.0.1:8000"
api = "openai"
models = ["qwen*", "llama-?-*"]
```

- Clients reach each one by its own base URL, `http://127.0.0.1:8787/u/azure` here. What follows the name is put
  behind the `url` as it came: `/u/azure/openai/v1/responses` goes to
  `https://example.openai.azure.com/openai/v1/responses`. The end of the path still says what a body is, whatever
  stands before (`…/chat/completions`, `…/messages`, `…/responses`, `…:generateContent`, `…/v2/chat`), so
  conversations are compressed, counted and held to limits on these paths too. `api` says how errors of this proxy
  are worded on all other paths. With the bare host as `url`, OpenRouter is `/u/NAME/api/v1`, z.ai
  `/u/NAME/api/paas/v4`, DashScope `/u/NAME/compatible-mode/v1`, Fireworks `/u/NAME/inference/v1`, LM Studio
  `/u/NAME/api/v0`.
- With `models`, requests of the same API go there by their model too, without the prefix: the model that the JSON
  body names at its top, or else the path. The first upstream with a pattern that fits is taken, large and small letters
  differ, and `*` and `?` mean what they mean in file names. Credentials go where the request goes, as the client
  sent them.
- A WebSocket is chosen by the `model` in its query alone: what its messages say comes too late. Forms (uploads of
  images and audio), model lists, files and batches stay with the API's own upstream.
- In the environment the same table is one JSON object:
  `HEADROOM_UPSTREAMS={{"local": {{"url": "http://127.0.0.1:8000", "api": "openai"}}}}`.
- No header of a request can choose an upstream, and no request can name an address.

## Proxies and certificates on the way to upstreams

- The usual variables count as the weakest layer, just above the defaults: {_usual()}. The spelling in small
  letters wins over the one in capitals. An upstream on this machine (localhost, 127.0.0.0/8, ::1) is never
  reached through a proxy.
- SOCKS is not spoken. A `socks5://` there stops only what would need it: a warning names those upstreams at the start,
  and a request to one gets 502 with what to do; where no upstream can be reached, the server does not start.
- `upstream_proxy_exceptions` takes host names, domains with everything below them, addresses, networks such as
  `10.0.0.0/8`, each but a network with a `:port` behind it if only that port is meant, and `*` for all.
- The certificates in `ca_bundle` are trusted besides those of the system, never instead of them.

## Several servers with one Redis

`redis_url` takes any of these; `valkey` may stand for `redis`, and `rediss` is TLS:

| URL | |
|---|---|
| `redis://[user[:password]@]host[:port][/db]` | one server |
| `redis+sentinel://[user[:password]@]host[:port],host…/name[/db]` | the primary that the Sentinels know as `name` |
| `redis+cluster://[user[:password]@]host[:port],host…` | a Cluster, found through any of its nodes |
| `unix:///path/to/socket` | a server on this machine |

Options follow as a query: `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile`, `ssl_check_hostname`, `sentinel_username`,
`sentinel_password`. It needs the extra `redis`, which `make extras` installs in a checkout; with a wheel file it
is `pip install '/path/to/proxy_pkg-VERSION-py3-none-any.whl[redis]'`. Redis 6.2 or Valkey 7.2 and later will do. No
request waits for a Redis that is out of reach, and none fails for it.

- Connecting has a limit of its own (`redis_connect_timeout_seconds`). A Redis that answers calls later than
  `redis_timeout_ms` counts as lost, and one line of the log says to raise that.
- The settings that begin with `dns_` are for upstreams alone. Names of Redis hosts are looked up by the system, in
  threads of the event loop, at most two at a time in each worker: a name server that is silent about one may keep
  other Redis hosts waiting, and no upstream. An IP address in the URL needs no lookup. The OpenTelemetry SDK looks
  its collector up in threads of its own.

## Files and variables that hold settings

"""


def render() -> str:
    """The whole page as Markdown."""
    return "".join(
        (
            INTRODUCTION,
            _table(("Variable", "Meaning"), ((f"`{name}`", meaning) for name, meaning in SOURCES.items())),
            "\n## All settings\n\n",
            _table(
                ("Name", "Variable", "Default", "Unit", "Allowed", "Applied by", "Meaning"),
                map(_cells, ROWS.values()),
            ),
        )
    )


def _cells(row: Row) -> tuple[str, ...]:
    meaning = row.help + (" Secret: never shown." if row.secret else "")
    applied = "HUP" if row.reloadable else "restart"
    return (f"`{row.name}`", f"`{row.environment}`", _default(row), row.unit, allowed(row), applied, meaning)


def _default(row: Row) -> str:
    if isinstance(row.default, bool):
        return f"`{str(row.default).lower()}`"
    if isinstance(row.default, int) and row.kind == "size":
        return f"`{size_text(row.default)}`"
    return f"`{row.default}`" if row.default not in ("", ()) else "(empty)"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


if __name__ == "__main__":
    (Path(sys.argv[-1]) if len(sys.argv) > 1 and not sys.argv[-1].startswith("-") else TARGET).write_text(
        render(), "utf-8"
    )

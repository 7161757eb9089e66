"""The servers that are measured side by side: ours, the bare stack, nginx; all before one canned upstream."""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from bench.processes import Server, free_port, started
from proxy_pkg.config.settings import USUAL_VARIABLES

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
NGINX_CONF = """\
daemon off; master_process on; worker_processes 1; pid {folder}/nginx.pid; error_log stderr warn;
events {{ worker_connections 2048; }}
http {{
  access_log off; keepalive_requests 1000000; client_max_body_size 64m; client_body_buffer_size 2m;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  upstream canned {{ server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port};
    location = /readyz {{ return 200 "ready"; }}
    location / {{
      proxy_pass http://canned; proxy_http_version 1.1; proxy_set_header connection ""; proxy_buffering off;
    }}
  }}
}}
"""


class Place(Protocol):
    """What a server needs to know of its upstream."""

    @property
    def url(self) -> str: ...


class AbsentError(Exception):
    """A server that this machine does not have; the message says what is missing."""


@contextlib.contextmanager
def canned(folder: Path) -> Iterator[Server]:
    """The upstream that all of them relay to."""
    port = free_port()
    arguments = [sys.executable, "-m", "bench.canned", str(port)]
    with started(arguments, port, folder / "canned.log", "/") as server:
        yield server


def plain_environment() -> dict[str, str]:
    """Our own environment without settings that would change what is measured."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("HEADROOM_") and not name.endswith("_TARGET_API_URL") and name not in USUAL_VARIABLES
    }


def ours_environment(upstream_url: str, port: int, folder: Path) -> dict[str, str]:
    """Defaults, but for where to listen, where to relay to and where state lies."""
    targets = {f"{name}_TARGET_API_URL": upstream_url for name in ("ANTHROPIC", "OPENAI", "GEMINI")}
    place = {"HEADROOM_PORT": str(port), "HEADROOM_STATE_DIR": str(folder / "state")}
    return plain_environment() | targets | place


@contextlib.contextmanager
def ours(upstream: Place, folder: Path, **settings: str) -> Iterator[Server]:
    """This project, served as an operator would. `settings` are environment variables over the defaults."""
    port = free_port()
    environment = ours_environment(upstream.url, port, folder) | settings
    arguments = [sys.executable, "-m", "gunicorn", "-c", "gunicorn_conf.py"]
    with started(arguments, port, folder / "ours.log", "/readyz", environment) as server:
        yield server


@contextlib.contextmanager
def bare(upstream: Server, folder: Path) -> Iterator[Server]:
    """bench/bare.py on one worker."""
    port = free_port()
    environment = plain_environment() | {"BARE_UPSTREAM": upstream.url}
    arguments = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", "1"]
    arguments += ["--worker-class", "uvicorn_worker.UvicornWorker", "--keep-alive", "75", "bench.bare:app"]
    with started(arguments, port, folder / "bare.log", "/readyz", environment) as server:
        yield server


@contextlib.contextmanager
def nginx(upstream: Server, folder: Path) -> Iterator[Server]:
    """nginx with one worker. Raises AbsentError where it is not installed."""
    if NGINX is None:
        raise AbsentError("nginx is not installed (on Debian: apt-get install nginx-light)")
    port = free_port()
    place = folder / "nginx"
    place.mkdir()
    conf = place / "nginx.conf"
    conf.write_text(NGINX_CONF.format(folder=place, port=port, upstream=upstream.port))
    with started([NGINX, "-p", str(place), "-c", str(conf)], port, folder / "nginx.log", "/readyz") as server:
        yield server


STACKS: dict[str, Callable[[Server, Path], contextlib.AbstractContextManager[Server]]] = {
    "ours": ours,
    "bare": bare,
    "nginx": nginx,
}


@contextlib.contextmanager
def side_by_side(names: tuple[str, ...], say: Callable[[str], None]) -> Iterator[dict[str, Server]]:
    """The named servers, all before the same upstream. An absent one is left out, and `say` tells why."""
    with contextlib.ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        upstream = running.enter_context(canned(folder))
        servers: dict[str, Server] = {"direct": upstream}
        for name in names:
            try:
                servers[name] = running.enter_context(STACKS[name](upstream, folder))
            except AbsentError as absent:
                say(f"{name} left out: {absent}")
        yield servers

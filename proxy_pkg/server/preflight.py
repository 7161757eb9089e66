"""What only trying can find before a start: the port, the state directory, the open-file limit, the
vocabulary.
"""

import os
import resource
import ssl
import stat
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from msgspec import Struct
from yarl import URL

from proxy_pkg.config import extras
from proxy_pkg.config.load import socket_passed
from proxy_pkg.config.settings import ROWS, Settings
from proxy_pkg.errors import SettingsError, VocabularyError
from proxy_pkg.prices.table import load as load_prices
from proxy_pkg.relay.proxies import SOCKS_ADVICE, Proxies
from proxy_pkg.relay.trust import trusting
from proxy_pkg.server.listening import refusal
from proxy_pkg.stats.ledger_paths import DISK_FAULTS
from proxy_pkg.store.address import parse
from proxy_pkg.tokens.vocabulary import verify

DESCRIPTORS_SPARE: Final = 100
"""Descriptors per worker for everything but connections: logs, listening sockets, the event loop, shared
files.
"""

DESCRIPTORS_SHARE_MIN: Final = 4
"""Fewer than one in so many of the needed descriptors is a problem; more, yet too few, is a warning."""


class Findings(Struct, frozen=True):
    """Whole sentences: `problems` keep a server from starting or serving, `warnings` do not."""

    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def inspect(settings: Settings, uncertain: Collection[str] = (), *, running: bool = False) -> Findings:
    """Tries everything and leaves nothing behind. Checks that read one of the `uncertain` settings are left
    out.

    `running` says that the server is up with these settings, so that its port is taken by right, and its state
    directory may be of the user that it runs as, where root asks.
    """
    left_out = {state_dir_usable} if running and _root_asks_about(settings.state_dir) else set()
    checks = {check: reads for check, reads in CHECKS.items() if check not in left_out}
    found = [check(settings) for check, reads in checks.items() if not set(reads) & set(uncertain)]
    if not running and not {"host", "port"} & set(uncertain):
        found.append(port_free(settings))
    return _together(found)


def what_is_named(settings: Settings) -> Findings:
    """What is wrong with the files, the proxies, the Redis and the extras that settings name: the same wherever they
    are looked at, in check-config, at a start and at a reload.
    """
    return _together([check(settings) for check in NAMED])


def descriptors_needed(settings: Settings) -> int:
    """Open files that one worker may need: a client and an upstream connection for each of the limits,
    and some.
    """
    return settings.limit_concurrency + settings.max_connections + DESCRIPTORS_SPARE


def port_free(settings: Settings) -> Findings:
    """Binds as gunicorn does, without listening. A socket from the service manager makes that unnecessary."""
    if socket_passed():
        return Findings()
    sentence = refusal(settings, settings.host, settings.port)
    return Findings((sentence,) if sentence else ())


def state_dir_usable(settings: Settings) -> Findings:
    """The directory is ours alone (mode 0700) and can be written, or it can be created. A disk that takes nothing is
    a warning: a server starts all the same.
    """
    path = Path(settings.state_dir)
    try:
        reason = _unfit(path) if os.path.lexists(path) else _not_creatable(path)
    except OSError as error:
        reason = f"{error.strerror}"
        if error.errno in DISK_FAULTS:
            text = f"state directory {path} cannot be written: {reason}; workers would count, and keep limits, alone"
            return Findings(warnings=(text,))
    return Findings((f"state directory {path}: {reason}",) if reason else ())


def descriptors_enough(settings: Settings) -> Findings:
    """Whether one worker at its limits stays below the hard limit for open files, to which a server raises its own."""
    return descriptors_judged(settings, resource.getrlimit(resource.RLIMIT_NOFILE)[1])


def descriptors_judged(settings: Settings, limit: int) -> Findings:
    """The same for a given limit; RLIM_INFINITY is none."""
    needed = descriptors_needed(settings)
    if limit == resource.RLIM_INFINITY or limit >= needed:
        return Findings()
    text = (
        f"each worker may need {needed} open files (HEADROOM_LIMIT_CONCURRENCY + HEADROOM_MAX_CONNECTIONS + "
        f"{DESCRIPTORS_SPARE}), and the hard limit is {limit}: lower the two settings, or raise it with "
        f"`ulimit -Hn {needed}`, LimitNOFILE={needed} in a unit, or --ulimit nofile={needed} of a container"
    )
    if limit * DESCRIPTORS_SHARE_MIN < needed:
        return Findings((text,))
    return Findings(warnings=(text,))


def vocabulary_readable(_settings: Settings) -> Findings:
    """Whether the shipped tokenizer file is there and undamaged."""
    try:
        verify()
    except VocabularyError as error:
        return Findings((str(error),))
    return Findings()


def prices_readable(settings: Settings) -> Findings:
    """Whether the operator's own prices can be read."""
    try:
        load_prices(settings.prices)
    except SettingsError as error:
        return Findings(tuple(f"HEADROOM_PRICES: {problem}" for problem in error.problems))
    return Findings()


def ca_bundle_readable(settings: Settings) -> Findings:
    """Whether the file of certificate authorities has certificates."""
    try:
        if settings.ca_bundle:
            trusting(settings.ca_bundle)
    except OSError as error:
        reason = "it has none" if isinstance(error, ssl.SSLError) else error.strerror or error
        return Findings(
            (
                f"HEADROOM_CA_BUNDLE {settings.ca_bundle} (SSL_CERT_FILE and REQUESTS_CA_BUNDLE set it too): no "
                f"certificates can be read from it: {reason}; name a PEM file that this user can read",
            )
        )
    return Findings()


def redis_usable(settings: Settings) -> Findings:
    """Whether the URL of Redis means something. Redis itself is not asked: a server starts without it."""
    if not settings.redis_url:
        return Findings()
    try:
        _try_papers(parse(settings.redis_url).options)
    except (ValueError, OSError) as error:
        return Findings((f"HEADROOM_REDIS_URL: {getattr(error, 'strerror', None) or error}",))
    return Findings()


def _try_papers(options: dict[str, str]) -> None:
    """Read the certificates and the key that the URL of Redis names, as each connection would. Raises ValueError."""
    context = ssl.create_default_context()
    for name in ("ssl_ca_certs", "ssl_certfile"):
        path = options.get(name, "")
        try:
            if path and name == "ssl_ca_certs":
                context.load_verify_locations(cafile=path)
            elif path:
                context.load_cert_chain(path, options.get("ssl_keyfile"), "")
        except OSError as error:
            reason = "no certificate, or no key for it" if isinstance(error, ssl.SSLError) else error.strerror or error
            raise ValueError(f"{name} {path}: {reason}") from None


def proxies_usable(settings: Settings) -> Findings:
    """Which targets would be reached through a SOCKS proxy, which nothing here speaks.

    Desktops name one for all programs. That is a problem only where nothing can be reached; where something can, the
    others are a warning, and a request to one of them is told what to do.
    """
    proxies = Proxies(
        settings.upstream_https_proxy_url, settings.upstream_http_proxy_url, settings.upstream_proxy_exceptions
    )
    targets = {row.environment: str(getattr(settings, name)) for name, row in ROWS.items() if row.kind == "url"}
    targets |= {f"upstream {each.name}": each.url for each in settings.upstreams}
    urls = {name: URL(url) for name, url in targets.items() if url}
    cut_off = [f"{name} ({url.host})" for name, url in urls.items() if proxies.needs_socks(url)]
    if not cut_off:
        return Findings()
    usable = {name for name, url in urls.items() if not proxies.needs_socks(url)}
    text = f"the proxy that {', '.join(cut_off)} would be reached through speaks SOCKS. {SOCKS_ADVICE}"
    return Findings(warnings=(f"{text}. Requests to them fail with 502",)) if usable else Findings((text,))


def extras_there(settings: Settings) -> Findings:
    """Whether the extras are there that are asked for. Nothing is asked over the network."""
    return Findings(tuple(extras.problems(settings)))


def _together(found: list[Findings]) -> Findings:
    return Findings(
        tuple(problem for findings in found for problem in findings.problems),
        tuple(warning for findings in found for warning in findings.warnings),
    )


def _root_asks_about(directory: str) -> bool:
    """Whether we are root, and the directory is another user's."""
    try:
        return os.geteuid() == 0 != Path(directory).stat().st_uid
    except OSError:
        return False


def _unfit(path: Path) -> str:
    """Why an existing directory cannot be used, or nothing."""
    if path.is_symlink() and path.lstat().st_uid not in (0, os.geteuid()):
        return "it is a symbolic link that belongs to another user; name a directory of your own"
    info = path.stat()
    if not stat.S_ISDIR(info.st_mode):
        return "it is not a directory; remove it or name another in HEADROOM_STATE_DIR"
    if info.st_uid != os.geteuid():
        return f"it belongs to user {info.st_uid}; `chown {os.geteuid()} {path}`, or name another"
    if stat.S_IMODE(info.st_mode) & 0o077:
        return f"other users can look into it; `chmod 700 {path}`"
    return _exposed(path.parent) or _not_writable(path)


def _not_creatable(path: Path) -> str:
    """Why a directory that does not exist cannot be made, or nothing."""
    nearest = next(parent for parent in path.parents if parent.exists())
    if not nearest.is_dir():
        return f"{nearest} is not a directory"
    return _exposed(nearest) or _not_writable(nearest)


def _exposed(parent: Path) -> str:
    """Why others could swap what lies in `parent`, or nothing."""
    info = parent.stat()
    if info.st_uid not in (0, os.geteuid()):
        return f"user {info.st_uid}, who owns {parent}, could replace it; name another in HEADROOM_STATE_DIR"
    if info.st_mode & stat.S_IWOTH and not info.st_mode & stat.S_ISVTX:
        return f"everyone may replace what is in {parent}; `chmod +t {parent}` or name another"
    return ""


def _not_writable(directory: Path) -> str:
    """Why nothing can be made in it, or nothing. Raises OSError where the disk is at fault."""
    probe = directory / f".proxyctl-{os.getpid()}"
    try:
        probe.mkdir(0o700)
        probe.rmdir()
    except OSError as error:
        if error.errno in DISK_FAULTS:
            raise
        return f"{directory} cannot be written: {error.strerror}"
    return ""


CHECKS: Final[dict[Callable[[Settings], Findings], tuple[str, ...]]] = {
    state_dir_usable: ("state_dir", "port"),
    descriptors_enough: ("limit_concurrency", "max_connections"),
    vocabulary_readable: (),
    proxies_usable: ("upstream_https_proxy_url", "upstream_http_proxy_url", "upstream_proxy_exceptions", "upstreams"),
    ca_bundle_readable: ("ca_bundle",),
    redis_usable: ("redis_url",),
    extras_there: ("redis_url", "otel"),
    prices_readable: ("prices",),
}
"""Check -> the settings it reads."""

NAMED: Final = (proxies_usable, ca_bundle_readable, redis_usable, extras_there, prices_readable)
"""Those that every start and reload makes."""

"""Is the other end of a connection on this machine, and does it mean this machine?

A web page can have its own name lead to 127.0.0.1 (DNS rebinding), and the browser then lets it read what is answered
there. Its requests come over loopback, yet they name the page's host.
"""

import ipaddress


def is_loopback_host(host: str | None) -> bool:
    """True for 127.0.0.0/8, ::1, the former IPv4-mapped as dual-stack sockets report it, and localhost.

    False for everything else that may stand in a peer address or a bind setting, wildcards and look-alike
    names included. None, which servers report for the peer of a Unix socket, is False too: what talks through
    such a socket is most often a reverse proxy, which speaks for callers from anywhere.
    """
    if not host:
        return False
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def host_names(listed: str) -> frozenset[str]:
    """The names of a setting that lists hosts, separated by commas."""
    return frozenset(name.strip().lower().rstrip(".") for name in listed.split(",") if name.strip())


def names_this_machine(host: str, names: frozenset[str]) -> bool:
    """Whether a Host header is an address, `localhost` or a name below it, or one of `names`; the port is ignored.

    True without a Host, since every browser sends one.
    """
    if host.startswith("["):
        name = host[1:].partition("]")[0]
    else:
        name = host.rpartition(":")[0] if host.count(":") == 1 else host
    name = name.lower().rstrip(".")
    if not name or name == "localhost" or name.endswith(".localhost") or name in names:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True

"""Is the other end of a connection on this machine?"""

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

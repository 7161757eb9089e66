"""TCP keep-alive: peers that vanish without a word are noticed, even where both sides may be silent for long."""

import socket
from typing import Any

# A request may wait minutes for its first byte, and a socket for ever: after two minutes the kernel gives up.
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 4))


def keep_alive(transport: Any) -> None:
    """Have the kernel probe an idle TCP connection; other transports stay as they are."""
    peer = transport.get_extra_info("socket")
    if peer is not None and peer.family in (socket.AF_INET, socket.AF_INET6):
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE:
            peer.setsockopt(socket.IPPROTO_TCP, option, value)

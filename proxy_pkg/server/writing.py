"""How much waits to be written for a client that does not read: here, and in the kernel."""

import socket
from contextlib import suppress
from typing import Any


def write_in_parts(transport: Any, part_bytes: int) -> None:
    """Have half a part be much for `transport`: whoever writes more is told to wait.

    Without a bound of its own the kernel takes some megabytes for each client that reads nothing. It counts what was
    not sent yet, so a fast reader far away still has as much on its way as its connection can carry.
    """
    transport.set_write_buffer_limits(part_bytes // 2)
    peer = transport.get_extra_info("socket")
    if peer is not None and peer.family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError, AttributeError):  # a kernel without it
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 2 * part_bytes)

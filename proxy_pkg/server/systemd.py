"""Tells the service manager how far we are, as sd_notify(3) has it: one datagram, no library."""

import socket
import time


class ServiceManager:
    """The service manager at `address` (NOTIFY_SOCKET). With an empty address every call does nothing."""

    def __init__(self, address: str) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address

    def ready(self) -> None:
        self._send("READY=1\nSTATUS=Serving requests.")

    def reloading(self) -> None:
        now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send(f"RELOADING=1\nMONOTONIC_USEC={now_us}\nSTATUS=Starting workers with the new configuration.")

    def stopping(self, limit_seconds: float) -> None:
        """We end within `limit_seconds`; a manager that would wait for less is asked to wait so long."""
        limit_us = int(limit_seconds * 1_000_000)
        self._send(f"STOPPING=1\nEXTEND_TIMEOUT_USEC={limit_us}\nSTATUS=Finishing open requests.")

    def hand_over(self, pid: int) -> None:
        """This master ends, and the server continues under the master `pid`."""
        self._send(f"MAINPID={pid}")

    def _send(self, state: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer:
            peer.setblocking(False)
            try:
                peer.sendto(state.encode(), self._address)
            except OSError:  # a manager that does not listen must not stop a server
                return

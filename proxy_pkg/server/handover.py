"""Hands idle connections of a worker that ends to one that serves, over a queue of descriptors that all workers share.

HTTP/1.1 lets a server close an idle connection, and has no answer to a request that crosses the close on the wire. So
none is closed for the sake of a worker's end. Made by the master before its first fork; what nobody has taken yet when
a worker dies is taken by the others.
"""

import os
import socket
from typing import Final

_MESSAGE: Final = b"c"


class Handover:
    """The queue. The end that takes looks like a listening socket: it has `fileno` and `accept`."""

    def __init__(self) -> None:
        # Whole messages: a descriptor and the byte that it comes with are always read together.
        self._sender, self._receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._sender.setblocking(False)
        self._receiver.setblocking(False)

    def fileno(self) -> int:
        """The descriptor that is readable when a connection waits to be taken."""
        return self._receiver.fileno()

    def close(self) -> None:
        """Close both ends, in this process; what waits is lost when the last process does."""
        self._sender.close()
        self._receiver.close()

    def give(self, descriptor: int) -> bool:
        """Put a connection into the queue, from where it lives on without us. False if there is no room for now."""
        try:
            socket.send_fds(self._sender, [_MESSAGE], [descriptor])
        except OSError:
            return False
        return True

    def accept(self) -> tuple[socket.socket, None]:
        """Take a connection; its peer notices nothing.

        Raises BlockingIOError if there is none, and OSError, with those that wait left where they are, if this process
        has no descriptor free.
        """
        # The kernel would drop a connection for which it finds no descriptor.
        os.close(os.dup(self._receiver.fileno()))
        _, descriptors, _, _ = socket.recv_fds(self._receiver, len(_MESSAGE), 1)
        if not descriptors:
            raise ConnectionAbortedError("a connection was lost on its way from one worker to another")
        os.set_inheritable(descriptors[0], False)
        return socket.socket(fileno=descriptors[0]), None

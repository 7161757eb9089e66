"""The server behind a front is started as in the system tests."""

from tests.system.conftest import server, shared_server

__all__ = ["server", "shared_server"]

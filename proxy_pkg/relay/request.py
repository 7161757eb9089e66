"""A request as it goes upstream: with the headers it was given, and where its body is at hand, in one write.

aiohttp hands every body to a task of its own, which costs a tenth of relaying a small request, and works out headers
that a relay has already. The steps here are its own; the tests of this room fail first when a release changes them.
"""

from collections.abc import Iterable
from typing import Any, Final

import aiohttp
from aiohttp.connector import Connection
from multidict import CIMultiDict
from yarl import URL

from proxy_pkg.relay.proxies import Proxies
from proxy_pkg.relay.spelling import head_bytes

_NO_CONTENT_TYPE: Final[CIMultiDict[None]] = CIMultiDict({"Content-Type": None})


class _Written:
    """Stands for aiohttp's writer, of which an answer asks how much it wrote; nobody asks the answer."""

    output_size = 0


_WRITTEN: Final[Any] = _Written()


class RelayRequest(aiohttp.ClientRequest):
    """A request with the headers it was given: aiohttp's own defaults and cookies stay out of it.

    `proxies` says whether it goes through one.
    """

    _whole: bytes | None = None

    def __init__(self, *arguments: Any, proxies: Proxies, is_whole: bool = False, **named: Any) -> None:
        """With `is_whole` the body is bytes, few enough for one write, or None, and nothing else is to be worked out;
        `headers` have the body's length and are this request's own from now on.
        """
        self._proxies = proxies
        self._is_whole = is_whole
        if is_whole:
            self._begin(*arguments, **named)
        else:
            super().__init__(*arguments, **named)

    def _begin(
        self,
        method: str,
        url: URL,
        *,
        headers: "CIMultiDict[str]",
        data: bytes | None,
        loop: Any,
        response_class: type[aiohttp.ClientResponse],
        timer: Any,
        session: Any,
    ) -> None:
        """What aiohttp's own __init__ comes to for a request like this."""
        self.method, self.original_url, self.url, self._whole = method, url, url, data
        self.loop, self.response_class, self._timer, self._session = loop, response_class, timer, session
        self.chunked = self.compress = self.length = self.server_hostname = None
        self.version, self._ssl, self._traces = aiohttp.HttpVersion11, True, []
        self.update_host(url)
        self.update_headers(headers)
        self._skip_auto_headers = _NO_CONTENT_TYPE
        if self.auth is not None:
            self.update_auth(None)
        self.update_proxy(None, None, None)
        if data is None:
            self.headers.popall("Content-Length", None)

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        protocol = conn.protocol
        assert protocol is not None, "a connection that was given back"
        if not self._is_whole or protocol.writing_paused:
            if self._whole is not None:
                self.update_body_from_data(self._whole)
            return await super().send(conn)
        transport = protocol.transport
        if transport is None or transport.is_closing():
            raise aiohttp.ClientOSError(None, f"Can not write to {self.url}")
        target = str(self.url) if self.proxy and not self.is_ssl() else self.url.raw_path_qs
        transport.write(head_bytes(f"{self.method} {target} HTTP/1.1", self.headers) + (self._whole or b""))
        protocol.start_timeout()
        answer = self.response_class(
            self.method,
            self.original_url,
            writer=None,
            continue100=None,
            timer=self._timer,
            request_info=self.request_info,
            traces=self._traces,
            loop=self.loop,
            session=self._session,
            stream_writer=_WRITTEN,
        )
        self.response = answer  # type: ignore[assignment]  # as the base does
        return answer

    def update_proxy(self, proxy: URL | None, proxy_auth: Any, proxy_headers: Any) -> None:
        super().update_proxy(self._proxies.proxy_for(self.url), None, None)

    def update_headers(self, headers: Any) -> None:
        """As aiohttp does it, in one step: `headers` has no Host, since relay/headers.py takes it out."""
        self.headers = CIMultiDict(Host=self.url.host_port_subcomponent or "")
        self.headers.extend(headers or ())

    def update_auto_headers(self, skip_auto_headers: Iterable[str] | None) -> None:
        self._skip_auto_headers = _NO_CONTENT_TYPE

    def update_cookies(self, cookies: Any) -> None:
        return

    def update_body_from_data(self, body: Any, _stacklevel: int = 3) -> None:
        super().update_body_from_data(body, _stacklevel)
        if body is None:
            self.headers.popall("Content-Length", None)

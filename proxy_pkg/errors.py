"""Every error that crosses a floor, drawn as one tree.

ProxyError
├── SettingsError      the configuration cannot be used; carries every problem found
├── VocabularyError    the shipped tokenizer file is missing or damaged
├── ScanError          a body cannot be cut safely; the answer is always passthrough
├── RefusedError       we answer ourselves, on purpose: too large, too busy, not allowed
│   └── LimitedError      a limit of ours is reached
├── ClientGoneError    the client left before its request was complete
└── RelayError         no complete answer came from the upstream
    ├── UpstreamConnectError      no connection, so nothing was sent
    ├── UpstreamTimeoutError      a configured time limit passed
    └── UpstreamBrokenError       the connection ended or misbehaved
"""

from msgspec import Struct


class ProxyError(Exception):
    """The root: catch this to catch everything that this package raises on purpose."""


class SettingsError(ProxyError):
    """The configuration cannot be used. `problems` holds one sentence for each fault, in table order."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class VocabularyError(ProxyError):
    """The tokenizer's rank file is missing or its hash is wrong."""


class ScanError(ProxyError):
    """A body cannot be cut safely. Never shown to a client: the body goes through as it came.

    `reason` names the cause for headers and counters; docs/reasons.md explains each.
    """

    def __init__(self, message: str, reason: str = "broken_json") -> None:
        super().__init__(message)
        self.reason = reason


class RelayError(ProxyError):
    """No complete answer came from the upstream. `phase` is one of connect, send, head, body."""

    def __init__(self, message: str, phase: str) -> None:
        super().__init__(message)
        self.phase = phase


class UpstreamConnectError(RelayError):
    """No connection to the upstream could be made; no byte of the request was sent."""


class UpstreamTimeoutError(RelayError):
    """A configured time limit (connect, first byte, gap or total) passed."""


class UpstreamBrokenError(RelayError):
    """The upstream closed, reset or broke the protocol before its answer was complete."""


class RefusedError(ProxyError):
    """We answer the request ourselves, on purpose.

    `code` names the cause for programs, `status` is the HTTP status, `retry_after_seconds` says when another
    try makes sense, 0 for no such advice.
    """

    def __init__(self, message: str, code: str, status: int, retry_after_seconds: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.retry_after_seconds = retry_after_seconds


class Allowance(Struct, frozen=True):
    """How a limit of ours stands: `kind` is requests or tokens, `reset_seconds` tells when all of it is free again."""

    kind: str
    limit: int
    remaining: int
    reset_seconds: float


class LimitedError(RefusedError):
    """A limit of ours is reached. `allowances` are how the limits stand, the one that refused first.

    `soon` says that a client may try again by itself.
    """

    def __init__(
        self, message: str, code: str, retry_after_seconds: int, allowances: tuple[Allowance, ...], *, soon: bool = True
    ) -> None:
        super().__init__(message, code, 429, retry_after_seconds)
        self.allowances = allowances
        self.soon = soon


class ClientGoneError(ProxyError):
    """The client closed its connection before its request was complete; nobody is left to answer."""

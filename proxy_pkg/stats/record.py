"""What one request did, filled in on its way and counted once at its end."""

from msgspec import Struct

UNKNOWN = "unknown"
"""The model of a request that names none, as far as anybody looked."""

SpanCount = tuple[str, str, str, int]
"""(kind, verdict, reason, how many spans of one body share them)"""


class UsageRecord(Struct):
    """One answer's usage, its price, and what compression changed about it.

    As in RequestRecord, an empty label does not apply and an amount of zero did not happen. Tokens are the provider's;
    dollars are millionths.
    """

    protocol: str = ""
    model: str = ""
    """As the request or the answer names it, if that is plain enough for a label."""
    missing: str = ""
    """Why there is no usage: untold, cut, unread, uncounted."""
    unpriced: str = ""
    """The model, where no price is known for it."""

    reported: int = 0
    """1 for an answer that told its usage."""
    incomplete: int = 0
    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0

    cost_microdollars: int = 0
    gross_microdollars: int = 0
    gain_microdollars: int = 0
    loss_microdollars: int = 0


class SampleRecord(Struct):
    """Both counts, their ratio and its square in millionths."""

    model: str
    estimated: int
    reported: int
    ratio_ppm: int
    ratio_square_ppm: int
    samples: int = 1


class ArmRecord(Struct):
    """Cost is in hundredths of a cent, input in thousands of tokens.

    The log of a conversation is ln(millionths of a dollar / tokens of input) over all its answers so far, in
    millionths. It changes with each of them, and what the sums over conversations of it and of its square rise or fall
    by is here: no counter falls.
    """

    arm: str
    """compressed, held_out"""
    conversations: int
    """1 for the first request of a conversation."""
    cost: int
    input: int
    log_rise: int = 0
    log_fall: int = 0
    square_rise: int = 0
    square_fall: int = 0
    requests: int = 1


class RequestRecord(Struct):
    """One request, from its head to the last byte of its answer. Mutable: each stage writes its own fields.

    An empty label field means that it does not apply and a zero amount that it did not happen; neither is
    counted. Times are nanoseconds, sizes bytes, token counts estimates by o200k_base.
    """

    protocol: str = "other"
    route: str = "other"
    client: str = ""
    """What `clients.client_label` makes of the User-Agent."""
    model: str = UNKNOWN
    """What the request asks for, as a label."""
    status_class: str = "none"
    """`status_class(status)`; "none" where no answer was started."""
    outcome: str = "relayed"
    """relayed, refused (by us, on purpose), failed (no complete answer from the upstream), client_gone."""
    refusal: str = ""
    """Why the request was refused."""
    failure_phase: str = ""
    """The phase of the RelayError: connect, send, head, body; or "answer" for an error that the answer tells of."""
    answer_error: str = ""
    """The kind of that error, in the API's own word."""
    decision: str = ""
    """What became of the body: rewritten, passthrough, observed, bypassed; empty where none was looked at."""
    decision_reason: str = ""
    opening: bytes = b""
    """Tells the conversation from others (planning/opening.py). Shown to nobody."""
    arm: str = ""
    """The arm of a hold-out that the conversation is in: compressed, held_out; empty without one."""
    connection: str = ""
    """The upstream connection: new, reused."""

    spans: list[SpanCount] = []
    spans_seen: int = 0
    """Tool results in the body, whatever their shape."""
    spans_eligible: int = 0
    """Those that policy let a compressor try."""
    spans_compressed: int = 0
    tokens_before: int = 0
    tokens_after: int = 0
    bytes_before: int = 0
    """The decoded body as the client sent it."""
    bytes_after: int = 0
    """The decoded body as rewritten; with `observed`, as it would have been. So with `tokens_after`."""
    request_bytes: int = 0
    response_bytes: int = 0

    limits_ns: int = 0
    """Asking the limits, and waiting for a slot of theirs."""
    read_ns: int = 0
    plan_ns: int = 0
    send_ns: int = 0
    pool_ns: int = 0
    """Waiting for a place among the upstream connections of this worker."""
    connect_ns: int = 0
    first_byte_ns: int = 0
    upstream_ns: int = 0
    retries: int = 0
    """How often the upstream was asked again because it was too busy."""

    @property
    def is_accepted(self) -> bool:
        """Whether the upstream took the request, so that its sender may use it."""
        return self.status_class in ("1xx", "2xx")

    @property
    def tokens_removed(self) -> int:
        """By how much the body that was sent is shorter than the one that came."""
        return self.tokens_before - self.tokens_after if self.decision == "rewritten" else 0

    awaits_usage: bool = False
    """Whether what the answer cost is still to be worked out, after its end."""
    usage: UsageRecord | None = None
    """What it cost, once that is known."""

    counted: bool = False
    """Set by `Counters.finished`; a record is counted once however often it is handed over."""


class StoreLoss(Struct):
    """Something that the store did not do: the operation of its contract, and why."""

    operation: str
    reason: str


_STATUS_CLASSES = ("none", "1xx", "2xx", "3xx", "4xx", "5xx")


def status_class(status: int) -> str:
    """`"2xx"` for 200 to 299 and so on; `"none"` for what is not an HTTP status."""
    return _STATUS_CLASSES[status // 100] if 100 <= status <= 599 else "none"

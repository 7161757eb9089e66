"""A request's body to the body that goes upstream. Nothing that goes wrong here stops the request."""

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from time import monotonic_ns

from msgspec import Struct

from proxy_pkg.billing.holdout import HELD_OUT, NOBODY, HoldOut
from proxy_pkg.billing.models import asked_in, label
from proxy_pkg.errors import RefusedError, ScanError
from proxy_pkg.model import Level
from proxy_pkg.planning.callers import NO_CALLS, Calls
from proxy_pkg.planning.offload import Planner
from proxy_pkg.planning.plan import PLANNED_BEFORE, Plan, left_alone
from proxy_pkg.protocols.grammar import Conversation
from proxy_pkg.stats.record import UNKNOWN, RequestRecord
from proxy_pkg.web.coding import Coder
from proxy_pkg.web.shared_calls import CallersCalls
from proxy_pkg.wire.encoding import DecodedTooLargeError, EncodingError, codings, decode, decoding, encode, encoding
from proxy_pkg.wire.splice import splice

BYPASS_HEADER = b"x-headroom-bypass"

logger = logging.getLogger("proxy_pkg")

Headers = list[tuple[bytes, bytes]]

# Codings of bodies up to these sizes take the loop for a millisecond or two; beyond, the coder's thread does them.
_INLINE_CODED_BYTES = 64 << 10
_INLINE_PLAIN_BYTES = 256 << 10
_INLINE_SPLICED_BYTES = 1 << 20

_CHECKSUMS = frozenset((b"content-digest", b"repr-digest", b"digest", b"content-md5", b"x-amz-content-sha256"))
_SIGNED = b"AWS4-"
_TELLING = _CHECKSUMS | {BYPASS_HEADER, b"content-encoding", b"authorization"}

_TELLING_REASONS = frozenset(("busy", "deadline", PLANNED_BEFORE))
_WEIGHTS = {"": 0, "passthrough": 1, "bypassed": 1, "observed": 2, "rewritten": 3}

_NOTHING_FOUND = [
    (b"x-headroom-tokens-before", b"0"),
    (b"x-headroom-tokens-after", b"0"),
    (b"x-headroom-tokens-saved", b"0"),
    (b"x-headroom-transforms", b"none"),
]


class Decoding(Struct, frozen=True):
    """How content codings are undone: by whom, the bound of a decoded body's bytes, and `hold`, which is told of
    them and may raise RefusedError.
    """

    coder: Coder
    bytes_max: int
    hold: Callable[[int], None]


async def compressed(
    planner: Planner,
    level: Level,
    conversation: Conversation,
    headers: Headers,
    body: bytes,
    record: RequestRecord,
    bounds: Decoding,
    hold_out: HoldOut = NOBODY,
    caller: int = 0,
    others: CallersCalls | None = None,
) -> tuple[bytes, Headers]:
    """The body to send, and response headers that say what was done to it.

    Without a change it is the same object. A changed body has the codings that the `content-encoding` header
    names, as the client's had, so every header stays right. Fills in the record's part on the body.
    """
    headers = [pair for pair in headers if pair[0] in _TELLING]
    if reason := _reason_to_pass(level, headers, body):
        _decide(record, "bypassed" if reason == "bypass_header" else "passthrough", reason)
        return body, [_decision(record)]
    began = monotonic_ns()
    sent, plan = body, None
    coding = _coding(headers)
    try:
        plain = await _plain(coding, body, bounds) if coding else body
        shortened, plan = await replanned(
            planner, level, conversation, plain, record, hold_out=hold_out, caller=caller, others=others
        )
        if shortened is not plain:
            sent = await _coded(coding, shortened, bounds)
    except EncodingError as error:
        _decide(record, "passthrough", error.reason)
    except RefusedError:
        _decide(record, "passthrough", "no_room_to_decode")
    record.plan_ns = monotonic_ns() - began
    return sent, _told(plan, record)


def unread(record: RequestRecord) -> Headers:
    """Write down that a body was not read, for want of a path that says what is in it, and tell the client."""
    _decide(record, "passthrough", "unknown_path")
    return [_decision(record)]


async def replanned(
    planner: Planner,
    level: Level,
    conversation: Conversation,
    body: bytes,
    record: RequestRecord,
    known: Calls = NO_CALLS,
    hold_out: HoldOut = NOBODY,
    caller: int = 0,
    others: CallersCalls | None = None,
) -> tuple[bytes, Plan | None]:
    """The body as planned, the same object if it stays, and the plan, None if there is none.

    Adds to what the record has of earlier bodies. `known` are tool calls made before this body, and `others`
    are asked for further ones. Never raises.
    """
    if others is not None and conversation.answer is not None:
        others.asked(body, conversation.answer)
    record.bytes_before += len(body)
    if record.model == UNKNOWN:  # the body had a coding, or is a frame
        record.model = label(asked_in(body))
    try:
        plan = _in_its_arm(await planner.plan(body, conversation, known, caller, others), record, hold_out)
        if len(body) > _INLINE_SPLICED_BYTES and plan.replacements:
            shortened = await planner.elsewhere(partial(splice, body, plan.replacements))
        else:
            shortened = splice(body, plan.replacements)
    except ScanError as error:
        _decide(record, "passthrough", error.reason)
    except Exception:  # compression is optional work: no fault of ours may stop the request
        logger.exception("compression failed, the body went through as it came")
        _decide(record, "passthrough", "planning_failed")
    else:
        record.bytes_after += len(shortened)
        _count(plan, record)
        _decide(record, *_outcome(plan, level, record.arm))
        return (shortened if record.decision == "rewritten" and plan.replacements else body), plan
    record.bytes_after += len(body)
    return body, None


def _reason_to_pass(level: Level, headers: Headers, body: bytes) -> str:
    if level is Level.OFF:
        return "compression_off"
    if not body:
        return "empty_body"
    if asks_to_bypass(headers):
        return "bypass_header"
    return "signed_body" if _vouches_for_body(headers) else ""


def _vouches_for_body(headers: Headers) -> bool:
    """Whether a header holds a checksum or signature of these very bytes."""
    for name, value in headers:  # noqa: SIM110  # a generator would cost more than the look
        if name in _CHECKSUMS or (name == b"authorization" and value.startswith(_SIGNED)):
            return True
    return False


def asks_to_bypass(headers: Headers) -> bool:
    """Whether the client wants this request to go through as it is."""
    for name, value in headers:  # noqa: SIM110  # as above
        if name == BYPASS_HEADER and value.strip().lower() in (b"true", b"1", b"yes"):
            return True
    return False


async def decoded(headers: Headers, body: bytes, bounds: Decoding) -> bytes:
    """The body without the codings that its headers name. Raises EncodingError, and what `hold` raises."""
    coding = _coding(headers)
    return await _plain(coding, body, bounds) if coding else body


def _coding(headers: Headers) -> str:
    return b",".join([value for name, value in headers if name == b"content-encoding"]).decode("latin-1")


async def _plain(coding: str, body: bytes, bounds: Decoding) -> bytes:
    """The body without its codings, held if that is another one. Raises EncodingError and RefusedError."""
    if not codings(coding):
        return body
    if len(body) <= _INLINE_CODED_BYTES:
        with suppress(DecodedTooLargeError):
            plain = decode(body, coding, min(bounds.bytes_max, _INLINE_PLAIN_BYTES))
            bounds.hold(len(plain))
            return plain
    return await bounds.coder.decoded(decoding(body, coding, bounds.bytes_max), bounds.hold)


async def _coded(coding: str, plain: bytes, bounds: Decoding) -> bytes:
    if not codings(coding):
        return plain
    if len(plain) <= _INLINE_CODED_BYTES:
        return encode(plain, coding)
    return await bounds.coder.encoded(encoding(plain, coding))


def _in_its_arm(plan: Plan, record: RequestRecord, hold_out: HoldOut) -> Plan:
    """The plan, or if the conversation is held out, one that leaves all as it is. It was planned all the same, so
    that both arms of the comparison wait as long.
    """
    record.opening = record.opening or plan.opening
    record.arm = hold_out.arm(record.opening)
    return left_alone(plan, HELD_OUT) if record.arm == HELD_OUT else plan


def _outcome(plan: Plan, level: Level, arm: str) -> tuple[str, str]:
    if arm == HELD_OUT:
        return "passthrough", HELD_OUT
    if not plan.verdicts:
        return "passthrough", "nothing_to_change"
    if not plan.replacements:
        reasons = (*(verdict.reason for verdict in plan.verdicts), *plan.doubts)
        telling = (reason for reason in reasons if reason in _TELLING_REASONS)
        return "passthrough", next(telling, "nothing_to_change")
    return ("observed" if level is Level.OBSERVE else "rewritten"), "smaller"


def _decide(record: RequestRecord, decision: str, reason: str) -> None:
    """Write down a decision; of several bodies in one record, the one that changed most counts."""
    if _WEIGHTS[decision] >= _WEIGHTS[record.decision]:
        record.decision, record.decision_reason = decision, reason


def _count(plan: Plan, record: RequestRecord) -> None:
    if not plan.verdicts and not plan.doubts:
        return
    counts = {(kind, action, reason): number for kind, action, reason, number in record.spans}
    for verdict in plan.verdicts:
        action = "kept" if verdict.text is None else "compressed"
        key = (verdict.kind or "unknown", action, verdict.reason)
        counts[key] = counts.get(key, 0) + 1
    for doubt in plan.doubts:
        key = ("unknown", "kept", doubt)
        counts[key] = counts.get(key, 0) + 1
    record.spans = [(*key, number) for key, number in counts.items()]
    record.spans_seen += len(plan.verdicts) + len(plan.doubts)
    record.spans_eligible += sum(1 for verdict in plan.verdicts if verdict.kind)
    if plan.replacements:
        record.spans_compressed += sum(1 for verdict in plan.verdicts if verdict.text is not None)
    record.tokens_before += plan.tokens_before
    record.tokens_after += plan.tokens_after


def _told(plan: Plan | None, record: RequestRecord) -> Headers:
    """The headers that tell the client. With `observed`, tokens say what would have been."""
    headers = [_decision(record)]
    if plan is not None and not plan.verdicts:
        headers += _NOTHING_FOUND
    elif plan is not None:
        before, after = record.tokens_before, record.tokens_after
        names = sorted({verdict.compressor for verdict in plan.verdicts if verdict.text is not None})
        headers += [
            (b"x-headroom-tokens-before", b"%d" % before),
            (b"x-headroom-tokens-after", b"%d" % after),
            (b"x-headroom-tokens-saved", b"%d" % (before - after)),
            (b"x-headroom-transforms", ",".join(names).encode() or b"none"),
        ]
    return headers


def _decision(record: RequestRecord) -> tuple[bytes, bytes]:
    return (b"x-headroom-decision", f"{record.decision}; reason={record.decision_reason}".encode())

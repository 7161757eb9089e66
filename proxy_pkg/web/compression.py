"""A request's body to the body that goes upstream. Nothing that goes wrong here stops the request."""

import logging
from time import monotonic_ns

from proxy_pkg.errors import ScanError
from proxy_pkg.model import Level
from proxy_pkg.planning.offload import Planner
from proxy_pkg.planning.plan import Plan
from proxy_pkg.protocols.grammar import Conversation
from proxy_pkg.stats.record import RequestRecord
from proxy_pkg.wire.splice import splice

BYPASS_HEADER = b"x-headroom-bypass"

logger = logging.getLogger("proxy_pkg")

Headers = list[tuple[bytes, bytes]]

_NOTHING_FOUND = [
    (b"x-headroom-tokens-before", b"0"),
    (b"x-headroom-tokens-after", b"0"),
    (b"x-headroom-tokens-saved", b"0"),
    (b"x-headroom-transforms", b"none"),
]


async def compressed(
    planner: Planner,
    level: Level,
    conversation: Conversation,
    headers: Headers,
    body: bytes,
    record: RequestRecord,
) -> tuple[bytes, Headers]:
    """The body to send, and response headers that say what was done to it.

    Without a change it is the same object. Fills in the record's part on the body.
    """
    reason = _reason_to_pass(level, headers, body)
    if reason:
        record.decision = "bypassed" if reason == "bypass_header" else "passthrough"
        record.decision_reason = reason
        return body, [_decision(record)]
    began = monotonic_ns()
    plan: Plan | None = None
    try:
        plan = await planner.plan(body, conversation)
    except ScanError:
        record.decision_reason = "body_not_read"
    except Exception:  # compression is optional work: no fault of ours may stop the request
        logger.exception("compression failed, the body went through as it came")
        record.decision_reason = "planning_failed"
    sent = _carry_out(plan, level, body, record)
    record.plan_ns = monotonic_ns() - began
    return sent, _told(plan, record)


def _reason_to_pass(level: Level, headers: Headers, body: bytes) -> str:
    if level is Level.OFF:
        return "compression_off"
    if not body:
        return "empty_body"
    for name, value in headers:
        if name == BYPASS_HEADER and value.strip().lower() in (b"true", b"1", b"yes"):
            return "bypass_header"
        if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            return "content_encoding"
    return ""


def _carry_out(plan: Plan | None, level: Level, body: bytes, record: RequestRecord) -> bytes:
    record.decision = "passthrough"
    record.bytes_before = record.bytes_after = len(body)
    if plan is None:
        return body
    shortened = splice(body, plan.replacements)
    record.bytes_after = len(shortened)
    _count(plan, record)
    if not plan.replacements:
        record.decision_reason = "nothing_to_change"
        return body
    record.decision_reason = "smaller"
    if level is Level.OBSERVE:
        record.decision = "observed"
        return body
    record.decision = "rewritten"
    return shortened


def _count(plan: Plan, record: RequestRecord) -> None:
    if not plan.verdicts and not plan.doubts:
        return
    counts: dict[tuple[str, str, str], int] = {}
    for verdict in plan.verdicts:
        action = "kept" if verdict.text is None else "compressed"
        key = (verdict.kind or "unknown", action, verdict.reason)
        counts[key] = counts.get(key, 0) + 1
    for doubt in plan.doubts:
        key = ("unknown", "kept", doubt)
        counts[key] = counts.get(key, 0) + 1
    record.spans = [(*key, number) for key, number in counts.items()]
    record.spans_seen = len(plan.verdicts) + len(plan.doubts)
    record.spans_eligible = sum(1 for verdict in plan.verdicts if verdict.kind)
    record.spans_compressed = len(plan.replacements)
    record.tokens_before = plan.tokens_before
    record.tokens_after = plan.tokens_after


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

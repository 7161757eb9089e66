"""Every decision about a request body or a tool output, with its reason: what the server does, told offline."""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from proxy_pkg.compressors.detect import detect
from proxy_pkg.errors import ScanError
from proxy_pkg.model import Producer, Verdict
from proxy_pkg.planning.draft import Draft, Memos
from proxy_pkg.planning.plan import compose, settle
from proxy_pkg.planning.policy import Rules, Tokens, decide
from proxy_pkg.planning.reading import draw
from proxy_pkg.planning.watch import NO_WATCH, Watch
from proxy_pkg.protocols.anthropic import MESSAGES
from proxy_pkg.protocols.gemini import GENERATE
from proxy_pkg.protocols.grammar import Protocol
from proxy_pkg.protocols.openai_chat import CHAT
from proxy_pkg.protocols.openai_responses import RESPONSES
from proxy_pkg.wire.splice import splice

PROTOCOLS = {protocol.name: protocol for protocol in (MESSAGES, CHAT, RESPONSES, GENERATE)}
"""The request formats that hold a conversation, by name."""

_MEMO_BYTES = 64 << 20
NO_DEADLINE_NS = 1 << 62
_SOME_COMMAND = Producer("shell")


class Explained(Struct, frozen=True):
    """One text and what was decided about it. `start` and `end` are byte offsets in the body, quotes included."""

    start: int
    end: int
    tool: str
    kind: str
    why: str
    text: str
    verdict: Verdict


class Explanation(Struct, frozen=True):
    """A whole input explained. `protocol` is empty for a tool output, `sent` is what would go upstream."""

    protocol: str
    spans: tuple[Explained, ...]
    doubts: tuple[str, ...]
    sent: bytes

    @property
    def tokens_before(self) -> int:
        return sum(span.verdict.tokens_before for span in self.spans)

    @property
    def tokens_after(self) -> int:
        return sum(span.verdict.tokens_after for span in self.spans)

    def as_dict(self) -> dict[str, Any]:
        """All of it but the bytes to send, as values for JSON."""
        return {
            "protocol": self.protocol,
            "tokens_before": self.tokens_before,
            "tokens_after": self.tokens_after,
            "tokens_saved": self.tokens_before - self.tokens_after,
            "spans": [_span_as_dict(span) for span in self.spans],
            "doubts": self.doubts,
            "bytes_sent": len(self.sent),
        }


def explain_text(text: str, producer: Producer, rules: Rules, tokens: Tokens, watch: Watch = NO_WATCH) -> Explanation:
    """Explain a tool's output as the result of `producer`; of a shell command if that has no name."""
    producer = producer if producer.name else _SOME_COMMAND
    watch.begin(0, has_form=False)
    verdict = decide(text, producer, rules, tokens)
    watch.end()
    span = _explained(0, len(text), text, producer, rules, verdict)
    sent = text if span.verdict.text is None else span.verdict.text
    return Explanation("", (span,), (), sent.encode("utf-8", "surrogateescape"))


def explain_body(
    body: bytes,
    protocol: Protocol,
    rules: Rules,
    tokens: Tokens,
    deadline_ns: int = NO_DEADLINE_NS,
    watch: Watch = NO_WATCH,
) -> Explanation:
    """Explain a request body; what is not decided at `deadline_ns` (monotonic) is left alone. Raises ScanError where
    it cannot be cut.
    """
    assert protocol.conversation is not None
    memos = Memos(_MEMO_BYTES)
    draft = draw(body, protocol.conversation, memos, asking=rules.reduces)
    settle(draft, rules, tokens, memos, deadline_ns, watch=watch)
    plan = compose(draft)
    return Explanation(protocol.name, tuple(_spans(draft, rules)), plan.doubts, splice(body, plan.replacements))


def protocol_of(body: bytes) -> Protocol | None:
    """The request format of a body that came without its path: the one that finds most in it, else None.

    Only formats whose items the body has are looked for in it: each look reads all of it.
    """
    candidates = _candidates(body)
    if len(candidates) == 1:
        return candidates[0]
    best, most = None, -1
    for protocol in candidates:
        assert protocol.conversation is not None
        try:
            found = draw(body, protocol.conversation, Memos(0)).places
        except ScanError:
            continue
        if len(found) > most:
            best, most = protocol, len(found)
    return best


def _candidates(body: bytes) -> list[Protocol]:
    try:
        members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return list(PROTOCOLS.values())
    formats = [each for each in PROTOCOLS.values() if each.conversation and each.conversation.path[0] in members]
    return formats or list(PROTOCOLS.values())


def _span_as_dict(span: Explained) -> dict[str, Any]:
    verdict = span.verdict
    return {
        "start": span.start,
        "end": span.end,
        "tool": span.tool,
        "kind": span.kind,
        "why": span.why,
        "compressed": verdict.text is not None,
        "reason": verdict.reason,
        "compressor": verdict.compressor,
        "grade": verdict.grade,
        "tokens_before": verdict.tokens_before,
        "tokens_after": verdict.tokens_after,
        "sent": verdict.text,
    }


def _spans(draft: Draft, rules: Rules) -> Iterator[Explained]:
    for place in draft.places:
        assert place.decided is not None
        text = place.text
        start, end = place.offset + text.start, place.offset + text.end
        yield _explained(start, end, text.text, place.producer, rules, place.decided.verdict)


def _explained(start: int, end: int, text: str, producer: Producer, rules: Rules, verdict: Verdict) -> Explained:
    detection = detect(text, producer, rules.tools)
    return Explained(start, end, producer.name, detection.kind, detection.why, text, verdict)

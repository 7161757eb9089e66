"""A body that holds a whole request of another call becomes that request, so that both are planned the same.

Calls that count tokens take the request whose tokens they count: as it is, inside an object, or in base64. What is
counted then is what would be sent.
"""

from base64 import b64decode, b64encode
from binascii import Error

from msgspec import Struct
from msgspec.structs import replace

from proxy_pkg.errors import ScanError
from proxy_pkg.model import Replacement
from proxy_pkg.planning.plan import Plan
from proxy_pkg.protocols.grammar import Conversation, Envelope
from proxy_pkg.wire.scan import locate, parse
from proxy_pkg.wire.splice import splice


class Opened(Struct, frozen=True):
    """The request to plan: `body` in the words of `conversation`.

    `start` and `end` are where its base64 text stands in the body that held it, quotes included; both are 0 if `body`
    is that body itself.
    """

    body: bytes
    conversation: Conversation
    start: int = 0
    end: int = 0

    def closed(self, plan: Plan) -> Plan:
        """The plan for the body that held the request. Its offsets are that body's."""
        if not self.end or not plan.replacements:
            return plan
        text = b'"%b"' % b64encode(splice(self.body, plan.replacements))
        return replace(plan, replacements=(Replacement(self.start, self.end, text),))


def opened(body: bytes, conversation: Conversation) -> Opened:
    """The request that `body` holds, or the body itself if it holds none. Raises ScanError where that cannot be told,
    and where the request cannot be written as it was.
    """
    found = locate(body, [envelope.path for envelope in conversation.envelopes])
    for envelope in conversation.envelopes:
        if envelope.path in found:
            return _inside(body, *found[envelope.path], envelope, conversation)
    return Opened(body, replace(conversation, envelopes=()))


def _inside(body: bytes, start: int, end: int, envelope: Envelope, outer: Conversation) -> Opened:
    inner = envelope.conversation or replace(outer, envelopes=())
    if not envelope.is_base64:
        return Opened(body, replace(inner, within=(*envelope.path, *inner.within)))
    text = parse(body[start:end])
    try:
        plain = b64decode(text, validate=True)
    except (Error, TypeError, ValueError) as error:
        raise ScanError(f"{envelope.path[-1]!r} is no base64 text", "unknown_shape") from error
    if b64encode(plain).decode() != text:
        raise ScanError(f"{envelope.path[-1]!r} is no base64 as we write it", "unknown_shape")
    return Opened(plain, inner, start, end)

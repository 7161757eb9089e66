"""What somebody should look at: clients whose tool results this server no longer finds."""

from typing import Final

from msgspec import Struct

from proxy_pkg.stats.catalogue import METRICS
from proxy_pkg.stats.snapshot import Reading

UNSEEN_BODIES_MIN: Final = 50
"""With fewer bodies, having found nothing to compress may be chance."""


class UnseenClient(Struct, frozen=True):
    """A client version that sent `bodies` request bodies whose `tool_results` were none of them eligible."""

    protocol: str
    client: str
    bodies: int
    tool_results: int


def unseen_clients(reading: Reading) -> list[UnseenClient]:
    """Clients with at least UNSEEN_BODIES_MIN bodies and not one eligible span.

    Names hold the version, so a client whose update changed the shape of its requests shows up although its
    earlier version was fine.
    """
    spans = reading.of(METRICS["proxy_client_spans_total"])
    found = []
    for (protocol, client), cells in reading.of(METRICS["proxy_client_bodies_total"]).items():
        eligible = spans.get((protocol, client, "eligible"), [0])[0]
        if cells[0] >= UNSEEN_BODIES_MIN and not eligible:
            seen = spans.get((protocol, client, "seen"), [0])[0]
            found.append(UnseenClient(protocol, client, cells[0], seen))
    return found

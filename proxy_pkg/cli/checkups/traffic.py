"""Whether clients come through the server that runs here, and whether it finds in their requests what it looks for."""

from collections.abc import Iterator

from proxy_pkg.cli.checkups.finding import Finding, ok, warning
from proxy_pkg.stats.attention import unseen_clients
from proxy_pkg.stats.catalogue import METRICS
from proxy_pkg.stats.snapshot import Reading


def examined(reading: Reading) -> Iterator[Finding]:
    """What was counted since the server started."""
    by_client: dict[str, int] = {}
    for (_, client), cells in reading.of(METRICS["proxy_client_bodies_total"]).items():
        by_client[client] = by_client.get(client, 0) + cells[0]
    if not by_client:
        yield ok("clients", "no conversation has come yet; `proxyctl env` prints what points a client here")
        return
    most = sorted(by_client, key=lambda client: -by_client[client])[:3]
    shares = ", ".join(f"{client} {by_client[client]}" for client in most)
    yield ok("clients", f"bodies of conversations since the start: {sum(by_client.values())} ({shares})")
    for unseen in unseen_clients(reading):
        text = f"{unseen.client} sent {unseen.bodies} bodies, and nothing in them could be shortened"
        advice = "an update may have changed how it writes tool results: see one with `proxyctl compress`"
        yield warning("clients", text, advice)

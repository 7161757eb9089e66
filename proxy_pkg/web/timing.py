"""Where a request's time went, as its answer tells it."""

from proxy_pkg.stats.record import RequestRecord


def server_timing(record: RequestRecord) -> bytes:
    """Where the time went up to here, in milliseconds, as a Server-Timing header has it: our own phases, of which most
    requests wait for no limit and no place in the pool, and the upstream's part, connecting included.
    """
    told = b"headroom-read;dur=%.2f, headroom-plan;dur=%.2f, headroom-connect;dur=%.2f, headroom-upstream;dur=%.2f" % (
        record.read_ns / 1e6,
        record.plan_ns / 1e6,
        record.connect_ns / 1e6,
        record.first_byte_ns / 1e6,
    )
    if record.limits_ns or record.pool_ns:
        waits = (record.limits_ns / 1e6, record.pool_ns / 1e6)
        told += b", headroom-limits;dur=%.2f, headroom-pool;dur=%.2f" % waits
    return told

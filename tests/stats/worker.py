"""A worker process: counts requests and acknowledges each with one byte on stdout, as a client would see its answer.

Usage: worker.py STATE_DIR REQUESTS   (0 requests: until it is killed)
"""

import os
import sys
from itertools import count

from proxy_pkg.stats.counters import open_counters
from proxy_pkg.stats.record import RequestRecord


def main(state_dir: str, requests: int) -> None:
    counters = open_counters(state_dir, workers=2)
    os.write(1, b"+")
    for number in count(1):
        counters.began()
        record = RequestRecord(
            protocol=("anthropic", "openai-chat", "gemini")[number % 3],
            route=f"route {(os.getpid() + number // 50) % 40}",
            status_class="2xx",
            decision="rewritten",
            decision_reason=f"reason {number % 7}",
            spans=[("json", "compressed", f"reason {number % 9}", 2)],
            tokens_before=10,
            tokens_after=7,
            upstream_ns=number * 1000,
        )
        counters.finished(record)
        os.write(1, b".")
        counters.ended()
        if number == requests:
            break
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

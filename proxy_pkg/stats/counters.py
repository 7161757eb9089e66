"""Counting on the request path: a few additions to integers that every worker can read.

Not safe for threads: all methods belong to the thread of the worker's event loop.
"""

import os
import time

from proxy_pkg.stats import ledger as at
from proxy_pkg.stats import slots
from proxy_pkg.stats.catalogue import CATALOGUE
from proxy_pkg.stats.feeds import RecordFeed, SpanFeed
from proxy_pkg.stats.ledger import Ledger
from proxy_pkg.stats.record import ArmRecord, RequestRecord, SampleRecord, StoreLoss, UsageRecord

_NAMES: dict[type, str] = {UsageRecord: "usage", SampleRecord: "sample", ArmRecord: "arm", StoreLoss: "loss"}
"""What the catalogue calls the records that are not of requests."""


class Counters:
    """What this worker has counted, and what it is serving now."""

    def __init__(self, slot: slots.Slot, state_dir: str = "") -> None:
        """Go on from the totals that an earlier holder of the slot left; its gauges end here."""
        self.state_dir = state_dir
        self.closed = False
        self._slot = slot
        self._ledger = Ledger(memoryview(slot.mapping))
        self._words = self._ledger.words
        self._enter()
        fed = [metric for metric in CATALOGUE if not metric.derived]
        of_requests = [metric for metric in fed if metric.record == "request"]
        self._record_feed = RecordFeed([metric for metric in of_requests if not metric.spans], self._ledger)
        self._feeds = {
            kind: RecordFeed([metric for metric in fed if metric.record == name], self._ledger)
            for kind, name in _NAMES.items()
        }
        self._span_feeds = [SpanFeed(metric, self._ledger) for metric in fed if metric.spans]

    @property
    def slot(self) -> int:
        """The number of this worker's slot, -1 if its counts are its own alone."""
        return self._slot.number

    @property
    def shared(self) -> bool:
        """True if every worker sees these counts."""
        return self._slot.number >= 0

    @property
    def buffer(self) -> memoryview:
        """This worker's ledger, to be read with `reading.read_ledger`; release it before `close`."""
        return memoryview(self._slot.mapping).toreadonly()

    def drains(self) -> None:
        """This worker takes no new connections any more."""
        if not self.closed:
            self._words[at.WORD_DRAINING] = 1

    def holds(self, scope: str) -> None:
        """This worker shares limits with so many: one of `ledger.SCOPES`."""
        if not self.closed:
            self._words[at.WORD_SCOPE] = at.SCOPES.index(scope)

    def lost(self, operation: str, reason: str) -> None:
        """The store did not do something."""
        if not self.closed:
            self._feeds[StoreLoss].count(StoreLoss(operation, reason))

    def began(self) -> None:
        """A request is being served from now on."""
        if not self.closed:
            self._words[at.WORD_IN_FLIGHT] += 1

    def ended(self) -> None:
        """It is no longer being served. Call once for each `began`, whatever happened."""
        if not self.closed:
            self._words[at.WORD_IN_FLIGHT] -= 1

    def finished(self, record: RequestRecord) -> None:
        """Count a request, the first time its record is handed over and never again.

        Call it before the byte that completes the answer leaves: then whoever has an answer finds it counted.
        """
        if record.counted or self.closed:
            return
        record.counted = True
        self._record_feed.count(record)
        if record.spans:
            for feed in self._span_feeds:
                feed.count(record)
        self._words[at.WORD_FINISHED] += 1

    def count_usage(self, record: UsageRecord | SampleRecord | ArmRecord) -> None:
        """Count what an answer cost or taught, once, after its last byte was sent: no answer waits for it. A worker
        that is killed in between has counted the request and not its cost.
        """
        if not self.closed:
            self._feeds[type(record)].count(record)

    def close(self) -> None:
        """Leave the slot to a successor. The totals stay; what is reported later counts nowhere."""
        self.closed = True
        self._words[at.WORD_IN_FLIGHT] = 0
        self._words[at.WORD_PID] = 0
        self._ledger.release()
        self._slot.close()

    def _enter(self) -> None:
        words = self._words
        words[at.WORD_IN_FLIGHT] = 0
        words[at.WORD_FINISHED] = 0
        words[at.WORD_DRAINING] = 0
        words[at.WORD_SCOPE] = 0
        words[at.WORD_STARTED_NS] = time.monotonic_ns()
        words[at.WORD_PID] = os.getpid()
        words[at.WORD_STARTS] += 1


def open_counters(state_dir: str, workers: int) -> Counters:
    """Counters in the lowest free slot of `state_dir`. Raises SlotError; then there is `private_counters`."""
    return Counters(slots.open_slot(state_dir, slots.slots_max(workers)), state_dir)


def private_counters(state_dir: str = "") -> Counters:
    """Counters that only this process sees, so that a worker serves even where shared ones cannot be had."""
    return Counters(slots.private_slot(), state_dir)

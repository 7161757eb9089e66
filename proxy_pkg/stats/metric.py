"""What the catalogue says about one metric."""

import zlib
from typing import Literal

from msgspec import Struct

Kind = Literal["counter", "gauge", "histogram"]
OTHER = "other"
FAMILIES_MAX = 8
UNACCEPTED_SHARE = 4
"""One in so many places is for names that only requests have which the upstream did not accept."""


class Label(Struct, frozen=True):
    """A dimension of a metric. `field` is where `RequestRecord` holds it, by default under the label's name.

    `values` closes the set; without it the first `values_max` distinct values are kept. The rest is "other".

    Clients choose the values of one that is `foreign`. So that nobody can take all room with made-up ones, requests
    that the upstream did not accept may bring a quarter of them; and when all are taken, FAMILIES_MAX more are kept of
    what stands before the version, `claude-cli` of `claude-cli/2.1.3`.
    """

    name: str
    values: tuple[str, ...] = ()
    values_max: int = 32
    field: str = ""
    foreign: bool = False

    @property
    def source(self) -> str:
        """The record field that holds the value."""
        return self.field or self.name


class Metric(Struct, frozen=True):
    """One row: what is counted, in which unit, by which labels, and where a request record holds the amount.

    amount   the record field to add; empty adds 1 for each request to which every label applies
    split    (value, record field) pairs: one series for each value of the last label, fed from its own field
    when     a record field that must not be empty, although it is no label
    spans    the amounts are the record's span counts; their kind, verdict and reason follow the protocol
    bounds   upper bucket bounds of a histogram, in its unit; the record holds nanoseconds for one of seconds
    record   which record feeds it: "request" (RequestRecord, before the answer ends), "usage", "sample" and "arm"
             (UsageRecord, SampleRecord and ArmRecord, after it) or "loss" (StoreLoss)
    derived  worked out from the slots when somebody asks, so nothing feeds it
    """

    name: str
    kind: Kind
    unit: str
    meaning: str
    labels: tuple[Label, ...] = ()
    amount: str = ""
    split: tuple[tuple[str, str], ...] = ()
    when: str = ""
    spans: bool = False
    bounds: tuple[float, ...] = ()
    record: Literal["request", "usage", "sample", "arm", "loss"] = "request"
    derived: bool = False

    @property
    def cells(self) -> int:
        """How many integers one series takes: one, or for a histogram its buckets, +Inf and the sum (times in µs)."""
        return len(self.bounds) + 2 if self.kind == "histogram" else 1

    @property
    def sum_parts(self) -> int:
        """How many of what a histogram's sum is counted in make one of its unit."""
        return 1_000_000 if self.unit == "seconds" else 1

    @property
    def schema(self) -> str:
        """Eight hex digits that change when the numbers of a series would change their meaning."""
        shape = repr((self.name, self.kind, self.unit, [label.name for label in self.labels], self.bounds))
        return f"{zlib.crc32(shape.encode()):08x}"

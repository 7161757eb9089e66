"""Where things lie in the file that the workers share. Another layout is another file name.

All integers are in the machine's own byte order; offsets below are in words of 8 bytes unless they say bytes.

    header   signature, `UNSETTLED`, `WAITING`, the names and ends of the rings
    budgets  BUDGETS records: key, used, expiry in seconds of Unix time, reserved
    rates    RATES records: key, newest part, the sum, and PARTS counts of 4 bytes, one for each part of the period
    heads    HEADS records: key, how many are here
    leases   LEASES records: key, owner, length; then the length and the bytes of the name, and the note
    rings    RINGS_MAX x RING_NOTES_MAX records: length, note
    holds    HOLDS records: key of the budget and its worker, key of the budget, owner, what it has reserved
"""

from typing import Final

from proxy_pkg.store.contract import NOTE_BYTES_MAX, PERIOD_PARTS, RING_NOTES_MAX, RINGS_MAX

WORD: Final = 8
SIGNATURE: Final = b"claims 2"
FILE: Final = "claims-2"

HEADER_BYTES: Final = 4096
UNSETTLED: Final = 1
"""The word that is 1 while a lease is being entered or ended: found so, the heads are counted anew."""
WAITING: Final = 2
"""The word that is 1 while a worker waits for the lock: those that come later let it go first."""
RING_NAMES: Final = 8
RING_ENDS: Final = RING_NAMES + RINGS_MAX

BUDGETS: Final = 8192
BUDGET_WORDS: Final = 4
BUDGETS_AT: Final = HEADER_BYTES // WORD

RATES: Final = 4096
PARTS: Final = PERIOD_PARTS + 1
"""The part that is under way, and a whole period of parts before it."""
RATE_WORDS: Final = 3 + (PARTS + 1) // 2
RATES_AT: Final = BUDGETS_AT + BUDGETS * BUDGET_WORDS

HEADS: Final = 4096
HEAD_WORDS: Final = 2
HEADS_AT: Final = RATES_AT + RATES * RATE_WORDS

LEASES: Final = 4096
NAME_BYTES_MAX: Final = 200
LEASE_HEAD_WORDS: Final = 3
LEASE_WORDS: Final = LEASE_HEAD_WORDS + (1 + NAME_BYTES_MAX + NOTE_BYTES_MAX + WORD - 1) // WORD
LEASES_AT: Final = HEADS_AT + HEADS * HEAD_WORDS

RING_WORDS: Final = 1 + (NOTE_BYTES_MAX + WORD - 1) // WORD
RINGS_AT: Final = LEASES_AT + LEASES * LEASE_WORDS

HOLDS: Final = 8192
HOLD_WORDS: Final = 4
HOLDS_AT: Final = RINGS_AT + RINGS_MAX * RING_NOTES_MAX * RING_WORDS

REGION_BYTES: Final = (HOLDS_AT + HOLDS * HOLD_WORDS) * WORD

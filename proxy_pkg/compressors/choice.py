"""Choosing the lines that stay: some whatever they cost, others while there is room."""

from collections.abc import Iterable, Sequence

_ALMOST_ONE = 1 - 1e-9


class Choice:
    """Which lines of a text stay, and how many characters more may."""

    def __init__(self, lines: Sequence[str], room_chars: int) -> None:
        self.kept = bytearray(len(lines))
        self._costs = [len(line) + 1 for line in lines]
        self._room_chars = room_chars

    def keep(self, lines: Iterable[int]) -> None:
        """Keep lines whatever they cost. Numbers that no line has are passed over."""
        for line in lines:
            if 0 <= line < len(self.kept):
                self.kept[line] = 1

    def keep_best(self, lines: Iterable[int], share: float) -> None:
        """Keep lines in the order given while a share of the room lasts; one that has no room is passed over."""
        left = int(self._room_chars * share)
        for line in lines:
            cost = self._costs[line]
            if cost <= left and not self.kept[line]:
                left -= cost
                self._spend((line,), cost)

    def keep_spread(self, runs: Sequence[Sequence[int]], share: float = 1.0) -> None:
        """Keep runs of lines while a share of the room lasts, spread evenly over all that are not kept yet."""
        priced = [(run, cost) for run in runs if (cost := self._cost(run))]
        room = int(self._room_chars * share)
        part = min(1.0, room / max(1, sum(cost for _, cost in priced)))
        due = 0.0
        for run, cost in priced:
            due += part
            if due >= _ALMOST_ONE and cost <= room:
                due -= 1.0
                room -= cost
                self._spend(run, cost)

    def _cost(self, run: Sequence[int]) -> int:
        return sum(self._costs[line] for line in run if not self.kept[line])

    def _spend(self, run: Sequence[int], cost: int) -> None:
        self._room_chars -= cost
        self.keep(run)

"""Work on a thread: in turn, with what it raised, and given up where it does not come back."""

import sys
import threading

import pytest

from proxy_pkg.planning.desk import Desk
from proxy_pkg.planning.watch import ALARM, NO_JOURNAL, BrokenOff, OverdueError, ThreadWatch


class Overdue(ThreadWatch):
    """A watch for which everything takes too long at once."""

    def begin(self, key: int, *, has_form: bool) -> None:
        super().begin(key, has_form=has_form)
        self.limit_ns = 0


def for_ever(watch: ThreadWatch, ended: threading.Event) -> None:
    try:
        watch.begin(7, has_form=False)
        while True:
            pass
    finally:
        ended.set()


async def test_work_is_done_in_turn_and_faults_reach_who_waits() -> None:
    desk, order = Desk("test"), []
    jobs = [desk.take(lambda number=number: order.append(number)) for number in range(5)]  # type: ignore[misc]
    broken = desk.take(lambda: 1 // 0)
    for job in jobs:
        await job.done
    with pytest.raises(ZeroDivisionError):
        await broken.done
    assert order == list(range(5))
    desk.close()


async def test_what_does_not_come_back_is_given_up_and_the_next_is_served() -> None:
    desk, ended, watch = Desk("test"), threading.Event(), Overdue(NO_JOURNAL)
    stuck = desk.take(lambda: for_ever(watch, ended), watch=watch)
    following = desk.take(lambda: "served")
    with pytest.raises(OverdueError):
        await stuck.done
    assert await following.done == "served"
    assert ended.wait(10), "a loop in Python is ended"
    assert (desk.given_up, watch.key) == (1, 7)
    desk.close()


async def test_what_was_not_begun_can_be_withdrawn() -> None:
    desk, gate = Desk("test"), threading.Event()
    first = desk.take(lambda: gate.wait(10), chars=5)
    second = desk.take(lambda: None, chars=3)
    assert desk.chars == 8
    assert desk.withdraw(second)
    assert not desk.withdraw(first)
    gate.set()
    assert await first.done
    assert desk.chars == 0
    desk.close()


async def test_a_desk_without_a_thread_does_the_work_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert await Desk("test").take(lambda: "done").done == "done"


def test_a_break_that_a_finalizer_swallows_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stubborn:
        def __del__(self) -> None:
            while True:
                pass

    swallowed: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda said: swallowed.append(said.exc_type))
    ALARM.attach(NO_JOURNAL)
    with pytest.raises(BrokenOff):
        try:
            ALARM.begin(1, has_form=False)
            Stubborn()
            while True:
                pass
        finally:
            ALARM.end()
    assert swallowed == [BrokenOff]


def test_work_on_the_loop_is_broken_off() -> None:
    ALARM.attach(NO_JOURNAL)
    with pytest.raises(BrokenOff):
        try:
            ALARM.begin(1, has_form=False)
            while True:
                pass
        finally:
            ALARM.end()

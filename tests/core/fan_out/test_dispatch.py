"""Shares carried out by runs elsewhere, or here: over made-up runs, in made-up time."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import pytest

from core.errors import LakeRefused, LakeUnavailable
from core.fan_out.dispatch import Bounds, Dispatch, Phase, Seen, told_of
from core.fan_out.shares import Share
from core.hours import hours_between
from tests.core.fan_out.examples import NEWEST

START, QUIET, POLL = 120.0, 1800.0, 5.0


def shares(count: int) -> list[Share]:
    return [Share(tuple(hours_between(NEWEST - 10 * n - 3, NEWEST - 10 * n))) for n in reversed(range(count))]


@dataclass
class Fleet:
    """Workers that exist only here.

    Attributes:
        capacity: How many runs they do at once.
        seconds: How long one takes.
        fate: How the run of a share ends, if not well; and whether it is stuck for ever (None).
        brings: How many hours come of a share whose run does not end well.
    """

    capacity: int = 8
    seconds: float = 60.0
    here_seconds: float = 60.0
    fate: dict[Share, Seen | None] = field(default_factory=dict)
    here_fails: set[Share] = field(default_factory=set)
    brings: int = 0
    now: float = 0.0
    most_out: int = 0
    begun: dict[Share, float] = field(default_factory=dict)
    asked: list[Share] = field(default_factory=list)
    called_off: list[Share] = field(default_factory=list)
    here: list[Share] = field(default_factory=list)
    done: dict[Share, int] = field(default_factory=dict)
    told: list[int] = field(default_factory=list)

    def start(self, share: Share) -> Share:
        self.asked.append(share)
        return share

    def look(self, run: Share) -> Seen:
        self._work()
        if run not in self.begun:
            return Seen(Phase.WAITING)
        if self.now - self.begun[run] < self.seconds or (run in self.fate and self.fate[run] is None):
            return Seen(Phase.RUNNING)
        return self.fate.get(run) or Seen(Phase.COMPLETE)

    def call_off(self, run: Share) -> bool:
        self._work()
        if run in self.begun:
            return False
        self.called_off.append(run)
        return True

    def do_here(self, share: Share) -> Seen:
        self.here.append(share)
        self.now += self.here_seconds
        if share in self.here_fails:
            return Seen(Phase.FAILED, "no luck here")
        self.done[share] = len(share)
        return Seen(Phase.COMPLETE)

    def left(self, some: Collection[Share]) -> Mapping[Share, int]:
        self._work()
        return {share: len(share) - self.done.get(share, 0) for share in some}

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def _work(self) -> None:
        for share in self.asked:
            ended = [one for one, began in self.begun.items() if self.now - began >= self.seconds]
            for one in ended:
                self.done.setdefault(one, self.brings if one in self.fate else len(one))
            stuck = [one for one in self.begun if one in self.fate and self.fate[one] is None]
            busy = len(self.begun) - len({*ended} - {*stuck})
            free = share not in self.begun and share not in self.called_off
            if free and busy < self.capacity:
                self.begun[share] = self.now
        out = [one for one in self.asked if one not in self.called_off and one not in self.done]
        self.most_out = max(self.most_out, len(out))

    def dispatch(self, *, at_once: int = 8, nobody: bool = False) -> Dispatch[Share]:
        return Dispatch(
            runs=None if nobody else self,
            here=self.do_here,
            left=self.left,
            told=self.told.append,
            bounds=Bounds(at_once, START, QUIET, POLL),
            clock=lambda: self.now,
            sleep=self.sleep,
        )


def test_each_share_is_carried_out_by_a_run_of_its_own_and_not_too_many_at_once() -> None:
    fleet = Fleet()
    endings = fleet.dispatch(at_once=3).carry_out(shares(10))
    assert fleet.asked == shares(10)
    assert all(ending.complete and not ending.here for ending in endings.values())
    assert fleet.most_out == 3
    assert fleet.told[-1] == 40
    assert fleet.told == sorted(fleet.told)
    assert told_of(endings) == "10 parts"


def test_with_nobody_to_run_them_all_are_done_here() -> None:
    fleet = Fleet()
    endings = fleet.dispatch(nobody=True).carry_out(shares(4))
    assert fleet.here == shares(4)
    assert fleet.asked == []
    assert all(ending.complete and ending.here for ending in endings.values())
    assert told_of(endings) == "4 parts, 4 of them here"


def test_where_no_worker_begins_anything_the_wait_is_paid_once() -> None:
    fleet = Fleet(capacity=0)
    endings = fleet.dispatch(at_once=2).carry_out(shares(6))
    assert sorted(fleet.here, key=str) == sorted(shares(6), key=str)
    assert fleet.called_off == fleet.here
    assert all(ending.complete for ending in endings.values())
    assert fleet.now <= START + POLL + 6 * fleet.here_seconds + 2 * START


def test_what_workers_have_no_time_for_is_done_here_meanwhile() -> None:
    fleet = Fleet(capacity=1, seconds=400)
    endings = fleet.dispatch().carry_out(shares(8))
    assert all(ending.complete for ending in endings.values())
    assert fleet.here
    assert len(fleet.begun) + len(fleet.here) == 8


@pytest.mark.parametrize("message", ["", "the process was killed"])
def test_the_share_of_a_run_that_died_is_done_here(message: str) -> None:
    dead = shares(3)[1]
    fleet = Fleet(fate={dead: Seen(Phase.DIED, message)})
    endings = fleet.dispatch().carry_out(shares(3))
    assert fleet.here == [dead]
    assert endings[dead].complete


def test_a_run_that_says_it_works_while_nothing_comes_is_replaced() -> None:
    stuck = shares(3)[0]
    fleet = Fleet(fate={stuck: None})
    endings = fleet.dispatch().carry_out(shares(3))
    assert fleet.here == [stuck]
    assert endings[stuck].complete
    assert QUIET <= fleet.now <= QUIET + 100


def test_a_slow_run_that_brings_hours_is_left_alone() -> None:
    slow = shares(1)[0]
    fleet = Fleet(seconds=4 * QUIET)

    def left(some: Collection[Share]) -> Mapping[Share, int]:
        return {share: max(0, 4 - int(fleet.now // (QUIET * 0.9))) for share in some}

    dispatch = fleet.dispatch()
    dispatch.left = left
    assert dispatch.carry_out([slow])[slow].complete
    assert fleet.here == []


def test_a_lake_that_is_busy_for_a_while_changes_nothing() -> None:
    fleet = Fleet(fate={shares(3)[0]: Seen(Phase.FAILED, "one hour is bad")})
    dispatch, asked = fleet.dispatch(), iter(range(1000))

    def left(some: Collection[Share]) -> Mapping[Share, int]:
        if next(asked) % 2:
            raise LakeUnavailable(str(some))
        return fleet.left(some)

    dispatch.left = left
    endings = dispatch.carry_out(shares(3))
    assert [ending.complete for ending in endings.values()].count(True) == 2


def test_a_lake_that_refuses_ends_it() -> None:
    dispatch = Fleet().dispatch()

    def refused(some: Collection[Share]) -> Mapping[Share, int]:
        raise LakeRefused(str(some))

    dispatch.left = refused
    with pytest.raises(LakeRefused):
        dispatch.carry_out(shares(1))


def test_a_failed_run_keeps_its_reason_and_the_others_go_on() -> None:
    bad = shares(5)[2]
    fleet = Fleet(fate={bad: Seen(Phase.FAILED, "1 of 4 hours failed")}, brings=3)
    endings = fleet.dispatch(at_once=1).carry_out(shares(5))
    assert endings[bad].reason == "1 of 4 hours failed"
    assert [ending.complete for ending in endings.values()].count(False) == 1
    assert fleet.here == []


def test_a_cancelled_run_is_not_done_here() -> None:
    unwanted = shares(2)[0]
    fleet = Fleet(fate={unwanted: Seen(Phase.CANCELLED)})
    endings = fleet.dispatch().carry_out(shares(2))
    assert endings[unwanted].reason == "its run ended cancelled"
    assert fleet.here == []


def test_after_three_parts_in_a_row_that_bring_nothing_no_more_are_started() -> None:
    some = shares(9)
    fleet = Fleet(fate={share: Seen(Phase.FAILED, "wrong key") for share in some})
    endings = fleet.dispatch(at_once=1).carry_out(some)
    assert len(fleet.asked) == 3
    assert [ending.begun for ending in endings.values()] == [True] * 3 + [False] * 6
    assert told_of(endings) == "3 parts"
    assert fleet.told[-1] == 12


def test_hours_that_fail_one_by_one_never_starve_later_ones() -> None:
    some = shares(9)
    told = f"4 of 4 hours failed:\n  {NEWEST}: over 4 GB"
    fleet = Fleet(fate={share: Seen(Phase.FAILED, told) for share in some[:5]})
    endings = fleet.dispatch(at_once=1).carry_out(some)
    assert len(fleet.asked) == 9
    assert [ending.complete for ending in endings.values()].count(True) == 4


def test_a_run_that_begins_late_is_not_taken_for_one_that_is_stuck() -> None:
    fleet = Fleet(capacity=1, seconds=200)
    dispatch = fleet.dispatch()
    dispatch.bounds = Bounds(8, start_seconds=86400, quiet_seconds=300, poll_seconds=POLL)
    assert all(ending.complete for ending in dispatch.carry_out(shares(8)).values())
    assert fleet.here == []


def test_while_a_part_is_done_here_the_others_are_not_called_stuck() -> None:
    fleet = Fleet(capacity=2, seconds=QUIET + 300, here_seconds=QUIET + 100)
    fleet.dispatch().carry_out(shares(4))
    assert not {*fleet.here} & {*fleet.begun}


def test_parts_that_bring_something_are_no_reason_to_stop() -> None:
    some = shares(9)
    fleet = Fleet(fate={share: Seen(Phase.FAILED, "one hour is bad") for share in some}, brings=1)
    fleet.dispatch(at_once=1).carry_out(some)
    assert len(fleet.asked) == 9


def test_a_share_can_be_carried_out_once_more() -> None:
    fleet = Fleet()
    dispatch = fleet.dispatch(nobody=True)
    dispatch.carry_out(shares(3))
    dispatch.carry_out(shares(1))
    assert len(fleet.here) == 4
    assert max(fleet.told) == 12


def test_what_fails_here_is_told_like_everything_else() -> None:
    bad = shares(2)[1]
    fleet = Fleet(capacity=0, here_fails={bad})
    endings = fleet.dispatch().carry_out(shares(2))
    assert endings[bad].reason == "no luck here"
    assert endings[bad].here

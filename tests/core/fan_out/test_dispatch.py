"""Shares carried out by runs elsewhere, or here: over made-up runs, in made-up time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import pytest

from core.errors import LakeRefused, LakeUnavailable
from core.fan_out.dispatch import Bounds, Dispatch
from core.fan_out.runs import Phase, Seen, told_of
from core.fan_out.shares import Share
from core.hours import hours_between
from tests.core.fan_out.examples import NEWEST, share_of

START, QUIET, POLL = 120.0, 1800.0, 5.0
HOURS = 4

#: A share, and how many runs of it there were before.
Run = tuple[Share, int]

#: A run that says it works for ever, and brings nothing.
STUCK = None


def shares(count: int) -> list[Share]:
    return [
        share_of(*hours_between(NEWEST - 10 * n - HOURS + 1, NEWEST - 10 * n)) for n in reversed(range(count))
    ]


@dataclass
class Fleet:
    """Workers that exist only here.

    Attributes:
        capacity: How many runs they do at once.
        seconds: How long one takes.
        fates: How the first run of a share ends, its second, …; those that are not named end well.
        brings: How many hours come of a run that does not end well.
        silent: How many requests for a run get no answer.
        deaths_here: How often a share dies in here, before it ends.
    """

    capacity: int = 8
    seconds: float = 60.0
    here_seconds: float = 60.0
    fates: dict[Share, list[Seen | None]] = field(default_factory=dict)
    here_fails: set[Share] = field(default_factory=set)
    brings: int = 0
    silent: int = 0
    deaths_here: int = 0
    now: float = 0.0
    most_out: int = 0
    begun: dict[Run, float] = field(default_factory=dict)
    asked: list[Run] = field(default_factory=list)
    called_off: list[Run] = field(default_factory=list)
    cancelled: list[Run] = field(default_factory=list)
    here: list[Share] = field(default_factory=list)
    done: dict[Share, int] = field(default_factory=dict)
    told: list[int] = field(default_factory=list)

    def start(self, share: Share, before: int) -> Run | None:
        if self.silent:
            self.silent -= 1
            return None
        self.asked.append((share, before))
        return share, before

    def look(self, run: Run) -> Seen:
        self._work()
        if run not in self.begun:
            return Seen(Phase.WAITING)
        fate = self._fate(run)
        return Seen(Phase.RUNNING) if fate is STUCK or not self._is_over(run) else fate

    def call_off(self, run: Run) -> bool:
        self._work()
        if run in self.begun:
            return False
        self.called_off.append(run)
        return True

    def cancel(self, run: Run) -> None:
        self.cancelled.append(run)

    def do_here(self, share: Share, moved: Callable[[], None]) -> Seen:
        self.here.append(share)
        if share in self.here_fails:
            return Seen(Phase.FAILED, "no luck here")
        if self.deaths_here:
            self.deaths_here -= 1
            return Seen(Phase.DIED, "nobody notes it down")
        for hours in range(1, HOURS + 1):
            self.now += self.here_seconds / HOURS
            self.done[share] = max(hours, self.done.get(share, 0))
            moved()
        return Seen(Phase.COMPLETE)

    def left(self, some: Collection[Share]) -> Mapping[Share, int]:
        self._work()
        return {share: len(share) - self.done.get(share, 0) for share in some}

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def _fate(self, run: Run) -> Seen | None:
        share, before = run
        fates = self.fates.get(share, [])
        return fates[before] if before < len(fates) else Seen(Phase.COMPLETE)

    def _is_over(self, run: Run) -> bool:
        return run in self.begun and self.now - self.begun[run] >= self.seconds

    def _work(self) -> None:
        for run in self.asked:
            ended = [one for one in self.begun if self._is_over(one)]
            for one in ended:
                if (fate := self._fate(one)) is not STUCK:
                    brought = HOURS if fate.phase is Phase.COMPLETE else self.brings
                    self.done[one[0]] = max(brought, self.done.get(one[0], 0))
            busy = len(self.begun) - sum(self._fate(one) is not STUCK for one in ended)
            if run not in self.begun and run not in self.called_off and busy < self.capacity:
                self.begun[run] = self.now
        out = [one for one in self.asked if one not in self.called_off and not self._is_over(one)]
        self.most_out = max(self.most_out, len(out))

    def dispatch(self, *, at_once: int = 8, nobody: bool = False) -> Dispatch[Run]:
        return Dispatch(
            runs=None if nobody else self,
            here=self.do_here,
            left=self.left,
            told=self.told.append,
            bounds=Bounds(at_once, START, QUIET, POLL),
            clock=lambda: self.now,
            sleep=self.sleep,
        )


def failing(*some: Share, reason: str = "wrong key") -> dict[Share, list[Seen | None]]:
    return {share: [Seen(Phase.FAILED, reason)] for share in some}


# Runs that end


def test_each_share_is_carried_out_by_a_run_of_its_own_and_not_too_many_at_once() -> None:
    fleet = Fleet()
    endings = fleet.dispatch(at_once=3).carry_out(shares(10))
    assert fleet.asked == [(share, 0) for share in shares(10)]
    assert all(ending.complete and not ending.here for ending in endings.values())
    assert fleet.most_out == 3
    assert fleet.told[-1] == 40
    assert fleet.told == sorted(fleet.told)
    assert told_of(endings) == "10 parts"


def test_a_failed_run_keeps_its_reason_and_the_others_go_on() -> None:
    bad = shares(5)[2]
    fleet = Fleet(fates=failing(bad, reason="1 of 4 hours failed"), brings=3)
    endings = fleet.dispatch(at_once=1).carry_out(shares(5))
    assert endings[bad].reason == "1 of 4 hours failed"
    assert [ending.complete for ending in endings.values()].count(False) == 1
    assert fleet.here == []


def test_a_cancelled_run_is_not_done_again() -> None:
    unwanted = shares(2)[0]
    fleet = Fleet(fates={unwanted: [Seen(Phase.CANCELLED)]})
    endings = fleet.dispatch().carry_out(shares(2))
    assert endings[unwanted].reason == "its run ended cancelled"
    assert len(fleet.asked) == 2
    assert fleet.here == []


# Runs that nobody begins


def test_with_nobody_to_run_them_all_are_done_here() -> None:
    fleet = Fleet()
    endings = fleet.dispatch(nobody=True).carry_out(shares(4))
    assert fleet.here == shares(4)
    assert fleet.asked == []
    assert all(ending.complete and ending.here for ending in endings.values())
    assert told_of(endings) == "4 parts, 4 of them here"


def test_where_no_worker_begins_anything_each_place_waits_once() -> None:
    fleet = Fleet(capacity=0)
    endings = fleet.dispatch(at_once=2).carry_out(shares(6))
    assert sorted(fleet.here, key=str) == shares(6)
    assert fleet.called_off == [(share, 0) for share in fleet.here]
    assert all(ending.complete for ending in endings.values())
    # What is asked for while a share is done here has waited when its turn comes.
    assert fleet.now <= 3 * (START + POLL) + 6 * fleet.here_seconds


def test_what_workers_have_no_time_for_is_done_here_meanwhile() -> None:
    fleet = Fleet(capacity=1, seconds=400)
    endings = fleet.dispatch().carry_out(shares(8))
    assert all(ending.complete for ending in endings.values())
    assert fleet.here
    assert len(fleet.begun) + len(fleet.here) == 8


def test_what_could_not_be_asked_for_is_asked_for_again() -> None:
    fleet = Fleet(silent=5)
    endings = fleet.dispatch().carry_out(shares(3))
    assert all(ending.complete and not ending.here for ending in endings.values())
    assert fleet.asked == [(share, 0) for share in shares(3)]
    assert fleet.now >= 5 * POLL


def test_what_can_never_be_asked_for_is_done_here() -> None:
    fleet = Fleet(silent=10_000)
    endings = fleet.dispatch().carry_out(shares(3))
    assert all(ending.complete and ending.here for ending in endings.values())
    assert (fleet.asked, fleet.called_off) == ([], [])


def test_a_run_that_was_asked_for_late_has_as_long_to_begin() -> None:
    fleet = Fleet(silent=int(START // POLL) - 2, capacity=0)
    fleet.dispatch().carry_out(shares(1))
    assert fleet.called_off == [(shares(1)[0], 0)]
    assert fleet.now >= 2 * START - 3 * POLL


def test_a_run_that_may_have_been_asked_for_is_not_asked_for_again_by_the_same_number() -> None:
    """The answer was lost: by its number the server would tell of that one, whatever became of it."""
    fleet = Fleet(silent=30)
    dispatch = fleet.dispatch()
    assert dispatch.carry_out(shares(1))[shares(1)[0]].here
    fleet.silent = 0
    dispatch.carry_out(shares(1))
    assert fleet.asked == [(shares(1)[0], 1)]


@pytest.mark.parametrize("nobody", [True, False])
def test_what_dies_in_here_is_tried_again(nobody: bool) -> None:
    fleet = Fleet(capacity=0, deaths_here=3)
    endings = fleet.dispatch(nobody=nobody).carry_out(shares(2))
    assert all(ending.complete and ending.here for ending in endings.values())
    assert len(fleet.here) == 5


def test_what_dies_in_here_for_ever_fails_with_its_reason() -> None:
    fleet = Fleet(deaths_here=10_000)
    endings = fleet.dispatch(nobody=True).carry_out(shares(1))
    assert endings[shares(1)[0]].reason == "nobody notes it down"
    assert fleet.now >= 10 * POLL


def test_what_fails_here_is_told_like_everything_else() -> None:
    bad = shares(2)[1]
    fleet = Fleet(capacity=0, here_fails={bad})
    endings = fleet.dispatch().carry_out(shares(2))
    assert endings[bad].reason == "no luck here"
    assert endings[bad].here


# Runs that die, or stand still


@pytest.mark.parametrize("message", ["", "the process was killed"])
def test_the_share_of_a_run_that_died_gets_another_one(message: str) -> None:
    dead = shares(3)[1]
    fleet = Fleet(fates={dead: [Seen(Phase.DIED, message)]})
    endings = fleet.dispatch().carry_out(shares(3))
    assert fleet.asked == [*((share, 0) for share in shares(3)), (dead, 1)]
    assert fleet.here == []
    assert endings[dead].complete


def test_one_that_died_twice_is_done_here() -> None:
    dead = shares(3)[1]
    fleet = Fleet(fates={dead: [Seen(Phase.DIED, "no such image")] * 2})
    endings = fleet.dispatch().carry_out(shares(3))
    assert len(fleet.asked) == 4
    assert fleet.here == [dead]
    assert endings[dead].complete


def test_a_run_that_says_it_works_while_nothing_comes_is_replaced() -> None:
    stuck = shares(3)[0]
    fleet = Fleet(fates={stuck: [STUCK]})
    endings = fleet.dispatch().carry_out(shares(3))
    assert fleet.asked[3:] == [(stuck, 1)]
    assert fleet.cancelled == [(stuck, 0)]
    assert fleet.here == []
    assert endings[stuck].complete
    assert QUIET <= fleet.now <= QUIET + 100


def test_one_that_stands_still_twice_is_done_here() -> None:
    stuck = shares(3)[0]
    fleet = Fleet(fates={stuck: [STUCK, STUCK]})
    assert fleet.dispatch().carry_out(shares(3))[stuck].here
    assert 2 * QUIET <= fleet.now <= 2 * QUIET + 200


def test_a_slow_run_that_brings_hours_is_left_alone() -> None:
    slow = shares(1)[0]
    fleet = Fleet(seconds=4 * QUIET)

    def left(some: Collection[Share]) -> Mapping[Share, int]:
        return {share: max(0, 4 - int(fleet.now // (QUIET * 0.9))) for share in some}

    dispatch = fleet.dispatch()
    dispatch.left = left
    assert dispatch.carry_out([slow])[slow].complete
    assert len(fleet.asked) == 1
    assert fleet.here == []


def test_a_run_that_begins_late_is_not_taken_for_one_that_is_stuck() -> None:
    fleet = Fleet(capacity=1, seconds=200)
    dispatch = fleet.dispatch()
    dispatch.bounds = Bounds(8, start_seconds=86400, quiet_seconds=300, poll_seconds=POLL)
    assert all(ending.complete for ending in dispatch.carry_out(shares(8)).values())
    assert len(fleet.asked) == 8
    assert fleet.here == []


# While a share is done here


def test_how_far_all_are_is_told_hour_by_hour() -> None:
    fleet = Fleet()
    fleet.dispatch(nobody=True).carry_out(shares(2))
    assert [*dict.fromkeys(fleet.told)] == [1, 2, 3, 4, 5, 6, 7, 8]


def test_the_others_are_watched_and_not_called_stuck() -> None:
    long, brought = shares(2)
    fleet = Fleet(capacity=1, seconds=START + 2 * QUIET, here_seconds=2 * QUIET)

    def left(some: Collection[Share]) -> Mapping[Share, int]:
        fleet.done[long] = min(HOURS, int(fleet.now // (0.8 * QUIET)))
        return fleet.left(some)

    dispatch = fleet.dispatch()
    dispatch.left = left
    dispatch.carry_out([long, brought])
    assert fleet.here == [brought]
    assert fleet.asked == [(long, 0), (brought, 0)]


# A lake that does not answer


def test_a_lake_that_is_busy_for_a_while_changes_nothing() -> None:
    fleet = Fleet(fates=failing(shares(3)[0], reason="one hour is bad"))
    dispatch, asked = fleet.dispatch(), iter(range(1000))

    def left(some: Collection[Share]) -> Mapping[Share, int]:
        if next(asked) % 2:
            raise LakeUnavailable(str(some))
        return fleet.left(some)

    dispatch.left = left
    endings = dispatch.carry_out(shares(3))
    assert [ending.complete for ending in endings.values()].count(True) == 2


def test_one_that_refuses_is_what_the_runs_have_to_tell() -> None:
    fleet = Fleet(fates=failing(*shares(9), reason="S3 refuses these keys"))
    dispatch = fleet.dispatch(at_once=1)

    def refused(some: Collection[Share]) -> Mapping[Share, int]:
        raise LakeRefused(str(some))

    dispatch.left = refused
    endings = dispatch.carry_out(shares(9))
    assert [ending.reason for ending in endings.values()][:3] == ["S3 refuses these keys"] * 3
    assert len(fleet.asked) == 3


# When to stop


def test_after_three_parts_in_a_row_that_bring_nothing_no_more_are_started() -> None:
    some = shares(9)
    fleet = Fleet(fates=failing(*some))
    endings = fleet.dispatch(at_once=1).carry_out(some)
    assert len(fleet.asked) == 3
    assert [ending.begun for ending in endings.values()] == [True] * 3 + [False] * 6
    assert told_of(endings) == "3 parts"
    assert fleet.told[-1] == 12


def test_hours_that_fail_one_by_one_never_starve_later_ones() -> None:
    some = shares(9)
    told = f"4 of 4 hours failed:\n  {NEWEST}: over 4 GB"
    fleet = Fleet(fates=failing(*some[:5], reason=told))
    endings = fleet.dispatch(at_once=1).carry_out(some)
    assert len(fleet.asked) == 9
    assert [ending.complete for ending in endings.values()].count(True) == 4


def test_parts_that_bring_something_are_no_reason_to_stop() -> None:
    some = shares(9)
    fleet = Fleet(fates=failing(*some, reason="the disk is full"), brings=1)
    fleet.dispatch(at_once=1).carry_out(some)
    assert len(fleet.asked) == 9


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, ValueError])
def test_one_that_is_interrupted_ends_the_runs_that_are_out(interruption: type[BaseException]) -> None:
    fleet = Fleet(capacity=1)

    def interrupted(seconds: float) -> None:
        fleet.now += seconds
        if fleet.now > 100:
            raise interruption

    dispatch = fleet.dispatch(at_once=3)
    dispatch.sleep = interrupted
    with pytest.raises(interruption):
        dispatch.carry_out(shares(5))
    assert fleet.cancelled == [(share, 0) for share in shares(5)[1:4]]


def test_one_run_that_cannot_be_cancelled_does_not_spare_the_others() -> None:
    fleet = Fleet(capacity=0)
    dispatch = fleet.dispatch(at_once=3)

    def cancel(run: Run) -> None:
        fleet.cancelled.append(run)
        raise ValueError(str(run))

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    fleet.cancel, dispatch.sleep = cancel, interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        dispatch.carry_out(shares(5))
    assert len(fleet.cancelled) == 3


# Once more


def test_a_share_can_be_carried_out_once_more_by_a_run_of_its_own() -> None:
    fleet = Fleet()
    dispatch = fleet.dispatch()
    dispatch.carry_out(shares(3))
    dispatch.carry_out(shares(3)[:1])
    assert fleet.asked == [*((share, 0) for share in shares(3)), (shares(3)[0], 1)]
    assert max(fleet.told) == 12


def test_what_failed_before_is_not_counted_against_it() -> None:
    some = shares(5)
    fleet = Fleet(fates=failing(*some[:2]))
    dispatch = fleet.dispatch(at_once=1)
    dispatch.carry_out(some[:2])
    fleet.fates[some[2]] = [Seen(Phase.FAILED, "wrong key")]
    endings = dispatch.carry_out(some[2:])
    assert [endings[share].begun for share in some[2:]] == [True] * 3

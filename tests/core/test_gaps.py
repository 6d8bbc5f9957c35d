"""Which hours a gap-fill exports: all that need it, each once, and no other."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.gaps import EXPORTS_OF_A_SHRUNK_HOUR, GapPlan, Why, gap_window, hours_to_verify, plan_gaps
from core.hours import ExportHour, ExportWindow
from core.lake.layout import Status
from core.lake.verdict import HourVerdict, settled_from, verdict_of, verdicts_of
from core.planning import PlanRules
from tests.core.lake.examples import at, name

RULES = PlanRules()
NOW = at("2025-12-23T22:10")
NEWEST = ExportHour.parse("2025-12-23T19")
DAY = timedelta(days=1)


def planned(
    *said: tuple[int, Status, int],
    hour: ExportHour = NEWEST - 100,
    rules: PlanRules = RULES,
    settle: bool = True,
    now: datetime = NOW,
    damaged: str = "",
) -> Why | None:
    """What one hour is exported for, after exports so many hours after its start, with so many events."""
    names = [
        name(hour.start + timedelta(hours=when), status, events, hour=hour) for when, status, events in said
    ]
    verdicts = {hour: verdict_of(hour, names)} if names else {}
    plan = plan_gaps(
        now,
        ExportWindow(hour, hour),
        verdicts,
        rules=rules,
        settle=settle,
        damaged={hour: damaged} if damaged else {},
    )
    assert plan.windows == ((ExportWindow(hour, hour),) if plan.why else ())
    return plan.why.get(hour)


EARLY, SETTLING = (4, Status.DATA, 10), (30, Status.DATA, 10)


# One hour at a time


def test_an_hour_without_a_manifest_is_missing() -> None:
    assert planned() is Why.MISSING


def test_an_hour_that_was_exported_early_is_exported_once_more_when_it_has_rested() -> None:
    assert planned(EARLY) is Why.UNSETTLED
    assert planned(EARLY, SETTLING) is None
    assert planned(SETTLING) is None
    assert planned((4, Status.EMPTY, 0)) is Why.UNSETTLED
    assert planned((4, Status.EMPTY, 0), (30, Status.EMPTY, 0)) is None


def test_an_hour_is_settled_from_the_instant_on_at_which_it_has_rested_long_enough() -> None:
    hour = NEWEST - 100
    due = settled_from(hour, RULES.settle)
    assert due == hour.start + timedelta(hours=25)
    assert planned(EARLY, now=due - timedelta(milliseconds=1)) is None
    assert planned(EARLY, now=due) is Why.UNSETTLED


def test_settling_can_be_left_out_for_a_run_or_for_good() -> None:
    assert planned(EARLY, settle=False) is None
    assert planned(EARLY, rules=PlanRules(settle_hours=0)) is None
    assert planned(settle=False) is Why.MISSING


def test_longer_settling_makes_old_hours_unsettled_once() -> None:
    longer = PlanRules(settle_hours=72)
    assert planned(SETTLING, rules=longer) is Why.UNSETTLED
    assert planned(SETTLING, (74, Status.DATA, 10), rules=longer) is None


@pytest.mark.parametrize("shrunk", [(Status.DATA, 9), (Status.EMPTY, 0)])
def test_an_hour_that_holds_fewer_events_is_asked_again_three_times_at_most(
    shrunk: tuple[Status, int],
) -> None:
    again = [(30 + turn, *shrunk) for turn in range(EXPORTS_OF_A_SHRUNK_HOUR)]
    for turn in range(EXPORTS_OF_A_SHRUNK_HOUR):
        assert planned(EARLY, *again[:turn]) is (Why.SHRUNK if turn else Why.UNSETTLED)
    assert planned(EARLY, *again) is None
    assert planned(EARLY, *again, settle=False) is None
    assert planned(EARLY, again[0], (40, Status.DATA, 10)) is None


def test_what_shrank_before_it_had_rested_is_not_counted() -> None:
    early = [(5 + turn, Status.DATA, 9) for turn in range(EXPORTS_OF_A_SHRUNK_HOUR)]
    assert planned(EARLY, *early) is Why.SHRUNK


def test_a_smaller_export_that_was_accepted_settles_the_hour() -> None:
    assert planned(EARLY, (30, Status.DATA, 9), (30, Status.ACCEPTED, 9)) is None


def test_an_hour_that_was_given_up_is_not_exported_until_a_retry() -> None:
    up, again = (40, Status.GIVEN_UP, 0), (50, Status.RETRY, 0)
    assert planned(up) is None
    assert planned(EARLY, up) is None
    assert planned(up, again) is Why.MISSING
    assert planned(EARLY, up, again) is Why.UNSETTLED


def test_a_damaged_hour_is_exported_whatever_else_is_true_of_it() -> None:
    assert planned(SETTLING, damaged="a part is missing") is Why.DAMAGED
    assert planned(EARLY, damaged="a part is missing", settle=False) is Why.DAMAGED


def test_an_hour_that_somebody_asks_for_again_is_exported_whatever_the_lake_holds() -> None:
    asked = ExportWindow(NEWEST - 100, NEWEST - 99)
    held = verdicts_of([name(hour.start + timedelta(hours=30), Status.DATA, 1, hour=hour) for hour in asked])
    plan = plan_gaps(NOW, asked, held, rules=RULES, settle=True, damaged={}, asked=[NEWEST - 99])
    assert plan.why == {NEWEST - 99: Why.ASKED}


# The law

instants = st.integers(0, 400 * 60).map(lambda minutes: NOW - timedelta(minutes=minutes))


@st.composite
def situations(draw: st.DrawFn) -> tuple[ExportWindow, dict[ExportHour, HourVerdict], PlanRules]:
    asked = ExportWindow(NEWEST - draw(st.integers(0, 200)), NEWEST)
    around = st.integers(-5, len(asked) + 5).map(lambda place: asked.first + place)
    names = [
        name(when, status, events if status.has_content and status is not Status.EMPTY else 0, hour=hour)
        for hour in draw(st.lists(around, unique=True, max_size=40))
        for when, status, events in draw(
            st.lists(st.tuples(instants, st.sampled_from(Status), st.integers(0, 3)), min_size=1, max_size=5)
        )
    ]
    rules = PlanRules(window_hours=draw(st.integers(1, 30)), settle_hours=draw(st.integers(0, 60)))
    return asked, verdicts_of(names), rules


def law(
    situation: tuple[ExportWindow, dict[ExportHour, HourVerdict], PlanRules], damaged: set[ExportHour]
) -> GapPlan:
    asked, verdicts, rules = situation
    harmed = dict.fromkeys(damaged, "is missing")
    return plan_gaps(NOW, asked, verdicts, rules=rules, settle=True, damaged=harmed)


@given(situations(), st.data())
def test_each_hour_that_needs_it_is_exported_once_and_no_other(
    situation: tuple[ExportWindow, dict[ExportHour, HourVerdict], PlanRules], data: st.DataObject
) -> None:
    asked, verdicts, rules = situation
    with_content = [h for h, v in verdicts.items() if h in asked and v.content and not v.given_up]
    damaged = set(data.draw(st.lists(st.sampled_from(with_content), unique=True))) if with_content else set()
    plan = law(situation, damaged)

    exported = [hour for window in plan.windows for hour in window]
    assert exported == sorted(set(exported)) == list(plan.why)
    assert all(len(window) <= rules.window_hours for window in plan.windows)
    missing = {hour for hour in asked if hour not in verdicts or not verdicts[hour].is_committed}
    assert set(plan.hours_for(Why.MISSING)) == missing
    assert set(plan.hours_for(Why.DAMAGED)) == damaged
    for hour in exported:
        assert hour in asked
        assert hour.complete_at <= NOW
        assert not (hour in verdicts and verdicts[hour].given_up)
    for hour in plan.hours_for(Why.UNSETTLED):
        assert not verdicts[hour].is_settled(rules.settle)
        assert settled_from(hour, rules.settle) <= NOW
    for hour in plan.hours_for(Why.SHRUNK):
        assert verdicts[hour].shrunk


@given(situations())
def test_what_was_planned_and_landed_is_never_planned_again(
    situation: tuple[ExportWindow, dict[ExportHour, HourVerdict], PlanRules],
) -> None:
    asked, verdicts, rules = situation
    plan = law(situation, set())
    most = 10  # so that nothing shrinks
    landed = {hour: verdict_of(hour, [name(NOW, Status.DATA, most, hour=hour)]) for hour in plan.why}
    again = plan_gaps(NOW, asked, verdicts | landed, rules=rules, settle=True, damaged={})
    young = {hour for hour in asked if settled_from(hour, rules.settle) > NOW}
    assert not set(again.why) & set(plan.why)
    assert set(again.resting) <= young


@given(situations())
def test_an_hour_that_only_shrinks_comes_to_an_end(
    situation: tuple[ExportWindow, dict[ExportHour, HourVerdict], PlanRules],
) -> None:
    asked, _, rules = situation
    held = {
        hour: [name(hour.complete_at, Status.DATA, 5, hour=hour)]
        for hour in asked
        if settled_from(hour, rules.settle) <= NOW
    }

    def exported() -> set[ExportHour]:
        found = {hour: verdict_of(hour, names) for hour, names in held.items()}
        plan = plan_gaps(NOW, asked, found, rules=rules, settle=True, damaged={})
        return set(plan.why) & set(held)

    for turn in range(EXPORTS_OF_A_SHRUNK_HOUR):
        for hour in exported():
            held[hour].append(name(NOW + timedelta(seconds=turn), Status.DATA, 1, hour=hour))
    assert not exported()


# The range


def test_the_range_begins_where_hours_were_first_wanted_and_ends_with_the_newest_complete_one() -> None:
    since = NEWEST - 2000
    assert gap_window(NOW, first=None, last=None, since=since) == ExportWindow(since, NEWEST)
    assert gap_window(NOW, first=NEWEST - 1, last=None, since=since) == ExportWindow(NEWEST - 1, NEWEST)
    assert gap_window(NOW, first=None, last=NEWEST - 7, since=since) == ExportWindow(since, NEWEST - 7)


def test_without_any_hour_that_was_wanted_there_is_no_gap() -> None:
    with pytest.raises(InvalidInput, match=r"Give --start, or run python -m flows\.ingest"):
        gap_window(NOW, first=None, last=None, since=None)


def test_a_range_that_cannot_be_is_refused() -> None:
    for first, last in ((NEWEST, NEWEST - 1), (NEWEST + 1, None), (None, NEWEST + 1)):
        with pytest.raises(InvalidInput):
            gap_window(NOW, first=first, last=last, since=NEWEST - 5)


def test_the_last_days_are_verified_or_all_of_the_range() -> None:
    wanted = ExportWindow(NEWEST - 500, NEWEST)
    hours = hours_to_verify(NOW, wanted, rules=RULES, whole=False)
    assert hours[0].start >= NOW - 7 * DAY > (hours[0] - 1).start
    assert hours[-1] == NEWEST
    assert hours_to_verify(NOW, wanted, rules=PlanRules(verify_days=0), whole=False) == []
    assert hours_to_verify(NOW, wanted, rules=RULES, whole=True) == list(wanted)


def test_reasons_are_told_in_words() -> None:
    held = verdicts_of([name(NEWEST.complete_at - 2 * DAY, Status.DATA, 1, hour=NEWEST - 50)])
    plan = plan_gaps(NOW, ExportWindow(NEWEST - 51, NEWEST - 49), held, rules=RULES, settle=True, damaged={})
    assert plan.reasons() == [
        "2 hours missing: 2025-12-21T16, 2025-12-21T18",
        "1 hour to be settled: 2025-12-21T17",
    ]
    done = plan_gaps(NOW, ExportWindow(NEWEST - 50, NEWEST - 50), held, rules=RULES, settle=False, damaged={})
    assert done.reasons() == ["nothing: no hour is missing, and none is due to be asked for again"]


def test_a_plan_says_what_it_was_made_for_and_what_is_still_resting() -> None:
    asked = ExportWindow(NEWEST - 2, NEWEST)
    held = verdicts_of(name(hour.complete_at, Status.DATA, 1, hour=hour) for hour in (NEWEST - 2, NEWEST - 1))
    harmed = {NEWEST - 2: "a part is missing"}
    plan = plan_gaps(
        NOW, asked, held, rules=RULES, settle=True, damaged=harmed, to_verify=(NEWEST - 1, NEWEST)
    )
    assert plan == GapPlan(
        now=NOW,
        wanted=asked,
        why={NEWEST - 2: Why.DAMAGED, NEWEST: Why.MISSING},
        windows=(ExportWindow(NEWEST - 2, NEWEST - 2), ExportWindow(NEWEST, NEWEST)),
        resting=(NEWEST - 1,),
        damaged=harmed,
        to_verify=(NEWEST - 1, NEWEST),
    )


@pytest.mark.parametrize(("late", "settle_hours", "rests"), [(1, 24, True), (0, 24, False), (1, 0, False)])
def test_an_hour_rests_until_the_instant_when_it_is_due(late: int, settle_hours: int, rests: bool) -> None:
    rules = PlanRules(settle_hours=settle_hours)
    now = settled_from(NEWEST, timedelta(hours=24)) - timedelta(milliseconds=late)
    held = verdicts_of([name(NEWEST.complete_at, Status.DATA, 1, hour=NEWEST)])
    plan = plan_gaps(now, ExportWindow(NEWEST, NEWEST), held, rules=rules, settle=False, damaged={})
    assert plan.resting == ((NEWEST,) if rests else ())


def test_an_hour_that_is_settled_early_on_rests_no_more() -> None:
    """It cannot be: it was exported when the clock of that machine was ahead."""
    held = verdicts_of([name(settled_from(NEWEST, RULES.settle), Status.DATA, 1, hour=NEWEST)])
    plan = plan_gaps(NOW, ExportWindow(NEWEST, NEWEST), held, rules=RULES, settle=True, damaged={})
    assert (plan.why, plan.resting) == ({}, ())


def test_an_export_at_the_very_instant_at_which_an_hour_is_due_is_counted() -> None:
    again = [(25 + turn, Status.DATA, 9) for turn in range(EXPORTS_OF_A_SHRUNK_HOUR)]
    assert planned(EARLY, *again) is None
    assert planned(EARLY, *again[:-1]) is Why.SHRUNK


def test_an_hour_that_begins_exactly_so_many_days_ago_is_verified() -> None:
    now = NEWEST.start + 8 * DAY
    hours = hours_to_verify(now, ExportWindow(NEWEST, NEWEST + 50), rules=RULES, whole=False)
    assert hours[0] == NEWEST + 24


@pytest.mark.parametrize("first", [True, False])
def test_an_hour_that_is_not_complete_is_refused_as_such(first: bool) -> None:
    asked = {"first": NEWEST + 1, "last": None} if first else {"first": None, "last": NEWEST + 1}
    with pytest.raises(InvalidInput, match=rf"The newest hour that can be exported now is {NEWEST}\."):
        gap_window(NOW, since=NEWEST - 5, **asked)


def test_whoever_has_no_gap_is_told_how_to_begin() -> None:
    with pytest.raises(InvalidInput) as refused:
        gap_window(NOW, first=None, last=None, since=None)
    assert str(refused.value) == (
        "No hour has been asked for yet, so there is no gap. Give --start, or run python -m flows.ingest."
    )

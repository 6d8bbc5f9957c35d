"""Which hours are exported: every missing wanted one, once, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.hours import ExportHour, ExportWindow, hours_between
from core.lake.layout import Status
from core.lake.verdict import HourVerdict, verdicts_of
from core.planning import Plan, PlanRules, believe_no_data, plan_missing, wanted_window
from tests.core.lake.examples import at, name

RULES = PlanRules()
NOW = at("2025-12-23T22:10")
NEWEST = ExportHour.parse("2025-12-23T19")


def hour(text: str) -> ExportHour:
    return ExportHour.parse(text)


def window(first: str, last: str) -> ExportWindow:
    return ExportWindow(hour(first), hour(last))


def wanted(
    first: str | None = None,
    last: str | None = None,
    *,
    now: datetime = NOW,
    newest_committed: str | None = None,
    rules: PlanRules = RULES,
) -> ExportWindow:
    return wanted_window(
        now,
        first=hour(first) if first else None,
        last=hour(last) if last else None,
        newest_committed=hour(newest_committed) if newest_committed else None,
        rules=rules,
    )


def committed(*hours: ExportHour) -> dict[ExportHour, HourVerdict]:
    return verdicts_of([name(one.complete_at, hour=one, events=1) for one in hours])


# The hours that a run answers for


def test_an_empty_lake_is_filled_from_initial_days_back() -> None:
    assert wanted() == ExportWindow(NEWEST - (7 * 24 - 1), NEWEST)
    assert len(wanted(rules=PlanRules(initial_days=3))) == 72


def test_a_lake_with_hours_is_looked_through_from_the_lookback_on() -> None:
    assert wanted(newest_committed="2025-12-23T18") == window("2025-12-21T18", "2025-12-23T19")
    without = PlanRules(lookback_hours=0)
    assert wanted(newest_committed="2025-12-23T18", rules=without) == window("2025-12-23T18", "2025-12-23T19")


def test_a_lake_that_rested_is_continued_where_it_ended() -> None:
    assert wanted(newest_committed="2025-11-01T00") == window("2025-10-30T00", "2025-12-23T19")


@given(st.datetimes(datetime(2014, 11, 12, 4), datetime(2079, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_the_newest_wanted_hour_is_the_newest_complete_one(now: datetime) -> None:
    last = wanted(now=now).last
    assert last.complete_at <= now < (last + 1).complete_at


def test_an_hour_is_wanted_from_the_instant_on_at_which_it_is_complete() -> None:
    assert wanted(now=at("2025-12-23T22:00")).last == hour("2025-12-23T19")
    assert wanted(now=at("2025-12-23T21:59:59.999999")).last == hour("2025-12-23T18")


def test_the_caller_s_range_is_taken_as_it_is() -> None:
    assert wanted("2025-12-01T00", "2025-12-01T23") == window("2025-12-01T00", "2025-12-01T23")
    assert wanted("2025-12-01T00") == window("2025-12-01T00", "2025-12-23T19")
    assert wanted("2025-12-23T19", "2025-12-23T19") == window("2025-12-23T19", "2025-12-23T19")


def test_the_caller_s_range_does_not_depend_on_the_lake() -> None:
    asked = wanted("2025-12-01T00", "2025-12-01T23", newest_committed="2025-12-23T18")
    assert asked == window("2025-12-01T00", "2025-12-01T23")


def test_an_end_alone_is_counted_back_from() -> None:
    assert wanted(last="2025-12-10T23") == window("2025-12-04T00", "2025-12-10T23")
    before_the_newest = wanted(last="2025-12-10T23", newest_committed="2025-12-23T18")
    assert before_the_newest == window("2025-12-08T23", "2025-12-10T23")


def test_an_end_before_the_start_is_refused() -> None:
    with pytest.raises(InvalidInput, match="2025-12-02T00 … 2025-12-01T00"):
        wanted("2025-12-02T00", "2025-12-01T00")


@pytest.mark.parametrize(
    ("first", "last", "text"),
    [
        ("2025-12-23T20", None, "2025-12-23T20 is complete at 2025-12-23T23:00Z"),
        (None, "2025-12-23T21", "2025-12-23T21 is complete at 2025-12-24T00:00Z"),
        ("2025-12-24T00", None, "2025-12-24T00 lies in the future"),
        ("2025-12-23T00", "2026-12-23T00", "2026-12-23T00 lies in the future"),
    ],
)
def test_hours_that_are_not_complete_are_refused_with_the_newest_that_is(
    first: str | None, last: str | None, text: str
) -> None:
    with pytest.raises(InvalidInput, match=text) as refused:
        wanted(first, last)
    assert str(NEWEST) in str(refused.value)


def test_hours_of_the_time_when_files_held_days_are_refused() -> None:
    with pytest.raises(InvalidInput, match="2014-11-12"):
        wanted("2014-11-11T23", "2014-11-12T05")
    for end in ("2014-11-11T23", "0001-01-01T05"):
        with pytest.raises(InvalidInput, match="2014-11-12"):
            wanted(last=end)
    assert wanted("2014-11-12T00", "2014-11-12T05").first == hour("2014-11-12T00")


def test_counting_back_stops_at_the_first_hour_there_is() -> None:
    assert wanted(last="2014-11-12T05") == window("2014-11-12T00", "2014-11-12T05")
    assert wanted(last="2014-11-13T05", newest_committed="2014-11-13T05").first == hour("2014-11-12T00")


def test_a_range_of_a_year_is_taken() -> None:
    assert len(wanted("2024-12-23T20", "2025-12-23T19")) == 365 * 24


def test_a_lake_that_rested_for_more_than_a_year_does_not_stop_the_schedule() -> None:
    """365 days are the limit of one request, and requests are cut to window_hours anyway."""
    assert wanted(newest_committed="2023-06-01T00").last == NEWEST


def test_a_range_of_several_years_is_taken_and_cut_by_the_run() -> None:
    plan = plan_missing(NOW, wanted("2023-01-01T00"), {}, rules=RULES)
    assert len(plan.missing) == 168
    assert plan.left[0] == hour("2023-01-01T00")


# What is missing, and how it is asked for

spans = st.integers(1, 400).map(lambda length: ExportWindow(NEWEST - (length - 1), NEWEST))


@st.composite
def situations(draw: st.DrawFn) -> tuple[ExportWindow, dict[ExportHour, HourVerdict], PlanRules]:
    asked = draw(spans)
    around = st.integers(-5, len(asked) + 5).map(lambda place: asked.first + place)
    statuses = st.lists(st.sampled_from(Status), min_size=1, max_size=3)
    held = draw(st.dictionaries(around, statuses, max_size=60))
    names = [
        name(one.complete_at + timedelta(hours=turn), status, hour=one)
        for one, said in held.items()
        for turn, status in enumerate(said)
    ]
    rules = PlanRules(max_hours_per_run=draw(st.integers(10, 200)), window_hours=draw(st.integers(1, 30)))
    return asked, verdicts_of(names), rules


@given(situations())
def test_every_missing_wanted_hour_is_planned_or_named_once(
    situation: tuple[ExportWindow, dict[ExportHour, HourVerdict], PlanRules],
) -> None:
    asked, verdicts, rules = situation
    plan = plan_missing(NOW, asked, verdicts, rules=rules)
    missing = [one for one in asked if one not in verdicts or not verdicts[one].is_committed]
    assert [*plan.left, *plan.missing] == missing
    assert len(plan.missing) == min(len(missing), rules.max_hours_per_run)
    assert (plan.now, plan.wanted) == (NOW, asked)


@given(situations())
def test_the_windows_hold_what_is_missing_and_nothing_else(
    situation: tuple[ExportWindow, dict[ExportHour, HourVerdict], PlanRules],
) -> None:
    asked, verdicts, rules = situation
    plan = plan_missing(NOW, asked, verdicts, rules=rules)
    assert sorted(one for some in plan.windows for one in some) == list(plan.missing)
    assert all(len(some) <= rules.window_hours for some in plan.windows)
    assert list(plan.windows) == sorted(plan.windows)


@given(situations())
def test_a_run_that_was_overtaken_finds_nothing_to_do(
    situation: tuple[ExportWindow, dict[ExportHour, HourVerdict], PlanRules],
) -> None:
    asked, verdicts, rules = situation
    plan = plan_missing(NOW, asked, verdicts, rules=replace(rules, max_hours_per_run=10_000))
    again = plan_missing(NOW, asked, verdicts | committed(*plan.missing), rules=rules)
    assert (again.missing, again.left, again.windows) == ((), (), ())


@settings(max_examples=30)
@given(situations())
def test_runs_come_to_an_end(
    situation: tuple[ExportWindow, dict[ExportHour, HourVerdict], PlanRules],
) -> None:
    asked, verdicts, rules = situation
    plan = plan_missing(NOW, asked, verdicts, rules=rules)
    while plan.left:
        verdicts = verdicts | committed(*plan.missing)
        following = plan_missing(NOW, asked, verdicts, rules=rules)
        assert [*following.left, *following.missing] == list(plan.left)
        plan = following


def planned(*held: str, last: str = "2025-12-23T19", rules: PlanRules = RULES) -> Plan:
    asked = window("2025-12-22T00", last)
    return plan_missing(NOW, asked, committed(*map(hour, held)), rules=rules)


def test_a_hole_is_found_although_later_hours_are_there() -> None:
    asked = window("2025-12-22T00", "2025-12-23T19")
    verdicts = committed(*(set(asked) - {hour("2025-12-22T05"), hour("2025-12-22T06"), NEWEST}))
    plan = plan_missing(NOW, asked, verdicts, rules=RULES)
    assert plan.windows == (
        window("2025-12-22T05", "2025-12-22T06"), window("2025-12-23T19", "2025-12-23T19"),
    )  # fmt: skip


def test_the_newest_hours_are_taken_first_and_the_oldest_left() -> None:
    plan = planned(rules=PlanRules(max_hours_per_run=5, window_hours=2))
    assert plan.missing == tuple(window("2025-12-23T15", "2025-12-23T19"))
    assert plan.left == tuple(window("2025-12-22T00", "2025-12-23T14"))
    assert plan.windows[-1].last == NEWEST


def test_what_is_missing_since_before_the_range_is_named_and_not_asked_for() -> None:
    asked = window("2025-12-22T00", "2025-12-23T19")
    since, hole = hour("2025-12-20T00"), hour("2025-12-21T07")
    verdicts = committed(*(set(hours_between(since, NEWEST)) - {hole}))
    assert plan_missing(NOW, asked, verdicts, rules=RULES, wanted_since=since).behind == (hole,)
    assert plan_missing(NOW, asked, verdicts, rules=RULES, wanted_since=since).missing == ()
    assert plan_missing(NOW, asked, verdicts, rules=RULES, wanted_since=asked.first).behind == ()
    assert plan_missing(NOW, asked, verdicts, rules=RULES).behind == ()


def test_what_a_killed_run_did_not_bring_is_in_the_next_one_s_range() -> None:
    """Newest first, the first window that landed would put all others out of the lookback."""
    plan = plan_missing(NOW, wanted(), {}, rules=RULES)
    for landed in range(1, len(plan.windows)):
        held = committed(*(one for some in plan.windows[:landed] for one in some))
        again = wanted(newest_committed=str(max(held)))
        following = plan_missing(NOW, again, held, rules=PlanRules(max_hours_per_run=1000))
        assert set(following.missing) >= set(plan.missing[24 * landed :])


def test_hours_that_are_given_up_are_named() -> None:
    asked = ExportWindow(NEWEST - 2, NEWEST)
    marks = [name(hour.complete_at, Status.GIVEN_UP, hour=hour) for hour in (NEWEST - 1, NEWEST - 5)]
    plan = plan_missing(NOW, asked, verdicts_of(marks), rules=RULES)
    assert plan.given_up == (NEWEST - 1,)
    assert plan.missing == (NEWEST - 2, NEWEST)


def test_an_hour_that_was_given_up_is_not_asked_for_until_a_retry() -> None:
    asked = ExportWindow(NEWEST, NEWEST)
    given_up = name(NEWEST.complete_at, Status.GIVEN_UP, hour=NEWEST)
    retry = name(NEWEST.complete_at + timedelta(hours=1), Status.RETRY, hour=NEWEST)
    assert plan_missing(NOW, asked, verdicts_of([given_up]), rules=RULES).missing == ()
    assert plan_missing(NOW, asked, verdicts_of([given_up, retry]), rules=RULES).missing == (NEWEST,)


# When "no data" is believed


@pytest.mark.parametrize(
    ("rules", "hours", "believed"),
    [
        (PlanRules(), 3, False),
        (PlanRules(), 5.999, False),
        (PlanRules(), 6, True),
        (PlanRules(), 1000, True),
        (PlanRules(empty_after_hours=12), 11.999, False),
        (PlanRules(empty_after_hours=12), 12, True),
        (PlanRules(settle_hours=0), 6, False),
        (PlanRules(settle_hours=0), 23.999, False),
        (PlanRules(settle_hours=0), 24, True),
        (PlanRules(settle_hours=0, empty_after_hours=48), 24, False),
        (PlanRules(settle_hours=0, empty_after_hours=48), 48, True),
    ],
)
def test_no_data_is_believed_of_an_hour_that_was_old_enough_when_it_was_asked_for(
    rules: PlanRules, hours: float, believed: bool
) -> None:
    exported_at = NEWEST.start + timedelta(hours=hours)
    assert believe_no_data(NEWEST, exported_at, rules=rules) is believed


def test_what_the_settings_are_if_nobody_says_otherwise() -> None:
    assert (
        PlanRules(
            initial_days=7, lookback_hours=48, max_hours_per_run=168,
            window_hours=24, settle_hours=24, empty_after_hours=6, verify_days=7,
        )
        == RULES
    )  # fmt: skip


def test_how_long_an_hour_rests_is_a_stretch_of_time() -> None:
    assert RULES.settle == timedelta(days=1)
    assert PlanRules(settle_hours=0).settle == timedelta(0)


def test_an_hour_that_has_just_begun_is_no_longer_in_the_future() -> None:
    with pytest.raises(InvalidInput, match=f"{NEWEST} is complete at 2025-12-23T22:00Z"):
        wanted("2025-12-23T19", now=NEWEST.start)
    with pytest.raises(InvalidInput, match=f"{NEWEST} lies in the future"):
        wanted("2025-12-23T19", now=NEWEST.start - timedelta(microseconds=1))


def test_what_earlier_runs_did_not_bring_ends_where_the_wanted_hours_begin() -> None:
    asked = ExportWindow(NEWEST - 2, NEWEST)
    held = committed(NEWEST - 4)
    plan = plan_missing(NOW, asked, held, rules=RULES, wanted_since=NEWEST - 5)
    assert plan.behind == (NEWEST - 5, NEWEST - 3)
    assert plan_missing(NOW, asked, held, rules=RULES, wanted_since=NEWEST - 2).behind == ()
    assert plan_missing(NOW, asked, held, rules=RULES).behind == ()

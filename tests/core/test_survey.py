"""A look at the lake and a plan, at a price that does not grow with history."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from core.errors import InvalidInput, LakeConflict, LakeRefused, LakeUnavailable
from core.hours import ExportHour, ExportWindow, hours_between
from core.lake.identity import LakeIdentity
from core.lake.layout import Status
from core.planning import PlanRules
from core.survey import Survey, survey
from tests.core.lake.examples import APP, HOST, at
from tests.core.lakes import Pond

pytestmark = pytest.mark.slow

NOW = at("2025-12-23T22:10")
NEWEST = ExportHour.parse("2025-12-23T19")


def look(
    pond: Pond,
    first: ExportHour | None = None,
    last: ExportHour | None = None,
    rules: PlanRules | None = None,
) -> Survey:
    pond.asked.clear()
    return survey(pond.lake, NOW, first=first, last=last, rules=rules or PlanRules())


def test_an_empty_lake_is_nobody_s_and_everything_is_missing(pond: Pond) -> None:
    found = look(pond)
    assert found.identity is None
    assert found.plan.wanted == ExportWindow(NEWEST - (7 * 24 - 1), NEWEST)
    assert found.plan.missing == tuple(found.plan.wanted)


def test_a_lake_s_owner_is_told(pond: Pond) -> None:
    pond.lake.claim(LakeIdentity(APP, HOST))
    assert look(pond).identity == LakeIdentity(APP, HOST)


def test_the_hours_since_the_newest_are_planned_and_the_holes_before_it(pond: Pond) -> None:
    holes = [NEWEST - 40, NEWEST - 10]
    pond.list_hours(*(set(hours_between(NEWEST - 100, NEWEST - 3)) - set(holes)))
    plan = look(pond).plan
    assert plan.wanted == ExportWindow(NEWEST - 3 - 48, NEWEST)
    assert plan.missing == (*holes, NEWEST - 2, NEWEST - 1, NEWEST)


def test_a_lake_that_is_whole_leaves_nothing_to_do(pond: Pond) -> None:
    pond.list_hours(*hours_between(NEWEST - 100, NEWEST))
    plan = look(pond).plan
    assert (plan.missing, plan.windows, plan.left) == ((), (), ())


def test_a_lake_that_rested_for_two_months_is_continued_where_it_ended(pond: Pond) -> None:
    newest = NEWEST - 24 * 60
    pond.list_hours(*hours_between(newest - 100, newest))
    plan = look(pond).plan
    assert plan.wanted == ExportWindow(newest - 48, NEWEST)
    assert [*plan.left, *plan.missing] == list(hours_between(newest + 1, NEWEST))


def test_a_newest_day_on_which_nothing_landed_does_not_hide_the_day_before(pond: Pond) -> None:
    pond.list_hours(*hours_between(NEWEST - 100, NEWEST - 20))
    pond.list_hours(NEWEST - 1, status=Status.RETRY)
    plan = look(pond).plan
    assert plan.wanted == ExportWindow(NEWEST - 20 - 48, NEWEST)
    assert plan.missing == tuple(hours_between(NEWEST - 19, NEWEST))


def test_a_retry_long_after_the_newest_hour_does_not_make_the_lake_look_empty(pond: Pond) -> None:
    """Somebody asks for an hour again after a pause of ten days."""
    pond.list_hours(*hours_between(NEWEST - 400, NEWEST - 240))
    pond.list_hours(NEWEST - 1, status=Status.RETRY)
    assert look(pond).plan.wanted.first == NEWEST - 240 - 48


def test_hours_that_were_given_up_are_not_asked_for(pond: Pond) -> None:
    pond.list_hours(*hours_between(NEWEST - 60, NEWEST - 2))
    pond.list_hours(NEWEST - 1, status=Status.GIVEN_UP)
    assert look(pond).plan.missing == (NEWEST,)


def test_a_caller_s_range_is_compared_with_the_lake(pond: Pond) -> None:
    first = NEWEST - 24 * 90
    pond.list_hours(*hours_between(first, first + 3), *hours_between(NEWEST - 5, NEWEST))
    plan = look(pond, first, first + 9).plan
    assert plan.wanted == ExportWindow(first, first + 9)
    assert plan.missing == tuple(hours_between(first + 4, first + 9))
    assert look(pond, first).plan.wanted == ExportWindow(first, NEWEST)


def test_an_end_before_the_newest_hour_is_counted_back_from(pond: Pond) -> None:
    last = NEWEST - 24 * 20
    pond.list_hours(*(set(hours_between(last - 100, NEWEST)) - {last - 48, last - 7}))
    plan = look(pond, last=last).plan
    assert plan.wanted == ExportWindow(last - 48, last)
    assert plan.missing == (last - 48, last - 7)


# What fell behind


def test_hours_that_fell_behind_are_named_as_far_back_as_two_weeks(pond: Pond) -> None:
    """A run that was killed, or failed, long enough ago that the lookback does not reach it any more."""
    pond.lake.want_from(NEWEST - 24 * 40)
    fell_behind = [NEWEST - 24 * 14, NEWEST - 24 * 10, NEWEST - 60]
    lost = [NEWEST - 24 * 20, *fell_behind]
    pond.list_hours(*(set(hours_between(NEWEST - 24 * 40, NEWEST)) - set(lost)))
    plan = look(pond).plan
    assert (plan.missing, plan.behind) == ((), tuple(fell_behind))
    assert look(pond, NEWEST - 5).plan.behind == ()
    assert look(pond, last=NEWEST).plan.behind == ()


def test_hours_that_nobody_ever_wanted_are_not_behind(pond: Pond) -> None:
    pond.lake.want_from(NEWEST - 60)
    pond.list_hours(*hours_between(NEWEST - 60, NEWEST))
    assert look(pond).plan.behind == ()


def test_a_range_that_cannot_be_asks_nothing_of_the_lake(pond: Pond) -> None:
    pond.list_hours(NEWEST)
    for last in ("9999-12-31T23", "0001-01-01T05"):
        with pytest.raises(InvalidInput):
            look(pond, last=ExportHour.parse(last))
        assert dict(pond.asked) == {}


# From where on hours are wanted


def test_where_hours_are_wanted_from_is_written_down_before_any_request_and_once(pond: Pond) -> None:
    for _ in range(2):
        look(pond)
    assert pond.contents() == ["wanted/2025-12-16T20"]
    assert "PutObject" not in pond.asked


def test_an_earlier_range_is_written_down_too_even_if_the_run_takes_less_of_it(pond: Pond) -> None:
    look(pond)
    plan = look(pond, NEWEST - 24 * 30, rules=PlanRules(max_hours_per_run=2)).plan
    assert plan.missing == (NEWEST - 1, NEWEST)
    assert pond.lake.wanted_from() == NEWEST - 24 * 30
    look(pond, NEWEST - 24 * 10)
    assert len(pond.contents()) == 2


def test_a_range_that_cannot_be_is_not_written_down(pond: Pond) -> None:
    for first, last in [(NEWEST, NEWEST - 1), (NEWEST + 1, None), (None, NEWEST + 1)]:
        with pytest.raises(InvalidInput):
            look(pond, first, last)
    assert pond.contents() == []


# What it costs


@pytest.mark.parametrize("days", [1, 80])
def test_an_hourly_plan_costs_the_same_few_requests_however_long_the_history(pond: Pond, days: int) -> None:
    pond.lake.claim(LakeIdentity(APP, HOST))
    pond.lake.want_from(NEWEST - 24 * 100)
    pond.list_hours(*hours_between(NEWEST - 24 * days, NEWEST - 1))
    look(pond)
    assert dict(pond.asked) == {"ListObjectsV2": 3, "GetObject": 1}


def test_an_empty_lake_and_one_that_rested_cost_one_listing_more_at_most(pond: Pond) -> None:
    look(pond)
    assert pond.asked["ListObjectsV2"] <= 3
    pond.list_hours(*hours_between(NEWEST - 24 * 62, NEWEST - 24 * 60))
    look(pond)
    assert pond.asked["ListObjectsV2"] <= 4


# What goes wrong


def test_errors_of_the_lake_come_through(pond: Pond, tmp_path: Path) -> None:
    pond.fill(tmp_path, NEWEST, 1)
    for error, fault in [(LakeUnavailable, "error"), (LakeRefused, "denied")]:
        pond.s3.fail(fault, method="GET")  # type: ignore[arg-type]
        with pytest.raises(error):
            look(pond)
    pond.put("manifests/date=2025-12-23/hour=19/what")
    with pytest.raises(LakeConflict, match="what"):
        look(pond)


def test_the_plan_is_made_for_the_run_s_start(pond: Pond) -> None:
    later = NOW + timedelta(hours=5)
    plan = survey(pond.lake, later, first=None, last=None, rules=PlanRules()).plan
    assert (plan.now, plan.wanted.last) == (later, NEWEST + 5)

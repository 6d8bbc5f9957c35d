"""What a plan would cost, from manifests alone."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from core.estimate import Estimate, estimate, json_bytes_per_hour, judge
from core.gaps import GapPlan, plan_gaps
from core.hours import ExportHour, ExportWindow, hours_between
from core.lake.manifest import Manifest
from core.lake.verdict import verdicts_of
from core.planning import PlanRules
from tests.core.lake.examples import HOUR, at, manifest, name, part
from tests.core.lakes import Pond

NOW = at("2025-12-25T22:10")


def plan(hours: int) -> GapPlan:
    asked = ExportWindow(HOUR - (hours - 1), HOUR)
    return plan_gaps(NOW, asked, {}, rules=PlanRules(), settle=True, damaged={})


def exported(hour: ExportHour, *, events: int = 10, seconds: float = 0) -> Manifest:
    """An hour that was asked for alone, so many seconds after the run began."""
    return manifest(part(hour, events=events), hour=hour, exported_at=NOW + timedelta(seconds=seconds))


def test_without_any_hour_to_judge_by_only_the_requests_are_known() -> None:
    assert judge(plan(48), [], []) == Estimate(2, None, None)
    assert str(judge(plan(48), [], [])) == "2 requests, size unknown, time unknown"


def test_the_size_is_that_of_the_hours_that_are_there() -> None:
    sample = [exported(HOUR - 100, events=10), exported(HOUR - 99, events=30)]
    assert judge(plan(48), sample, []).json_bytes == 48 * 20 * 1800


def requests(*seconds: float, hours: int) -> list[datetime]:
    """When each hour of a run was asked for: so many hours with each request."""
    return [NOW + timedelta(seconds=sent) for sent in seconds for _ in range(hours)]


def test_the_time_is_told_by_runs_of_several_requests_two_of_which_are_on_their_way_at_once() -> None:
    # Two begin together; from then on one begins when one is through: 20 s for each window of ten hours.
    run = requests(0, 0.001, 20, 40, 60, 80, hours=10)
    assert judge(plan(30), [], run).seconds == pytest.approx(30 * 80 / 40)
    yesterday = requests(-86_400, hours=1)
    assert judge(plan(30), [], [*yesterday, *run]).seconds == pytest.approx(60)
    assert judge(plan(30), [], [*yesterday, *requests(0, 0.001, 20, hours=10)]).seconds is None


def test_an_estimate_reads_like_a_sentence() -> None:
    assert str(Estimate(1, 2_345_000_000, 40)) == "1 request, about 2.35 GB of JSON, about 40 s"
    assert str(Estimate(365, 987_654_000_000, 7_200)) == "365 requests, about 987.65 GB of JSON, about 2.0 h"


@pytest.mark.slow
def test_no_more_than_48_manifests_are_read_and_a_damaged_one_is_passed_over(pond: Pond) -> None:
    made = [exported(hour) for hour in hours_between(HOUR - 59, HOUR)]
    for one in made[:-1]:
        pond.lake.put_manifest(one)
    pond.put(made[-1].name.key, b"not a manifest")
    pond.asked.clear()
    found = estimate(pond.lake, plan(10), verdicts_of(one.name for one in made))
    assert pond.asked["GetObject"] == 48
    assert found.json_bytes == 10 * 10 * 1800


@pytest.mark.slow
def test_hours_without_events_say_nothing_about_the_size(pond: Pond) -> None:
    empty = verdicts_of([name(NOW, hour=HOUR)])
    assert estimate(pond.lake, plan(10), empty).json_bytes is None


@pytest.mark.slow
def test_what_an_hour_gunzips_to_is_judged_by_the_newest_week(pond: Pond) -> None:
    assert json_bytes_per_hour(pond.lake) == 0
    for one in [exported(HOUR - 1000, events=5000), exported(HOUR - 1, events=10), exported(HOUR, events=30)]:
        pond.lake.put_manifest(one)
    pond.asked.clear()
    assert json_bytes_per_hour(pond.lake) == 20 * 1800
    assert dict(pond.asked) == {"ListObjectsV2": 2, "GetObject": 2}

"""A look at the lake before a gap-fill, and one after it; what they cost."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from core.errors import InvalidInput
from core.estimate import Estimate
from core.gap_survey import GapSurvey, review, survey_gaps
from core.gap_wishes import GapWishes
from core.gaps import Why, plan_gaps
from core.hours import ExportHour, ExportWindow, hours_between
from core.lake import marks
from core.lake.identity import LakeIdentity
from core.lake.layout import Status
from core.planning import PlanRules
from tests.core.lake.examples import APP, HOST, at, manifest, part
from tests.core.lakes import Pond, events_of

NOW = at("2025-12-23T22:10")
NEWEST = ExportHour.parse("2025-12-23T19")
RULES = PlanRules(settle_hours=0, verify_days=0)


def look(pond: Pond, rules: PlanRules = RULES, **wishes: object) -> GapSurvey:
    pond.asked.clear()
    return survey_gaps(pond.lake, NOW, GapWishes(**wishes), rules=rules)  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_history_begins_with_the_first_hour_that_was_wanted_or_is_committed(pond: Pond) -> None:
    pond.list_hours(*hours_between(NEWEST - 50, NEWEST))
    assert look(pond).plan.wanted == ExportWindow(NEWEST - 50, NEWEST)
    pond.lake.want_from(NEWEST - 60)
    assert look(pond).plan.wanted == ExportWindow(NEWEST - 60, NEWEST)
    assert look(pond).plan.hours_for(Why.MISSING) == list(hours_between(NEWEST - 60, NEWEST - 51))


@pytest.mark.slow
def test_a_whole_history_costs_one_request_for_each_thousand_manifests_and_reads_none(pond: Pond) -> None:
    pond.list_hours(*hours_between(NEWEST - 2499, NEWEST))
    look(pond)
    assert pond.asked["ListObjectsV2"] == 3 + 1  # and one for where hours are wanted from
    assert pond.asked["GetObject"] == 1  # lake.json
    assert pond.asked["HeadObject"] == 0


@pytest.mark.slow
def test_a_dry_run_leaves_no_mark_of_what_was_wanted(pond: Pond) -> None:
    found = look(pond, first=NEWEST - 5, dry_run=True)
    assert pond.lake.wanted_from() is None
    assert found.estimate == Estimate(1, None, None)
    look(pond, first=NEWEST - 5)
    assert pond.lake.wanted_from() == NEWEST - 5


@pytest.mark.slow
def test_named_hours_alone_leave_no_mark_either(pond: Pond) -> None:
    pond.lake.claim(LakeIdentity(APP, HOST))
    look(pond, first=NEWEST - 5, last=NEWEST - 5, retry=(NEWEST - 5,), only_named=True)
    assert pond.lake.wanted_from() is None
    look(pond, first=NEWEST - 5, last=NEWEST, retry=(NEWEST - 5,))
    assert pond.lake.wanted_from() == NEWEST - 5


@pytest.mark.slow
def test_lines_of_an_hour_that_was_given_up_cannot_be_rejected(pond: Pond) -> None:
    pond.lake.claim(LakeIdentity(APP, HOST))
    marks.give_up(pond.lake, NEWEST, reason="broken", now=NOW)
    with pytest.raises(InvalidInput, match=f"add --retry {NEWEST}"):
        look(pond, first=NEWEST, reject=(NEWEST,))


@pytest.mark.slow
def test_a_range_that_cannot_be_is_refused_before_anything_is_asked(pond: Pond) -> None:
    with pytest.raises(InvalidInput, match="The newest hour that can be exported now"):
        look(pond, first=NEWEST + 1)
    assert pond.asked == {}


@pytest.mark.slow
def test_objects_of_the_last_days_are_compared_and_given_up_hours_are_left(
    pond: Pond, tmp_path: Path
) -> None:
    hours = [NEWEST - 300, NEWEST - 2, NEWEST - 1, NEWEST]
    for hour in hours:
        pond.commit(tmp_path, hour, events_of(hour, 0, 3))
    for key in [key for key in pond.contents() if key.startswith("events/")]:
        pond.remove(key)
    marks.give_up(pond.lake, NEWEST, reason="broken", now=NOW + timedelta(hours=1))
    rules = PlanRules(settle_hours=0, verify_days=7)
    recent = look(pond, rules, first=NEWEST - 300).plan
    assert recent.hours_for(Why.DAMAGED) == list(recent.damaged) == [NEWEST - 2, NEWEST - 1]
    assert all("is missing" in how for how in recent.damaged.values())
    whole = look(pond, rules, first=NEWEST - 300, verify=True).plan
    assert whole.hours_for(Why.DAMAGED) == [NEWEST - 300, NEWEST - 2, NEWEST - 1]


@pytest.mark.slow
def test_what_shrank_is_named_or_accepted_and_what_was_given_up_is_listed(pond: Pond) -> None:
    pond.lake.claim(LakeIdentity(APP, HOST))
    hour, wanted = NEWEST - 30, ExportWindow(NEWEST - 40, NEWEST)
    for events, later in ((10, 0), (8, 25)):
        when = hour.complete_at + timedelta(hours=later)
        pond.lake.put_manifest(manifest(part(hour, events=events), hour=hour, exported_at=when))
    marks.give_up(pond.lake, NEWEST - 5, reason="over 4 GB", now=NOW)

    found = review(pond.lake, wanted)
    assert list(found.shrunk) == [hour]
    assert "held 10 events and, exported again at" in found.shrunk[hour]
    assert found.given_up == {NEWEST - 5: "over 4 GB"}

    accepted = look(pond, first=hour - 10, last=NEWEST, accept_smaller=True).accepted
    assert list(accepted) == [hour]
    assert accepted[hour].endswith(", 8")
    assert review(pond.lake, wanted).shrunk == {}
    assert look(pond, first=hour - 10, last=NEWEST, accept_smaller=True).accepted == {}


@pytest.mark.slow
def test_a_smaller_export_whose_manifest_is_damaged_is_not_accepted(pond: Pond) -> None:
    hour = NEWEST - 30
    pond.lake.put_manifest(manifest(part(hour, events=10), hour=hour))
    smaller = manifest(part(hour, events=8), hour=hour, exported_at=hour.complete_at + timedelta(hours=9))
    pond.put(smaller.name.key, b"not a manifest")
    assert look(pond, first=hour, last=hour, accept_smaller=True).accepted == {}
    assert list(review(pond.lake, ExportWindow(hour, hour)).shrunk) == [hour]


@pytest.mark.slow
def test_a_give_up_whose_manifest_is_damaged_is_listed_all_the_same(pond: Pond) -> None:
    mark = manifest(hour=NEWEST, status=Status.GIVEN_UP)
    pond.put(mark.name.key, b"not a manifest")
    found = review(pond.lake, ExportWindow(NEWEST, NEWEST))
    assert "cannot be read" in found.given_up[NEWEST]


def test_a_plan_is_told_line_by_line() -> None:
    plan = plan_gaps(
        NOW, ExportWindow(NEWEST - 1, NEWEST), {}, rules=RULES, settle=True, damaged={NEWEST: "a is missing"}
    )
    assert GapSurvey(plan, None, Estimate(1, None, None)).told() == [
        ("Wanted", "2025-12-23T18…T19 (2 hours)"),
        ("Export", "1 hour missing: 2025-12-23T18"),
        ("Export", "1 hour with objects missing or different: 2025-12-23T19"),
        ("Windows", "2025-12-23T18…T19"),
        ("Damaged", "2025-12-23T19: a is missing"),
        ("Cost", "1 request, size unknown, time unknown"),
    ]

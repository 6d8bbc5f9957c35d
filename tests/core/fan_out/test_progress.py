"""How far shares are, by the lake; and what is left of one for whoever carries it out."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from core.fan_out.progress import hours_left, rest_of
from core.fan_out.shares import Share, shares_of
from core.gaps import GapPlan, Why
from core.hours import hours_between
from core.planning import PlanRules
from tests.core.fan_out.examples import NEWEST, NOW, plan_for, share_of
from tests.core.lakes import Pond

pytestmark = pytest.mark.slow

FIRST = NEWEST - 5
PLAN = plan_for(hours_between(FIRST, NEWEST), window_hours=2)
BEFORE, SINCE = NOW - timedelta(minutes=5), NOW + timedelta(minutes=5)


def cut(plan: GapPlan) -> tuple[Share, ...]:
    return shares_of(plan, max_hours=2, max_json_bytes=1 << 40, json_bytes_per_hour=0)


def left(pond: Pond, shares: tuple[Share, ...]) -> list[int]:
    return list(hours_left(pond.lake, shares, NOW).values())


def rest(pond: Pond, share: Share) -> GapPlan:
    return rest_of(pond.lake, share, NOW, rules=PlanRules(window_hours=2))


def test_of_missing_hours_any_manifest_will_do(pond: Pond, tmp_path: Path) -> None:
    assert left(pond, cut(PLAN)) == [2, 2, 2]
    for hour in (FIRST, FIRST + 1, NEWEST):
        pond.fill(tmp_path, hour, 3, exported_at=BEFORE)
    assert left(pond, cut(PLAN)) == [0, 2, 1]


def test_of_other_hours_only_an_export_since_the_plan(pond: Pond, tmp_path: Path) -> None:
    again = cut(plan_for(PLAN.why, window_hours=2, why=Why.UNSETTLED))
    for hour in PLAN.why:
        pond.fill(tmp_path, hour, 2, exported_at=BEFORE)
    assert left(pond, again) == [2, 2, 2]
    pond.fill(tmp_path, FIRST, 1, exported_at=SINCE)  # shrunk
    pond.fill(tmp_path, NEWEST, 2, exported_at=NOW)
    assert left(pond, again) == [1, 2, 1]


def test_of_damaged_hours_only_an_export_that_puts_the_objects_back(pond: Pond, tmp_path: Path) -> None:
    share = share_of(*hours_between(FIRST, FIRST + 3), why=Why.DAMAGED)
    for hour in share.hours:
        pond.fill(tmp_path, hour, 2, exported_at=BEFORE)
    pond.fill(tmp_path, FIRST, 2, exported_at=SINCE)  # settled meanwhile: the parts stay as they are
    pond.fill(tmp_path, FIRST + 1, 2, exported_at=SINCE, restore=True)
    pond.fill(tmp_path, FIRST + 2, 1, exported_at=SINCE, restore=True)  # and held fewer events
    assert [*rest(pond, share).why] == [FIRST, FIRST + 3]


def test_a_look_costs_one_request_and_none_if_nobody_is_out(pond: Pond) -> None:
    pond.asked.clear()
    left(pond, cut(PLAN))
    assert dict(pond.asked) == {"ListObjectsV2": 1}
    assert left(pond, ()) == []
    assert pond.asked.total() == 1


def test_a_run_exports_what_has_not_come_and_for_the_reason_it_was_told(pond: Pond, tmp_path: Path) -> None:
    hours = tuple(hours_between(FIRST, NEWEST))
    whys = (Why.MISSING, Why.MISSING, Why.DAMAGED, Why.DAMAGED, Why.ASKED, Why.MISSING)
    for hour in hours[:5]:
        pond.fill(tmp_path, hour, 2, exported_at=BEFORE)
    pond.fill(tmp_path, hours[3], 2, exported_at=SINCE, restore=True)
    plan = rest(pond, Share(hours, whys))
    assert plan.why == {hours[2]: Why.DAMAGED, hours[4]: Why.ASKED, NEWEST: Why.MISSING}
    assert [*map(str, plan.windows)] == [str(hours[2]), f"{hours[4]}…T19"]
    assert (plan.now, plan.wanted.first, plan.wanted.last) == (NOW, FIRST, NEWEST)


def test_hours_between_those_of_a_share_are_not_its_own(pond: Pond) -> None:
    assert [*rest(pond, share_of(FIRST, NEWEST)).why] == [FIRST, NEWEST]


def test_a_run_writes_nothing_down_of_what_is_wanted(pond: Pond) -> None:
    rest(pond, share_of(FIRST))
    assert pond.lake.wanted_from() is None
    assert {*pond.asked} == {"ListObjectsV2"}

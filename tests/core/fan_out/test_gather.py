"""What several runs have brought, as the lake tells it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from core.fan_out.gather import LOST, gather
from core.fan_out.runs import Ending
from core.fan_out.shares import shares_of
from core.gaps import GapPlan, Why
from core.hours import hours_between
from core.lake.identity import LakeIdentity
from core.planning import PlanRules
from core.timing import Span
from core.transfer import Transfer
from tests.core.fan_out.examples import NEWEST, NOW, plan_for
from tests.core.lake.examples import APP, HOST
from tests.core.lakes import Pond

pytestmark = pytest.mark.slow

FIRST = NEWEST - 5
PLAN = plan_for(hours_between(FIRST, NEWEST), window_hours=2)
SHARES = shares_of(PLAN, max_hours=2, max_json_bytes=1 << 40, json_bytes_per_hour=0)
GREEN = Ending(complete=True)
BEFORE, SINCE = NOW - timedelta(minutes=5), NOW + timedelta(minutes=5)


def red(reason: str) -> Ending:
    return Ending(complete=False, reason=reason)


def gathered(pond: Pond, *endings: Ending, plan: GapPlan = PLAN) -> Transfer:
    told = dict(zip(SHARES, endings, strict=True))
    return gather(pond.lake, plan, told, rules=PlanRules(), span=Span(10.0, 40.0))


def test_what_has_come_is_read_from_the_manifests(pond: Pond, tmp_path: Path) -> None:
    brought = [pond.fill(tmp_path, hour, 3, 4, exported_at=SINCE) for hour in PLAN.why]
    transfer = gathered(pond, GREEN, Ending(complete=True, here=True), GREEN)
    assert transfer.manifests == brought
    assert (transfer.failures, transfer.unpublished, transfer.stopped_by) == ({}, [], None)
    (step,) = transfer.steps_to_lake()
    assert step.what == "3 parts, 1 of them here: 42 events, 6 manifests"
    assert step.seconds == 30


def test_hours_that_did_not_come_of_a_green_part_are_not_yet_published(pond: Pond, tmp_path: Path) -> None:
    pond.lake.claim(LakeIdentity(api_host=HOST, app_id=APP))
    for hour in hours_between(FIRST, NEWEST - 1):
        pond.fill(tmp_path, hour, 1, exported_at=SINCE)
    transfer = gathered(pond, GREEN, GREEN, GREEN)
    assert transfer.unpublished == [NEWEST]
    assert transfer.failures == {}


def test_an_old_hour_that_a_green_part_did_not_bring_is_no_quiet_hour(pond: Pond, tmp_path: Path) -> None:
    """A green part commits an hour without files as empty, once it is old enough to be believed."""
    pond.lake.claim(LakeIdentity(api_host=HOST, app_id=APP))
    for hour in list(PLAN.why)[1:]:
        pond.fill(tmp_path, hour, 1, exported_at=SINCE)
    transfer = gathered(pond, GREEN, GREEN, GREEN)
    assert transfer.failures == {FIRST: LOST}
    assert transfer.unpublished == []


def test_without_an_archive_they_wait_for_one(pond: Pond) -> None:
    assert gathered(pond, GREEN, GREEN, GREEN).unclaimed == list(PLAN.why)


def test_a_red_part_says_which_of_its_hours_failed_and_why(pond: Pond, tmp_path: Path) -> None:
    pond.lake.claim(LakeIdentity(api_host=HOST, app_id=APP))
    pond.fill(tmp_path, FIRST, 1, exported_at=SINCE)
    told = f"1 of 2 hours failed:\n  {FIRST + 1}: is not sound gzip: member 7"
    stopped = f"The disk is full\nBesides, 1 of 2 hours failed:\n  {FIRST + 2}: held more"
    transfer = gathered(pond, red(told), red(stopped), red("Amplitude does not know this API key"))
    assert transfer.failures == {
        FIRST + 1: "is not sound gzip: member 7",
        FIRST + 2: "held more",
        FIRST + 3: "The disk is full",
        FIRST + 4: "Amplitude does not know this API key",
        FIRST + 5: "Amplitude does not know this API key",
    }


def test_an_hour_that_came_and_failed_all_the_same_is_named(pond: Pond, tmp_path: Path) -> None:
    """As one does whose manifest states another number of events than it had."""
    for hour in PLAN.why:
        pond.fill(tmp_path, hour, 1, exported_at=SINCE)
    told = f"1 of 2 hours failed:\n  {FIRST}: had 2 events, its manifest 1"
    assert gathered(pond, red(told), GREEN, GREEN).failures == {FIRST: "had 2 events, its manifest 1"}


def test_what_has_come_since_is_not_missing_whatever_a_part_says_of_it(pond: Pond, tmp_path: Path) -> None:
    """Another run brought it, or the part itself, and the answer to its last request was lost."""
    for hour in PLAN.why:
        pond.fill(tmp_path, hour, 1, exported_at=SINCE)
    told = f"2 of 2 hours failed:\n  {FIRST}…T15: S3 did not answer"
    assert gathered(pond, red(told), GREEN, red("S3 did not answer")).failures == {}


def test_a_damaged_hour_has_come_when_it_was_restored_since(pond: Pond, tmp_path: Path) -> None:
    plan = plan_for(PLAN.why, window_hours=2, why=Why.DAMAGED)
    for hour in plan.why:
        pond.fill(tmp_path, hour, 2, exported_at=BEFORE)
    pond.fill(tmp_path, FIRST, 2, exported_at=SINCE)  # for another reason: the parts stay as they are
    pond.fill(tmp_path, NEWEST, 2, exported_at=SINCE, restore=True)
    transfer = gathered(pond, GREEN, GREEN, GREEN, plan=plan)
    assert [manifest.hour for manifest in transfer.manifests] == [NEWEST]


def test_a_quiet_hour_of_a_part_that_failed_for_another_one_is_not_called_lost(
    pond: Pond, tmp_path: Path
) -> None:
    """On a lake that was opened meanwhile, it may only have come too early to be believed."""
    pond.fill(tmp_path, NEWEST, 1, exported_at=SINCE)
    told = f"1 of 2 hours failed:\n  {FIRST}: too large"
    transfer = gathered(pond, red(told), GREEN, GREEN)
    assert transfer.failures == {FIRST: "too large", FIRST + 2: LOST}
    assert FIRST + 1 in transfer.unpublished


def test_parts_that_were_not_started_stop_the_run_once(pond: Pond) -> None:
    idle = Ending(complete=False, reason="3 parts in a row brought nothing", begun=False)
    transfer = gathered(pond, red("wrong key"), red("wrong key\nBesides, 0 of 2 hours failed:"), idle)
    stopped = "3 parts in a row brought nothing, so no more were started. The last one said: wrong key"
    assert str(transfer.stopped_by) == stopped
    assert transfer.failures[NEWEST] == stopped
    assert transfer.failures[FIRST] == "wrong key"


def test_an_hour_to_be_settled_has_come_when_it_was_exported_since(pond: Pond, tmp_path: Path) -> None:
    plan = plan_for(PLAN.why, window_hours=2, why=Why.UNSETTLED)
    for hour in plan.why:
        pond.fill(tmp_path, hour, 2, exported_at=BEFORE)
    pond.fill(tmp_path, FIRST, 1, exported_at=SINCE)  # shrunk
    pond.fill(tmp_path, NEWEST, 2, exported_at=NOW)
    transfer = gathered(pond, GREEN, GREEN, GREEN, plan=plan)
    assert [manifest.hour for manifest in transfer.manifests] == [FIRST, NEWEST]
    assert (transfer.failures, transfer.unpublished) == ({}, [])


def test_a_damaged_manifest_is_named_and_the_others_are_read(pond: Pond, tmp_path: Path) -> None:
    made = [pond.fill(tmp_path, hour, 1, exported_at=SINCE) for hour in PLAN.why]
    pond.put(made[0].name.key, b"{")
    transfer = gathered(pond, GREEN, GREEN, GREEN)
    assert list(transfer.failures) == [FIRST]
    assert transfer.manifests == made[1:]

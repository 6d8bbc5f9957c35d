"""One part of a gap-fill: what it takes, brings, and leaves alone."""

from __future__ import annotations

import inspect
from datetime import timedelta

import pytest

from core.errors import InvalidInput
from core.hours import ExportHour
from core.lake.layout import Status
from flows.gap_fill import gap_fill
from flows.gap_fill_part import gap_fill_part
from flows.opening import utc_now
from tests.rehearsal import BUCKET, Rehearsal, hours_ago


def test_a_part_is_a_gap_fill_by_name_and_needs_its_hours() -> None:
    assert gap_fill_part.name == gap_fill.name
    needed = [
        name
        for name, parameter in inspect.signature(gap_fill_part.fn).parameters.items()
        if parameter.default is parameter.empty
    ]
    assert needed == ["hours", "since"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("hours", "complaint"),
    [
        ("yesterday...T19", "Not an export hour"),
        ("2025-12-23T19...2225-12-23T19", "lies in the future"),
    ],
)
def test_a_part_refuses_what_cannot_be(prefect_server: None, hours: str, complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        gap_fill_part({"missing": [hours]}, utc_now())


@pytest.mark.slow
def test_a_part_brings_its_hours_and_loads_nothing(stage: Rehearsal) -> None:
    first, last = hours_ago(40), hours_ago(39)
    before = utc_now()
    gap_fill_part({"missing": [f"{first}...{last}"]}, before, stage.name)
    names = stage.lake.manifest_names(ExportHour.parse(first), ExportHour.parse(last))
    assert [str(name.hour) for name in names] == [first, last]
    assert stage.rows() == []
    assert stage.lake.wanted_from() is None  # that is for whoever wants more than hours by name


@pytest.mark.slow
def test_what_has_come_since_the_plan_is_not_asked_for_again(stage: Rehearsal) -> None:
    first, last = hours_ago(40), hours_ago(39)
    before = utc_now()
    gap_fill_part({"missing": [f"{first}...{last}"]}, before, stage.name)
    asked = len(stage.amplitude.requests)
    gap_fill_part({"missing": [f"{first}...{last}"]}, before, stage.name)
    gap_fill_part({"unsettled": [first], "asked": [last]}, before, stage.name)
    assert len(stage.amplitude.requests) == asked
    later = utc_now() + timedelta(minutes=2)
    gap_fill_part({"unsettled": [first], "missing": [last]}, later, stage.name)
    assert len(stage.amplitude.requests) == asked + 1


@pytest.mark.slow
def test_the_objects_of_a_damaged_hour_are_put_back_though_it_was_exported_since(stage: Rehearsal) -> None:
    hour = ExportHour.parse(hours_ago(40))
    gap_fill_part({"missing": [str(hour)]}, utc_now(), stage.name)
    (before,) = stage.lake.manifest_names(hour, hour)
    objects = [f"amplitude/{part.key}" for part in stage.lake.read_manifest(before).parts]
    client = stage.s3.client()
    for key in objects:
        client.delete_object(Bucket=BUCKET, Key=key)

    gap_fill_part({"damaged": [str(hour)]}, before.exported_at, stage.name)

    restored = max(stage.lake.manifest_names(hour, hour))
    assert restored.status is Status.RESTORED
    parts = stage.lake.read_manifest(restored).parts
    assert all(client.head_object(Bucket=BUCKET, Key=f"amplitude/{part.key}") for part in parts)
    asked = len(stage.amplitude.requests)
    gap_fill_part({"damaged": [str(hour)]}, before.exported_at, stage.name)
    assert len(stage.amplitude.requests) == asked

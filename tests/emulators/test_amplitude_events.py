"""The events look like Amplitude's, and come from the seed alone."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from core.errors import InvalidInput
from core.hours import ExportHour
from emulators.amplitude import Change, EventSource, canonical
from tests.emulators.test_amplitude import HOUR, NOW

EXAMPLE = json.loads(
    (Path(__file__).parent.parent / "fixtures" / "example_event.json").read_text(encoding="utf-8")
)


@pytest.fixture(scope="module")
def events() -> list[dict[str, Any]]:
    return EventSource(seed=3, events_per_hour=3000, constant=True).events(HOUR)


def test_every_event_has_the_keys_of_a_real_one(events: list[dict[str, Any]]) -> None:
    assert len(EXAMPLE) == 55
    assert {tuple(event) for event in events} == {tuple(sorted(EXAMPLE))}


def test_values_are_of_the_kinds_of_a_real_event(events: list[dict[str, Any]]) -> None:
    for key, value in EXAMPLE.items():
        if value is not None:
            assert {type(event[key]) for event in events} - {type(None)} == {type(value)}, key


def test_an_event_has_the_usual_size_and_gzips_as_usual() -> None:
    members = EventSource(events_per_hour=5600, constant=True, parts_per_hour=4).members(HOUR)
    json_bytes = sum(member.json_bytes for member in members)
    assert 1700 < json_bytes / 5600 < 1950
    for member in members:
        assert 8 < member.json_bytes / len(member.payload) < 12


def test_uuids_and_insert_ids_are_unique_across_hours() -> None:
    source = EventSource(events_per_hour=500)
    events = [event for hour in range(4) for event in source.events(HOUR + hour)]
    for key in ("uuid", "$insert_id"):
        assert len({event[key] for event in events}) == len(events)


def test_events_are_uploaded_within_their_hour_and_may_be_days_late(events: list[dict[str, Any]]) -> None:
    assert {event["server_upload_time"][:14] for event in events} == {"2025-12-23 08:"}
    assert all(len(event["server_upload_time"]) == len("2025-12-23 08:00:00.000000") for event in events)
    assert any(event["event_time"] < "2025-12-15" for event in events)
    assert all(event["event_time"] <= event["server_upload_time"] for event in events)


def test_what_readers_stumble_over_is_there(events: list[dict[str, Any]]) -> None:
    lines = EventSource(seed=3, events_per_hour=3000, constant=True).lines(HOUR)
    text = b"\n".join(lines)
    assert b"\\ud83d" in text  # escaped, and not
    assert "🚀".encode() in text
    assert "\u2028".encode() in text
    assert b'\\"' in text
    assert b"\\\\" in text
    assert b"\\t" in text
    assert any({"Name", "name", "NAME"} <= event["event_properties"].keys() for event in events)
    assert any("." in key and " " in key for event in events for key in event["event_properties"])
    assert any(event["session_id"] == -1 for event in events)
    assert all(event["amplitude_id"] > 2**31 for event in events)
    assert any(event["event_properties"].get("order id", 0) > 2**53 for event in events)
    for key in ("groups", "group_properties", "plan", "user_properties", "event_properties"):
        assert {bool(event[key]) for event in events} == {True, False}, key
    assert not any(b"\n" in line for line in lines)


def test_the_same_seed_gives_the_same_events_whenever_asked() -> None:
    one, other = EventSource(seed=5, first_hour=HOUR), EventSource(seed=5, last_hour=HOUR + 9)
    other.members(HOUR + 1)
    assert one.lines(HOUR) == other.lines(HOUR)
    assert one.members(HOUR) == other.members(HOUR)
    assert EventSource(seed=6).lines(HOUR)[0] != one.lines(HOUR)[0]
    assert EventSource(seed=5, app_id=1).lines(HOUR)[0] != one.lines(HOUR)[0]


def test_the_seed_means_the_same_in_every_version() -> None:
    """A change here changes every rehearsal that counts on a seed."""
    digest = hashlib.sha256(b"\n".join(EventSource(seed=1).lines(HOUR)))
    assert digest.hexdigest()[:16] == "398dc518ea71c412"


def test_volume_follows_the_day_unless_it_is_constant() -> None:
    by_day = [EventSource().count(HOUR + hour) for hour in range(24)]
    assert max(by_day) > 2 * min(by_day)
    assert 900 < sum(by_day) / 24 < 1100
    assert {EventSource(constant=True).count(HOUR + hour) for hour in range(24)} == {1000}


def test_counts_are_those_of_the_lines() -> None:
    changes = [Change(add=3, drop=7), Change(hours={HOUR + 1}, gone=True), Change(hours={HOUR + 1}, add=2)]
    source = EventSource(events_per_hour=30, changes=changes, quiet_hours={HOUR + 2}, last_hour=HOUR + 3)
    for number in range(5):
        assert source.count(HOUR + number) == len(source.lines(HOUR + number))
    assert [source.count(HOUR + number) for number in (1, 2, 4)] == [2, 3, 0]
    assert len({truth.uuid for truth in source.truth(HOUR)}) == source.count(HOUR)


def test_late_data_leaves_the_other_events_as_they_were() -> None:
    source = EventSource(
        events_per_hour=30, changes=[Change(add=4, after=NOW), Change(add=4, drop=1, from_request=3)]
    )
    before, after = source.lines(HOUR), source.lines(HOUR, at=NOW)
    assert after[:-4] == before
    assert source.lines(HOUR, at=NOW - timedelta(seconds=1), request=2) == before
    assert source.lines(HOUR, at=NOW, request=3)[:-4] == after[1:]
    assert [member.events for member in source.members(HOUR)] != [
        member.events for member in source.members(HOUR, at=NOW)
    ]


def test_changes_can_be_written_on_one_line() -> None:
    assert Change.parse("add=2,drop=1,from_request=2") == Change(add=2, drop=1, from_request=2)
    assert Change.parse("gone=1,after=2025-12-24T12:00:00Z").after == NOW
    for text in ("", "add=x", "after=2025-12-24T12:00:00,gone=1", "hours=x", "from_request=2"):
        with pytest.raises(InvalidInput):
            Change.parse(text)


def test_the_truth_names_each_event_with_its_fingerprint(tmp_path: Path) -> None:
    source = EventSource(events_per_hour=10, constant=True)
    hours = [HOUR, HOUR + 1]
    path = tmp_path / "truth.csv"
    assert source.write_truth(path, hours) == 20
    header, *rows = path.read_text().splitlines()
    assert header == "uuid,export_hour,sha256"
    assert rows == [
        f"{event['uuid']},{hour},{hashlib.sha256(canonical(event)).hexdigest()}"
        for hour in hours
        for event in source.events(hour)
    ]


def test_the_canonical_event_does_not_depend_on_how_it_was_written() -> None:
    assert (
        canonical({"b": "é", "a": [1, {}]})
        == canonical({"a": [1, {}], "b": "\u00e9"})
        == '{"a":[1,{}],"b":"é"}'.encode()
    )


def test_memory_for_members_is_bounded() -> None:
    source = EventSource(events_per_hour=50, constant=True, cache_bytes=20_000)
    first = source.members(HOUR)
    assert source.members(HOUR) is first
    for number in range(1, 6):
        source.members(HOUR + number)
    again = source.members(HOUR)
    assert again is not first
    assert again == first


@pytest.mark.parametrize("settings", [{"events_per_hour": -1}, {"parts_per_hour": 0}])
def test_a_source_that_cannot_be_is_refused(settings: dict[str, int]) -> None:
    with pytest.raises(InvalidInput):
        EventSource(**settings)  # type: ignore[arg-type]


def test_an_hour_has_no_more_parts_than_events() -> None:
    source = EventSource(events_per_hour=3, constant=True, parts_per_hour=8)
    assert [(member.stem, member.events) for member in source.members(ExportHour.parse("2025-12-23T09"))] == [
        (f"100011471_2025-12-23_9#{part}", 1) for part in range(3)
    ]

"""Where things lie in the lake, and that a manifest's name says what it means."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import LakeConflict
from core.hours import ExportHour
from core.lake.layout import (
    Compression,
    ManifestName,
    Status,
    day_of,
    manifest_folder,
    part_folder,
    part_key,
    stamp,
    wanted_key,
    whole_milliseconds,
)
from tests.core.lake.examples import DIGEST, HOUR, at, checksums, counts, digests, hours, instants

NAME = "manifests/date=2025-12-23/hour=19/20251223T221503.120Z-data-48211-" + DIGEST + ".json"

any_name = st.builds(ManifestName, hours, instants, st.sampled_from(Status), counts, digests)


def test_a_manifest_s_name_is_spelled_as_the_layout_says() -> None:
    name = ManifestName(HOUR, at("2025-12-23T22:15:03.120"), Status.DATA, 48211, DIGEST)
    assert name.key == NAME


@given(any_name)
def test_a_manifest_s_name_survives_writing_and_reading(name: ManifestName) -> None:
    assert ManifestName.parse(name.key) == name


@given(any_name, any_name)
def test_the_listing_s_order_is_the_order_of_hours_and_moments(one: ManifestName, two: ManifestName) -> None:
    if (one.hour, one.exported_at) != (two.hour, two.exported_at):
        assert (one.key < two.key) == (one < two)


@given(any_name)
def test_a_manifest_lies_between_its_hour_s_folder_and_the_next(name: ManifestName) -> None:
    assert manifest_folder(name.hour) < name.key < manifest_folder(name.hour + 1)


@pytest.mark.parametrize(
    ("says", "instead"),
    [
        ("-data-", "-nothing-"),
        ("-data-", "-DATA-"),
        ("-data-", "-"),
        ("48211", "-1"),
        ("48211", "4821l"),
        ("48211", "4" * 19),
        ("48211", "٤٨٢"),  # digits to Python, not to us
        (DIGEST, DIGEST[1:]),
        (DIGEST, DIGEST + "0"),
        (DIGEST, "F" + DIGEST[1:]),
        ("03.120Z", "03.120"),
        ("03.120Z", "03Z"),
        ("03.120Z", "63.120Z"),
        ("hour=19", "hour=24"),
        ("date=2025-12-23", "date=2025-02-30"),
        ("date=2025-12-23", "date=20251223"),
        ("/20251223T22", "/00011223T22"),  # long before there was anything to export
        ("manifests/", "manifests/../manifests/"),
        ("manifests/", "/manifests/"),
        (".json", ".json\n"),
        (".json", ".json.gz"),
        (".json", ""),
    ],
)
def test_whatever_else_lies_among_the_manifests_is_refused_by_name(says: str, instead: str) -> None:
    assert says in NAME
    with pytest.raises(LakeConflict, match="lies among the manifests"):
        ManifestName.parse(NAME.replace(says, instead, 1))


@pytest.mark.parametrize("spelling", ["048211", "000"])
def test_a_name_that_would_be_written_otherwise_is_refused(spelling: str) -> None:
    with pytest.raises(LakeConflict):
        ManifestName.parse(NAME.replace("48211", spelling))


def test_a_stranger_s_name_is_shown_escaped_and_cut() -> None:
    with pytest.raises(LakeConflict) as refused:
        ManifestName.parse("manifests/\x1b[31mé\n" + "x" * 5000)
    text = str(refused.value)
    assert text.isascii()
    assert text.isprintable()
    assert len(text) < 300


@pytest.mark.parametrize(
    ("compression", "key"),
    [
        ("none", "events/date=2025-12-23/hour=19/100011471_2025-12-23_19_0-1a2b3c4d.json"),
        ("gzip", "events/date=2025-12-23/hour=19/100011471_2025-12-23_19_0-1a2b3c4d.json.gz"),
    ],
)
def test_a_part_s_key_is_spelled_as_the_layout_says(compression: Compression, key: str) -> None:
    assert part_key(HOUR, "100011471_2025-12-23_19#0", crc32=0x1A2B3C4D, compression=compression) == key


@given(checksums, checksums)
def test_parts_with_other_bytes_have_other_keys(one: int, two: int) -> None:
    keys = {part_key(HOUR, "1_2025-12-23_19#0", crc32=crc32, compression="none") for crc32 in (one, two)}
    assert len(keys) == len({one, two})


def test_a_part_lies_in_its_hour_with_two_digits_although_its_member_has_one() -> None:
    key = part_key(ExportHour.parse("2025-01-02T03"), "1_2025-01-02_3#12", crc32=0, compression="none")
    assert key == "events/date=2025-01-02/hour=03/1_2025-01-02_3_12-00000000.json"


@given(hours, checksums)
def test_a_part_lies_between_its_hour_s_folder_and_the_next(hour: ExportHour, crc32: int) -> None:
    key = part_key(hour, "1_2025-12-23_19#0", crc32=crc32, compression="gzip")
    assert part_folder(hour) < key < part_folder(hour + 1)


@given(hours, hours)
def test_folders_of_manifests_sort_as_time_does(one: ExportHour, two: ExportHour) -> None:
    assert (manifest_folder(one) < manifest_folder(two)) == (one < two)


@given(hours, hours)
def test_keys_of_wanted_hours_sort_as_time_does(one: ExportHour, two: ExportHour) -> None:
    assert (wanted_key(one) < wanted_key(two)) == (one < two)
    assert wanted_key(HOUR) == "wanted/2025-12-23T19"


@given(hours)
def test_a_day_s_folder_is_read_as_its_first_hour(hour: ExportHour) -> None:
    assert day_of(f"manifests/date={hour.day}/") == ExportHour.parse(f"{hour.day}T00")


@pytest.mark.parametrize("folder", ["manifests/old/", "manifests/date=2025-13-01/", "manifests/date=/"])
def test_a_folder_that_is_no_day_is_refused(folder: str) -> None:
    with pytest.raises(LakeConflict, match="lies among the manifests"):
        day_of(folder)


@given(st.datetimes(datetime(2014, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_milliseconds_are_cut_and_never_move_an_instant_into_the_future(instant: datetime) -> None:
    cut = whole_milliseconds(instant)
    assert timedelta(0) <= instant - cut < timedelta(milliseconds=1)
    assert whole_milliseconds(cut) == cut
    assert stamp(cut) == stamp(instant)


def test_an_instant_of_another_zone_is_written_in_utc() -> None:
    berlin = datetime(2025, 12, 23, 23, 15, 3, 120999, timezone(timedelta(hours=1)))
    assert stamp(whole_milliseconds(berlin)) == "20251223T221503.120Z"


def test_only_two_statuses_say_nothing_about_content() -> None:
    assert {status for status in Status if not status.has_content} == {Status.GIVEN_UP, Status.RETRY}


def test_a_stranger_is_named() -> None:
    where = "lies among the manifests and is none. Move it out of the lake."
    for read, key in ((ManifestName.parse, "manifests/notes.txt"), (day_of, "manifests/date=today/")):
        with pytest.raises(LakeConflict) as refused:
            read(key)
        assert str(refused.value) == f"'{key}' {where}"
    with pytest.raises(LakeConflict) as refused:
        ManifestName.parse("x" * 500)
    assert str(refused.value) == f"'{'x' * 199} {where}"


def test_the_machine_s_own_time_zone_makes_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    try:
        cut = whole_milliseconds(datetime(2025, 12, 23, 22, 15, 3, 120_999, tzinfo=UTC))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert (cut, cut.utcoffset()) == (at("2025-12-23T22:15:03.120"), timedelta(0))

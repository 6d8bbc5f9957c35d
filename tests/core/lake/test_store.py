"""The door to the lake, over S3's own protocol."""

from __future__ import annotations

import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from core.errors import HourUnusable, LakeConflict, LakeUnavailable
from core.hours import ExportHour
from core.lake.identity import LakeIdentity
from core.lake.layout import manifest_folder, part_folder
from core.lake.store import Lake
from emulators.s3 import S3Emulator
from tests.core.lake.examples import APP, HOST, HOUR, manifest, part
from tests.core.lakes import BUCKET, Pond

pytestmark = pytest.mark.slow

OURS = LakeIdentity(APP, HOST)
THEIRS = LakeIdentity(APP + 1, HOST)
KEY = "events/date=2025-12-23/hour=19/100011471_2025-12-23_19_0-{:08x}.json"


@pytest.fixture
def body(tmp_path: Path) -> Path:
    path = tmp_path / "part"
    path.write_bytes(b'{"uuid":"1"}\n' * 1000)
    return path


# Whose lake it is


def test_an_unclaimed_lake_is_nobody_s(pond: Pond) -> None:
    assert pond.lake.identity() is None


def test_a_claim_is_remembered_and_may_be_repeated(pond: Pond) -> None:
    pond.lake.claim(OURS)
    pond.lake.claim(OURS)
    assert pond.again().identity() == OURS
    assert pond.contents() == ["lake.json"]
    assert pond.asked["PutObject"] == 1


@pytest.mark.parametrize("other", [THEIRS, LakeIdentity(APP, "analytics.eu.amplitude.com")])
def test_a_lake_of_another_project_or_host_is_refused_and_left_alone(pond: Pond, other: LakeIdentity) -> None:
    pond.lake.claim(other)
    before = pond.get("lake.json")
    with pytest.raises(LakeConflict, match=r"a prefix of its own") as refused:
        pond.lake.claim(OURS)
    assert str(other) in str(refused.value)
    assert str(OURS) in str(refused.value)
    assert pond.get("lake.json") == before


def waited(both: Barrier) -> None:
    both.wait()


def test_of_two_projects_that_claim_at_once_one_gets_the_lake(pond: Pond) -> None:
    """Both have seen that there is no lake.json before either writes it."""
    both = Barrier(2, timeout=10)

    def claim(identity: LakeIdentity) -> LakeIdentity | LakeConflict:
        lake = Pond(pond.s3, pond.prefix)
        lake.client.meta.events.register_first("before-call.s3.PutObject", lambda **_: waited(both))
        try:
            lake.lake.claim(identity)
        except LakeConflict as error:
            return error
        return identity

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(claim, [OURS, THEIRS]))
    assert sorted(type(one).__name__ for one in outcomes) == ["LakeConflict", "LakeIdentity"]
    assert pond.lake.identity() in outcomes


def test_of_two_claims_of_one_project_at_once_both_hold(pond: Pond) -> None:
    both = Barrier(2, timeout=10)

    def claim(_: int) -> None:
        lake = Pond(pond.s3, pond.prefix)
        lake.client.meta.events.register_first("before-call.s3.PutObject", lambda **_: waited(both))
        lake.lake.claim(OURS)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(claim, range(2)))
    assert pond.lake.identity() == OURS


def test_a_lake_json_of_somebody_else_is_refused(pond: Pond) -> None:
    pond.put("lake.json", b"<html>")
    with pytest.raises(LakeConflict, match="not written by this project"):
        pond.lake.identity()
    with pytest.raises(LakeConflict, match="not written by this project"):
        pond.lake.claim(OURS)
    assert pond.get("lake.json") == b"<html>"


def test_a_lake_may_lie_at_the_root_of_a_bucket() -> None:
    with S3Emulator(buckets=[BUCKET]) as s3:
        root = Pond(s3, prefix="")
        root.lake.claim(OURS)
        root.lake.want_from(HOUR)
        root.list_hours(HOUR)
        assert root.lake.url == f"s3://{BUCKET}/"
        assert root.lake.wanted_from() == HOUR
        assert [one.hour for one in root.lake.manifest_names(HOUR, HOUR)] == [HOUR]
        assert root.lake.newest_day() == ExportHour.parse("2025-12-23T00")


# Manifests


def test_a_manifest_is_read_as_it_was_written(pond: Pond) -> None:
    written = manifest(part(events=3), part(number=1, events=4))
    pond.lake.put_manifest(written)
    assert pond.lake.manifest_names(HOUR, HOUR) == [written.name]
    assert pond.lake.read_manifest(written.name) == written


def test_a_manifest_is_never_replaced(pond: Pond) -> None:
    """Two exporters in one millisecond with the same content: the first one's words stay."""
    first, second = manifest(part(events=3)), manifest(part(events=3))
    pond.lake.put_manifest(first)
    before = pond.head(first.name.key)["LastModified"], pond.get(first.name.key)
    pond.put("between")
    pond.lake.put_manifest(second)
    assert (pond.head(first.name.key)["LastModified"], pond.get(first.name.key)) == before


def test_a_manifest_whose_answer_was_lost_may_be_written_again(pond: Pond) -> None:
    pond.s3.fail("lost-answer", method="PUT", key="manifests/")
    written = manifest(part())
    with pytest.raises(LakeUnavailable):
        pond.lake.put_manifest(written)
    pond.lake.put_manifest(written)
    assert pond.lake.read_manifest(written.name) == written


def test_a_range_of_hours_is_listed_with_both_ends(pond: Pond) -> None:
    pond.list_hours(*(HOUR + place for place in range(-30, 31)))
    found = pond.lake.manifest_names(HOUR - 5, HOUR + 5)
    assert [one.hour for one in found] == [HOUR + place for place in range(-5, 6)]
    assert pond.lake.manifest_names(HOUR + 100, HOUR + 200) == []
    assert pond.lake.manifest_names(HOUR + 5, HOUR - 5) == []


def test_all_manifests_of_an_hour_are_listed_in_the_order_of_their_exports(pond: Pond) -> None:
    written = [manifest(exported_at=(HOUR + later).start) for later in (30, 3, 8)]
    for one in written:
        pond.lake.put_manifest(one)
    assert pond.lake.manifest_names(HOUR, HOUR) == sorted(one.name for one in written)


def test_a_listing_costs_a_request_for_each_thousand_and_reads_no_bodies(pond: Pond) -> None:
    hours = [HOUR + place for place in range(2001)]
    pond.list_hours(*hours)
    assert [one.hour for one in pond.lake.manifest_names(hours[0], hours[-1])] == hours
    assert dict(pond.asked) == {"ListObjectsV2": 3}

    pond.asked.clear()
    assert [one.hour for one in pond.lake.manifest_names(hours[1000], hours[1047])] == hours[1000:1048]
    assert dict(pond.asked) == {"ListObjectsV2": 1}

    pond.asked.clear()
    assert pond.lake.newest_day() == ExportHour.parse(f"{hours[-1].day}T00")
    assert dict(pond.asked) == {"ListObjectsV2": 1}


def test_the_newest_day_is_found_with_one_request_from_a_recent_day_on(pond: Pond) -> None:
    pond.list_hours(*(HOUR - 24 * days for days in range(40)))
    pond.asked.clear()
    assert pond.lake.newest_day(since=HOUR - 24 * 30) == ExportHour.parse("2025-12-23T00")
    assert dict(pond.asked) == {"ListObjectsV2": 1}
    assert pond.lake.newest_day(since=HOUR) == ExportHour.parse("2025-12-23T00")
    assert pond.lake.newest_day(since=HOUR + 24) is None


def test_an_empty_lake_has_no_newest_day(pond: Pond) -> None:
    pond.lake.claim(OURS)
    assert pond.lake.newest_day() is None


def test_a_stranger_among_the_manifests_is_named(pond: Pond) -> None:
    pond.list_hours(HOUR)
    pond.put(manifest_folder(HOUR) + "notes.txt")
    with pytest.raises(LakeConflict, match=r"notes\.txt"):
        pond.lake.manifest_names(HOUR, HOUR)
    pond.put("manifests/zzz/notes.txt")
    with pytest.raises(LakeConflict, match="zzz"):
        pond.lake.newest_day()


def test_what_lies_beside_the_lake_is_not_seen(pond: Pond) -> None:
    neighbour = Pond(pond.s3, pond.prefix.removesuffix("/") + "-2/")
    neighbour.lake.claim(THEIRS)
    neighbour.lake.want_from(HOUR - 1)
    neighbour.list_hours(HOUR)
    assert pond.lake.identity() is None
    assert pond.lake.wanted_from() is None
    assert pond.lake.newest_day() is None
    assert pond.lake.manifest_names(HOUR - 1000, HOUR + 1000) == []


def test_a_manifest_that_is_gone_or_damaged_is_named(pond: Pond) -> None:
    written = manifest(part())
    with pytest.raises(HourUnusable, match="was listed and is gone") as gone:
        pond.lake.read_manifest(written.name)
    pond.put(written.name.key, written.to_json()[:-10])
    with pytest.raises(HourUnusable, match="cannot be read") as damaged:
        pond.lake.read_manifest(written.name)
    assert all(written.name.key in str(error.value) for error in (gone, damaged))


def test_everything_is_encrypted_with_the_key_that_was_named(pond: Pond, body: Path) -> None:
    arn = "arn:aws:kms:us-east-1:123456789012:key/5f0c9a00-0000-4000-8000-000000000000"
    lake = Lake(pond.client, bucket=BUCKET, prefix=pond.prefix, kms_key_id=arn)
    crc32 = zlib.crc32(body.read_bytes())
    written = manifest(part())
    lake.claim(OURS)
    lake.want_from(HOUR)
    lake.put_part(body, KEY.format(crc32), crc32=crc32)
    lake.put_manifest(written)
    assert len(pond.contents()) == 4
    for key in pond.contents():
        head = pond.head(key)
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", arn)


# From where on hours are wanted


def test_the_earliest_wanted_hour_is_remembered(pond: Pond) -> None:
    assert pond.lake.wanted_from() is None
    for hour in (HOUR, HOUR - 48, HOUR - 24, HOUR - 48):
        pond.lake.want_from(hour)
    assert pond.lake.wanted_from() == HOUR - 48
    assert pond.get("wanted/2025-12-21T19") == b""


def test_a_stranger_among_the_wanted_hours_is_the_lake_s_fault_and_not_the_caller_s(pond: Pond) -> None:
    pond.put("wanted/README")
    with pytest.raises(LakeConflict, match="README"):
        pond.lake.wanted_from()


# What lies among the events


def test_the_objects_of_a_range_of_hours_are_listed_with_both_ends(pond: Pond, tmp_path: Path) -> None:
    wanted = {}
    for place in range(-2, 3):
        for one in pond.fill(tmp_path, HOUR + place, 1, 2).parts:
            if abs(place) < 2:
                wanted[one.key] = one.size_bytes
    assert pond.lake.stored_parts(HOUR - 1, HOUR + 1) == wanted
    assert pond.lake.stored_parts(HOUR + 100, HOUR + 200) == {}
    assert pond.lake.stored_parts(HOUR + 1, HOUR - 1) == {}


def test_a_stray_object_among_the_events_is_listed_and_belongs_to_nobody(pond: Pond, tmp_path: Path) -> None:
    (one,) = pond.fill(tmp_path, HOUR, 1).parts
    stray = part_folder(HOUR) + "stray.json"
    pond.put(stray, b"12345")
    assert pond.lake.stored_parts(HOUR, HOUR) == {one.key: one.size_bytes, stray: 5}


def test_the_checksum_that_s3_keeps_is_told_as_the_manifest_writes_it(pond: Pond, tmp_path: Path) -> None:
    (one,) = pond.fill(tmp_path, HOUR, 3).parts
    pond.asked.clear()
    assert pond.lake.stored_crc32(one.key) == one.crc32
    assert dict(pond.asked) == {"HeadObject": 1}


def test_a_listing_that_breaks_off_between_its_pages_is_no_short_listing(pond: Pond) -> None:
    hours = [HOUR + place for place in range(1001)]
    pond.list_hours(*hours)
    calls = iter([False, True])
    second = Pond(pond.s3, pond.prefix)
    second.client.meta.events.register(
        "before-call.s3.ListObjectsV2",
        lambda **_: pond.s3.fail("error", method="GET") if next(calls) else None,
    )
    with pytest.raises(LakeUnavailable):
        second.lake.manifest_names(hours[0], hours[-1])

"""The door to the lake, over S3's own protocol."""

from __future__ import annotations

import base64
import pickle
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from botocore.config import Config

from core.errors import HourUnusable, LakeConflict, LakeError, LakeRefused, LakeUnavailable, is_transient
from core.hours import ExportHour
from core.lake.identity import LakeIdentity
from core.lake.layout import Status, manifest_folder
from core.lake.store import Lake
from emulators.s3 import S3Emulator
from emulators.s3.faults import FaultKind
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


# Parts


def test_a_part_goes_up_with_its_checksum_and_s3_keeps_it(pond: Pond, body: Path) -> None:
    crc32 = zlib.crc32(body.read_bytes())
    pond.lake.put_part(body, KEY.format(crc32), crc32=crc32)
    assert pond.get(KEY.format(crc32)) == body.read_bytes()
    stored = pond.head(KEY.format(crc32))["ChecksumCRC32"]
    assert base64.b64decode(stored) == crc32.to_bytes(4, "big")


def test_a_part_whose_bytes_are_not_its_checksum_s_is_refused_and_not_stored(pond: Pond, body: Path) -> None:
    with pytest.raises(LakeUnavailable, match="BadDigest"):
        pond.lake.put_part(body, KEY.format(1), crc32=1)
    assert pond.contents() == []


def test_the_same_part_may_be_put_again(pond: Pond, body: Path) -> None:
    crc32 = zlib.crc32(body.read_bytes())
    for _ in range(2):
        pond.lake.put_part(body, KEY.format(crc32), crc32=crc32)
    assert pond.contents() == [KEY.format(crc32)]


def test_an_empty_part_is_stored(pond: Pond, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    pond.lake.put_part(tmp_path / "empty", KEY.format(0), crc32=0)
    assert pond.get(KEY.format(0)) == b""


def test_a_part_that_cannot_be_read_is_no_fault_of_the_lake(pond: Pond, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        pond.lake.put_part(tmp_path / "missing", KEY.format(0), crc32=0)


@pytest.mark.parametrize(("key", "kind"), [(KEY, "application/x-ndjson"), (KEY + ".gz", "application/gzip")])
def test_a_part_says_what_it_is(pond: Pond, body: Path, key: str, kind: str) -> None:
    crc32 = zlib.crc32(body.read_bytes())
    pond.lake.put_part(body, key.format(crc32), crc32=crc32)
    assert pond.head(key.format(crc32))["ContentType"] == kind


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


# What goes wrong


def everything(lake: Lake, body: Path) -> list[Any]:
    written = manifest(part())
    return [
        lake.identity,
        lambda: lake.claim(OURS),
        lambda: lake.manifest_names(HOUR, HOUR),
        lake.newest_day,
        lambda: lake.read_manifest(written.name),
        lambda: lake.put_manifest(written),
        lambda: lake.put_part(body, KEY.format(0), crc32=zlib.crc32(body.read_bytes())),
        lake.wanted_from,
        lambda: lake.want_from(HOUR),
    ]


def all_errors(lake: Lake, body: Path) -> list[LakeError]:
    errors = []
    for attempt in everything(lake, body):
        with pytest.raises(LakeError) as raised:
            attempt()
        errors.append(raised.value)
    return errors


def no_secret_in(errors: list[LakeError], *secrets: str) -> bool:
    shown = [f"{error} {error!r} {error.__cause__} {error.args}" for error in errors]
    return not any(secret in text for text in shown for secret in (*secrets, "Signature=", "Authorization"))


@pytest.mark.parametrize(
    ("changes", "kind", "text"),
    [
        ({"aws_secret_access_key": "hunter2hunter2"}, LakeRefused, "AWS_SECRET_KEY"),
        ({"aws_access_key_id": "AKIDNOBODY"}, LakeRefused, "AWS_ACCESS_KEY"),
        ({"endpoint_url": "http://127.0.0.1:9"}, LakeUnavailable, "cannot be reached"),
        ({"endpoint_url": "http://lake.invalid"}, LakeUnavailable, "cannot be reached"),
    ],
)
def test_what_keeps_us_out_is_said_clearly_and_without_a_secret(
    pond: Pond, body: Path, changes: dict[str, Any], kind: type[LakeError], text: str
) -> None:
    errors = all_errors(pond.again(**changes), body)
    for error in errors:
        assert isinstance(error, kind)
        assert text in str(error)
        assert str(error).startswith("Could not ")
        assert pond.lake.url in str(error)
        assert error.__cause__ is None
        assert pickle.loads(pickle.dumps(error)).args == error.args
    assert no_secret_in(errors, "hunter2hunter2", "emulator")


def test_a_missing_bucket_is_named(pond: Pond, body: Path) -> None:
    for error in all_errors(Lake(pond.client, bucket="nobodys-lake", prefix="a/"), body):
        assert isinstance(error, LakeRefused)
        assert "s3://nobodys-lake/a/" in str(error)
        assert "BUCKET_NAME" in str(error)


def test_without_credentials_the_settings_are_named(pond: Pond, body: Path) -> None:
    class Nobody:
        def load_credentials(self) -> None:
            return None

    import boto3
    from botocore.session import Session

    session = Session()
    session.register_component("credential_provider", Nobody())
    client = boto3.Session(botocore_session=session, region_name="us-east-1").client(
        "s3", endpoint_url=pond.s3.url
    )
    for error in all_errors(Lake(client, bucket=BUCKET, prefix=pond.prefix), body):
        assert isinstance(error, LakeRefused)
        assert "AWS_ACCESS_KEY" in str(error)


def test_a_bucket_name_that_cannot_be_one_is_no_reason_to_try_again(pond: Pond) -> None:
    with pytest.raises(LakeRefused, match="my bucket"):
        Lake(pond.client, bucket="my bucket").identity()


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("error", LakeUnavailable),
        ("slow-down", LakeUnavailable),
        ("reset", LakeUnavailable),
        ("conflict", LakeUnavailable),
        ("denied", LakeRefused),
    ],
)
def test_what_s3_answers_is_translated_wherever_it_happens(
    pond: Pond, body: Path, fault: FaultKind, kind: type[LakeError]
) -> None:
    pond.s3.fail(fault, method="", times=100)
    for error in all_errors(pond.lake, body):
        assert type(error) is kind
        assert is_transient(error) == (kind is LakeUnavailable)


def test_what_boto_heals_itself_does_not_show(pond: Pond, body: Path) -> None:
    patient = pond.again(
        config=Config(retries={"mode": "standard", "total_max_attempts": 3}, s3={"addressing_style": "path"})
    )
    crc32 = zlib.crc32(body.read_bytes())
    for fault in ("reset", "error"):
        pond.s3.fail(fault, method="PUT", key="events/")
        patient.put_part(body, KEY.format(crc32), crc32=crc32)
    pond.s3.fail("lost-answer", method="PUT", key="manifests/")
    written = manifest(part(), status=Status.DATA)
    patient.put_manifest(written)
    assert patient.read_manifest(written.name) == written
    assert pond.get(KEY.format(crc32)) == body.read_bytes()


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

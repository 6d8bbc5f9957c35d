"""Objects under one prefix, and what becomes of S3's errors."""

from __future__ import annotations

import base64
import pickle
import zlib
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config

from core.errors import LakeError, LakeRefused, LakeUnavailable, is_transient
from core.lake.identity import LakeIdentity
from core.lake.layout import Status
from core.lake.store import Lake
from core.lake.store_objects import LakeObjects
from emulators.s3.faults import FaultKind
from tests.core.lake.examples import APP, HOST, HOUR, manifest, part
from tests.core.lakes import BUCKET, Pond

pytestmark = pytest.mark.slow

OURS = LakeIdentity(APP, HOST)
KEY = "events/date=2025-12-23/hour=19/100011471_2025-12-23_19_0-{:08x}.json"
UNSIGNED = Config(
    retries={"total_max_attempts": 1}, s3={"addressing_style": "path", "payload_signing_enabled": False}
)


@pytest.fixture
def body(tmp_path: Path) -> Path:
    path = tmp_path / "part"
    path.write_bytes(b'{"uuid":"1"}\n' * 1000)
    return path


def objects_of(pond: Pond) -> LakeObjects:
    return LakeObjects(pond.client, bucket=BUCKET, prefix=pond.prefix)


def test_an_object_is_created_once_and_read(pond: Pond) -> None:
    objects = objects_of(pond)
    assert objects.get("lake.json") is None
    assert objects.create("lake.json", b"1")
    assert not objects.create("lake.json", b"2")
    assert objects.get("lake.json") == b"1"
    assert pond.head("lake.json")["ContentType"] == "application/json"


def test_a_folder_is_listed_from_a_key_on_with_sizes(pond: Pond) -> None:
    for number in range(4):
        pond.put(f"events/{number}", bytes(number))
    pond.put("events.txt")
    found = list(objects_of(pond).listed("events/", start_after="events/1"))
    assert found == [("events/2", 2), ("events/3", 3)]


def test_the_folders_right_below_one_are_listed(pond: Pond) -> None:
    for key in ("events/a/1", "events/a/b/2", "events/c/3", "events/4"):
        pond.put(key)
    assert list(objects_of(pond).folders("events/", start_after="events/")) == ["events/a/", "events/c/"]


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


@pytest.mark.parametrize("config", [None, UNSIGNED])
def test_a_part_that_is_damaged_on_the_way_is_not_stored_and_may_be_put_again(
    pond: Pond, body: Path, config: Config | None
) -> None:
    lake = pond.again(config=config) if config else pond.lake
    crc32 = zlib.crc32(body.read_bytes())
    pond.s3.fail("corrupted", key="events/")
    with pytest.raises(LakeUnavailable, match=r"BadDigest|XAmzContentSHA256Mismatch") as damaged:
        lake.put_part(body, KEY.format(crc32), crc32=crc32)
    assert is_transient(damaged.value)
    assert pond.contents() == []
    lake.put_part(body, KEY.format(crc32), crc32=crc32)
    assert pond.get(KEY.format(crc32)) == body.read_bytes()


# The checksum that S3 keeps


def test_the_stored_checksum_of_an_object_is_told(pond: Pond, body: Path) -> None:
    crc32 = zlib.crc32(body.read_bytes())
    pond.lake.put_part(body, KEY.format(crc32), crc32=crc32)
    assert objects_of(pond).stored_crc32(KEY.format(crc32)) == f"{crc32:08x}"


def test_an_object_that_is_not_there_has_no_stored_checksum(pond: Pond) -> None:
    pond.put(KEY.format(1) + "x", b"a neighbour whose key begins alike")
    assert objects_of(pond).stored_crc32(KEY.format(1)) is None


@pytest.mark.parametrize("checksum", [{"ChecksumAlgorithm": "SHA256"}, {"ChecksumAlgorithm": "CRC64NVME"}])
def test_an_object_with_another_kind_of_checksum_has_no_stored_crc_32(
    pond: Pond, checksum: dict[str, str]
) -> None:
    value = {
        "SHA256": bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        "CRC64NVME": bytes(8),
    }[checksum["ChecksumAlgorithm"]]
    stated = {f"Checksum{checksum['ChecksumAlgorithm']}": base64.b64encode(value).decode()}
    pond.client.put_object(Bucket=BUCKET, Key=pond.prefix + "a", Body=b"", **stated)
    assert objects_of(pond).stored_crc32("a") is None


def test_an_object_whose_checksum_is_one_of_its_pieces_has_no_stored_crc_32(pond: Pond) -> None:
    where = {"Bucket": BUCKET, "Key": pond.prefix + "a"}
    begun = pond.client.create_multipart_upload(**where, ChecksumAlgorithm="CRC32")
    where["UploadId"] = begun["UploadId"]
    piece = pond.client.upload_part(**where, PartNumber=1, Body=b"{}", ChecksumAlgorithm="CRC32")
    pond.client.complete_multipart_upload(
        **where,
        MultipartUpload={
            "Parts": [{"PartNumber": 1, "ETag": piece["ETag"], "ChecksumCRC32": piece["ChecksumCRC32"]}]
        },
    )
    assert objects_of(pond).stored_crc32("a") is None


def test_a_refused_head_of_an_object_that_is_not_there_is_no_outage(pond: Pond) -> None:
    """As S3 answers whoever may list the bucket under a condition only."""
    pond.s3.fail("denied", method="HEAD")
    assert objects_of(pond).stored_crc32("a") is None


def test_a_refused_head_of_an_object_that_is_there_is_a_matter_of_rights(pond: Pond) -> None:
    pond.put("a", b"1")
    pond.s3.fail("denied", method="HEAD")
    with pytest.raises(LakeRefused, match=r"look at a .* 403.*decrypt"):
        objects_of(pond).stored_crc32("a")


def test_a_head_that_fails_while_s3_is_busy_is_worth_another_attempt(pond: Pond) -> None:
    pond.s3.fail("slow-down", method="HEAD")
    pond.asked.clear()
    with pytest.raises(LakeUnavailable):
        objects_of(pond).stored_crc32("a")
    assert dict(pond.asked) == {"HeadObject": 1}


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
        lambda: lake.stored_parts(HOUR, HOUR),
        lambda: lake.stored_crc32(KEY.format(0)),
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

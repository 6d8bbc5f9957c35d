"""Files that are larger than one PUT: the same objects with the same checksums, or nothing."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from hypothesis import given
from hypothesis import strategies as st

from core.errors import LakeRefused, LakeUnavailable
from core.lake.store import Lake
from core.lake.store_uploads import checksum_field, slices_of
from emulators.s3 import S3Emulator
from emulators.s3.faults import FaultKind
from tests.core.lake.examples import HOUR
from tests.core.lakes import BUCKET, Pond

PIECE = 5 << 20  # the least that S3 takes
KEY = "events/date=2025-12-23/hour=19/100011471_2025-12-23_19_0-{:08x}.json"
LINE = b'{"uuid":"2025-12-23T19-0-0","event_type":"tap"}\n'

slow = pytest.mark.slow


@given(st.integers(1, 10**14), st.integers(5 << 20, 5 << 30))
def test_slices_cover_the_file_and_are_no_more_than_s3_takes(size: int, piece: int) -> None:
    step = max(piece, -(-size // 10_000))
    slices = list(slices_of(size, piece_bytes=piece))
    assert len(slices) <= 10_000
    assert [start for start, _ in slices] == [number * step for number in range(len(slices))]
    assert all(length == step for _, length in slices[:-1])
    assert 0 < slices[-1][1] <= step
    assert sum(slices[-1]) == size


@given(st.integers(1, 1000), st.integers(1, 100), st.integers(1, 20))
def test_slices_obey_any_limit(size: int, piece: int, most: int) -> None:
    slices = list(slices_of(size, piece_bytes=piece, most=most))
    assert len(slices) <= most
    assert sum(length for _, length in slices) == size
    assert all(length >= piece for _, length in slices[:-1])


def test_an_ordinary_large_file_goes_up_in_pieces_of_the_size_that_was_asked_for() -> None:
    assert list(slices_of(11, piece_bytes=5)) == [(0, 5), (5, 5), (10, 1)]
    assert list(slices_of(10, piece_bytes=5)) == [(0, 5), (5, 5)]


def test_a_checksum_is_written_with_its_highest_byte_first() -> None:
    assert checksum_field(0xCBF43926) == "y/Q5Jg=="
    assert checksum_field(1) == "AAAAAQ=="


@pytest.fixture(scope="module")
def small_s3() -> Iterator[S3Emulator]:
    """An S3 that takes no more than one piece with one PUT."""
    with S3Emulator(buckets=[BUCKET], largest_put_bytes=PIECE) as emulator:
        yield emulator


@pytest.fixture
def small(small_s3: S3Emulator) -> Iterator[Pond]:
    small_s3.heal()
    small_s3.forget_requests()
    yield Pond(small_s3, largest_put_bytes=PIECE, piece_bytes=PIECE)
    small_s3.heal()


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Two whole pieces and a bit."""
    path = tmp_path / "large"
    path.write_bytes((LINE * (2 * PIECE // len(LINE) + 1))[: 2 * PIECE] + LINE)
    return path


def crc32_of(path: Path) -> int:
    return zlib.crc32(path.read_bytes())


def unfinished(pond: Pond) -> list[Any]:
    found = pond.client.list_multipart_uploads(Bucket=BUCKET, Prefix=pond.prefix)
    return list(found.get("Uploads", []))


@slow
@pytest.mark.parametrize("signed", [True, False])
def test_a_large_file_becomes_the_object_that_a_small_one_would(
    small: Pond, large: Path, signed: bool
) -> None:
    config = Config(s3={"addressing_style": "path", "payload_signing_enabled": signed})
    key = KEY.format(crc32_of(large))
    small.again(config=config).put_part(large, key, crc32=crc32_of(large))
    assert small.get(key) == large.read_bytes()
    head = small.head(key)
    assert base64.b64decode(head["ChecksumCRC32"]).hex() == f"{crc32_of(large):08x}"
    assert (head["ChecksumType"], head["ContentLength"]) == ("FULL_OBJECT", large.stat().st_size)
    assert head["ContentType"] == "application/x-ndjson"
    assert small.lake.stored_crc32(key) == f"{crc32_of(large):08x}"
    assert small.lake.stored_parts(HOUR, HOUR) == {key: large.stat().st_size}
    assert unfinished(small) == []


@slow
def test_s3_would_not_have_taken_it_whole(small: Pond, large: Path) -> None:
    whole = Pond(small.s3, small.prefix)
    with pytest.raises(LakeRefused, match=r"EntityTooLarge.*5 GiB"):
        whole.lake.put_part(large, KEY.format(0), crc32=crc32_of(large))


@slow
@pytest.mark.parametrize(("more", "steps"), [(0, {"PutObject": 1}), (1, {"UploadPart": 2})])
def test_only_what_is_larger_than_one_put_goes_up_in_pieces(
    small: Pond, tmp_path: Path, more: int, steps: dict[str, int]
) -> None:
    path = tmp_path / "edge"
    path.write_bytes(bytes(PIECE + more))
    small.lake.put_part(path, KEY.format(0), crc32=crc32_of(path))
    edges = {"CreateMultipartUpload": 1, "CompleteMultipartUpload": 1} if more else {}
    assert dict(small.asked) == steps | edges


@slow
def test_a_large_object_is_encrypted_with_the_key_that_was_named(small: Pond, large: Path) -> None:
    arn = "arn:aws:kms:us-east-1:123456789012:key/5f0c9a00-0000-4000-8000-000000000000"
    pond = Pond(small.s3, largest_put_bytes=PIECE, piece_bytes=PIECE, kms_key_id=arn)
    pond.lake.put_part(large, KEY.format(0) + ".gz", crc32=crc32_of(large))
    head = pond.head(KEY.format(0) + ".gz")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", arn)
    assert head["ContentType"] == "application/gzip"


@slow
def test_a_large_file_whose_bytes_are_not_its_checksum_s_is_refused_and_not_stored(
    small: Pond, large: Path
) -> None:
    with pytest.raises(LakeUnavailable, match="BadDigest"):
        small.lake.put_part(large, KEY.format(1), crc32=1)
    assert small.contents() == []
    assert unfinished(small) == []
    assert small.asked["UploadPart"] == 3


@slow
def test_a_piece_that_is_damaged_on_the_way_is_refused_before_the_rest_goes_up(
    small: Pond, large: Path
) -> None:
    small.s3.fail("corrupted", key="events/")
    unsigned = Config(
        retries={"total_max_attempts": 1}, s3={"addressing_style": "path", "payload_signing_enabled": False}
    )
    with pytest.raises(LakeUnavailable, match="BadDigest"):
        small.again(config=unsigned).put_part(large, KEY.format(0), crc32=crc32_of(large))
    assert small.s3.count("PUT", "events/") == 1
    assert (small.contents(), unfinished(small)) == ([], [])


@slow
def test_the_same_large_file_may_be_put_again(small: Pond, large: Path) -> None:
    for _ in range(2):
        small.lake.put_part(large, KEY.format(0), crc32=crc32_of(large))
    assert small.contents() == [KEY.format(0)]
    assert small.get(KEY.format(0)) == large.read_bytes()


@slow
@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize(
    ("fault", "error"), [("reset", LakeUnavailable), ("error", LakeUnavailable), ("denied", LakeRefused)]
)
def test_an_upload_that_breaks_off_leaves_nothing_behind(
    small: Pond, large: Path, method: str, fault: FaultKind, error: type[Exception]
) -> None:
    small.s3.fail(fault, method=method, key="events/")
    with pytest.raises(error, match=r"Could not put events/"):
        small.lake.put_part(large, KEY.format(0), crc32=crc32_of(large))
    assert (small.contents(), unfinished(small)) == ([], [])
    small.lake.put_part(large, KEY.format(0), crc32=crc32_of(large))
    assert small.get(KEY.format(0)) == large.read_bytes()


@slow
def test_what_cannot_be_given_back_does_not_hide_why(small: Pond, large: Path) -> None:
    small.s3.fail("slow-down", key="events/")
    small.s3.fail("denied", method="DELETE", key="events/")
    with pytest.raises(LakeUnavailable, match="SlowDown"):
        small.lake.put_part(large, KEY.format(0), crc32=crc32_of(large))
    assert len(unfinished(small)) == 1


@slow
def test_a_large_file_whose_last_answer_was_lost_may_be_put_again(small: Pond, large: Path) -> None:
    key = KEY.format(0)
    small.client.meta.events.register_first(
        "before-call.s3.CompleteMultipartUpload",
        lambda **_: small.s3.fail("lost-answer", method="POST", key="events/"),
    )
    with pytest.raises(LakeUnavailable, match="cannot be reached"):
        small.lake.put_part(large, key, crc32=crc32_of(large))
    assert small.get(key) == large.read_bytes()
    again = Pond(small.s3, small.prefix, **small.door)
    again.lake.put_part(large, key, crc32=crc32_of(large))
    assert again.get(key) == large.read_bytes()
    assert unfinished(again) == []


@slow
@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("fault", ["reset", "error", "lost-answer"])
def test_what_boto_heals_itself_does_not_show(
    small: Pond, large: Path, method: str, fault: FaultKind
) -> None:
    """A piece is read from its beginning again, and not from where the first attempt ended."""
    patient = Config(
        retries={"mode": "standard", "total_max_attempts": 3},
        s3={"addressing_style": "path", "payload_signing_enabled": False},
    )
    small.s3.fail(fault, method=method, key="events/", times=2)
    small.again(config=patient).put_part(large, KEY.format(0), crc32=crc32_of(large))
    assert small.get(KEY.format(0)) == large.read_bytes()


@slow
def test_a_large_file_that_is_gone_is_said_to_be_gone(small: Pond, large: Path) -> None:
    crc32 = crc32_of(large)
    small.client.meta.events.register_first(
        "before-call.s3.CreateMultipartUpload", lambda **_: large.unlink()
    )
    with pytest.raises(FileNotFoundError):
        small.lake.put_part(large, KEY.format(0), crc32=crc32)
    assert unfinished(small) == []


@slow
def test_an_hour_with_a_large_part_is_committed(small: Pond, tmp_path: Path) -> None:
    body = LINE * (PIECE // len(LINE) + 10)
    written = small.commit(tmp_path, HOUR, body)
    (one,) = written.parts
    assert small.get(one.key) == body
    assert small.lake.stored_crc32(one.key) == one.crc32
    assert small.asked["CompleteMultipartUpload"] == 1


@slow
def test_no_piece_is_held_in_memory(small: Pond, large: Path) -> None:
    bodies: list[Any] = []
    unsigned = Config(s3={"addressing_style": "path", "payload_signing_enabled": False})
    client = small.s3.client(config=unsigned)
    client.meta.events.register(
        "before-call.s3.UploadPart", lambda params, **_: bodies.append(params["body"])
    )
    Lake(client, bucket=BUCKET, prefix=small.prefix, **small.door).put_part(
        large, KEY.format(0), crc32=crc32_of(large)
    )
    assert [len(body) for body in bodies] == [PIECE, PIECE, len(LINE)]
    assert all(hasattr(body, "read") for body in bodies)

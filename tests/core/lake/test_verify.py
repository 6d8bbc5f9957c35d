"""Manifests against objects: what is damaged is named, what is well is left alone."""

from __future__ import annotations

import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from core.errors import LakeRefused, LakeUnavailable
from core.lake.identity import LakeIdentity
from core.lake.layout import part_folder
from core.lake.manifest import Manifest
from core.lake.marks import give_up
from core.lake.verify import damaged_hours
from emulators.s3.faults import FaultKind
from tests.core.lake.examples import APP, HOST, HOUR
from tests.core.lakes import BUCKET, Pond

pytestmark = pytest.mark.slow


@pytest.fixture
def written(pond: Pond, tmp_path: Path) -> list[Manifest]:
    """Three hours of two parts, and one hour without any."""
    filled = [pond.fill(tmp_path, HOUR + place, 3, 4 + place) for place in range(3)]
    filled.append(pond.fill(tmp_path, HOUR + 3))
    pond.asked.clear()
    return filled


def verified(pond: Pond, written: list[Manifest]) -> dict[str, str]:
    found = damaged_hours(pond.lake, {one.name for one in written})
    return {str(hour): reason for hour, reason in found.items()}


def put_with_checksum(pond: Pond, key: str, body: bytes) -> None:
    pond.client.put_object(Bucket=BUCKET, Key=pond.prefix + key, Body=body, ChecksumAlgorithm="CRC32")


def base_name(written: Manifest, number: int) -> str:
    return written.parts[number].key.rpartition("/")[2]


def test_hours_that_are_well_are_not_named(pond: Pond, written: list[Manifest]) -> None:
    assert verified(pond, written) == {}


def test_a_compressed_hour_is_compared_as_it_is_stored(pond: Pond, tmp_path: Path) -> None:
    assert verified(pond, [pond.fill(tmp_path, HOUR, 3, compression="gzip")]) == {}


def test_nothing_is_downloaded_but_manifests(pond: Pond, written: list[Manifest]) -> None:
    verified(pond, written)
    assert pond.asked == Counter({"GetObject": 4, "HeadObject": 6, "ListObjectsV2": 1})


def test_hours_without_parts_cost_no_more_than_their_manifests(pond: Pond, written: list[Manifest]) -> None:
    assert verified(pond, written[3:]) == {}
    assert pond.asked == Counter({"GetObject": 1})


def test_no_manifests_cost_nothing(pond: Pond) -> None:
    assert damaged_hours(pond.lake, []) == {}
    assert pond.asked == Counter()


def test_a_part_that_is_missing_is_named(pond: Pond, written: list[Manifest]) -> None:
    pond.remove(written[1].parts[0].key)
    assert verified(pond, written) == {"2025-12-23T20": f"{base_name(written[1], 0)} is missing"}


def test_a_part_of_another_size_is_named(pond: Pond, written: list[Manifest]) -> None:
    put_with_checksum(pond, written[0].parts[1].key, b"12345")
    size = written[0].parts[1].size_bytes
    assert verified(pond, written) == {
        "2025-12-23T19": f"{base_name(written[0], 1)} has 5 bytes, its manifest says {size}"
    }


def test_a_part_with_other_bytes_of_the_same_length_is_named(pond: Pond, written: list[Manifest]) -> None:
    body = bytearray(pond.get(written[2].parts[1].key))
    body[0] ^= 1
    put_with_checksum(pond, written[2].parts[1].key, bytes(body))
    assert verified(pond, written) == {
        "2025-12-23T21": f"{base_name(written[2], 1)} is stored with another checksum"
    }


def test_a_part_that_somebody_put_without_a_crc_32_is_named(pond: Pond, written: list[Manifest]) -> None:
    key = written[0].parts[0].key
    pond.client.put_object(
        Bucket=BUCKET, Key=pond.prefix + key, Body=pond.get(key), ChecksumAlgorithm="SHA256"
    )
    assert verified(pond, written) == {
        "2025-12-23T19": f"{base_name(written[0], 0)} is stored without its checksum"
    }


def test_a_part_that_somebody_put_back_as_it_was_is_well(pond: Pond, written: list[Manifest]) -> None:
    (key, body) = written[0].parts[0].key, pond.get(written[0].parts[0].key)
    pond.remove(key)
    assert len(verified(pond, written)) == 1
    put_with_checksum(pond, key, body)
    assert verified(pond, written) == {}


def test_several_damaged_parts_of_an_hour_are_counted(pond: Pond, written: list[Manifest]) -> None:
    for one in written[0].parts:
        pond.remove(one.key)
    reason = f"{base_name(written[0], 0)} is missing (and 1 more of its objects are damaged)"
    assert verified(pond, written) == {"2025-12-23T19": reason}


def test_damaged_hours_are_named_oldest_first(pond: Pond, written: list[Manifest]) -> None:
    for one in written[2::-1]:
        pond.remove(one.parts[0].key)
    assert list(verified(pond, written)) == ["2025-12-23T19", "2025-12-23T20", "2025-12-23T21"]


def test_a_manifest_that_cannot_be_read_speaks_for_itself(pond: Pond, written: list[Manifest]) -> None:
    pond.put(written[0].name.key, b"rubbish")
    pond.remove(written[3].name.key)
    found = verified(pond, written)
    assert list(found) == ["2025-12-23T19", "2025-12-23T22"]
    assert "cannot be read" in found["2025-12-23T19"]
    assert "is gone" in found["2025-12-23T22"]


def test_only_the_manifests_that_were_given_are_asked(pond: Pond, written: list[Manifest]) -> None:
    pond.remove(written[0].parts[0].key)
    assert verified(pond, written[1:]) == {}


def test_what_no_manifest_names_is_nobody_s_damage(pond: Pond, written: list[Manifest]) -> None:
    pond.put(part_folder(HOUR) + "stray.json", b"x")
    assert verified(pond, written) == {}


def test_an_hour_that_was_given_up_has_nothing_to_lose(pond: Pond) -> None:
    pond.lake.claim(LakeIdentity(APP, HOST))
    assert verified(pond, [give_up(pond.lake, HOUR, reason="lost", now=HOUR.complete_at)]) == {}


def test_a_restored_hour_is_well(pond: Pond, written: list[Manifest], tmp_path: Path) -> None:
    pond.remove(written[0].parts[0].key)
    again = pond.fill(tmp_path, HOUR, 3, 4, restore=True, exported_at=(HOUR + 30).start)
    assert verified(pond, [again]) == {}


def test_an_object_that_goes_between_listing_and_look_is_damaged_and_no_outage(
    pond: Pond, written: list[Manifest]
) -> None:
    def lose(**_: Any) -> None:
        pond.remove(written[0].parts[0].key)

    pond.client.meta.events.register_first("before-call.s3.HeadObject", lose)
    assert verified(pond, written[:1]) == {
        "2025-12-23T19": f"{base_name(written[0], 0)} is stored without its checksum"
    }


@pytest.mark.parametrize(("days", "listings"), [(30, 1), (31, 2)])
def test_only_stretches_that_matter_are_listed(pond: Pond, tmp_path: Path, days: int, listings: int) -> None:
    scattered = [pond.fill(tmp_path, HOUR - 24 * back, 2) for back in (0, days)]
    pond.asked.clear()
    assert verified(pond, scattered) == {}
    assert pond.asked["ListObjectsV2"] == listings


def test_a_stretch_costs_a_request_for_each_thousand_objects(pond: Pond, tmp_path: Path) -> None:
    ends = [pond.fill(tmp_path, HOUR, 1), pond.fill(tmp_path, HOUR + 2, 1)]
    store = pond.s3._store
    with store.writing(BUCKET, pond.prefix):
        for number in range(1500):
            store.backend.put_object(BUCKET, f"{pond.prefix}{part_folder(HOUR + 1)}{number}", b"")
    pond.asked.clear()
    assert verified(pond, ends) == {}
    assert pond.asked["ListObjectsV2"] == 2


@pytest.mark.parametrize(("method", "key"), [("GET", "manifests/"), ("GET", "^$"), ("HEAD", "events/")])
@pytest.mark.parametrize(("fault", "error"), [("slow-down", LakeUnavailable), ("denied", LakeRefused)])
def test_an_outage_is_no_damage(
    pond: Pond, written: list[Manifest], method: str, key: str, fault: FaultKind, error: type[Exception]
) -> None:
    pond.s3.fail(fault, method=method, key=key, times=100)
    with pytest.raises(error):
        verified(pond, written)


def test_the_checksum_that_is_compared_is_the_one_of_the_bytes(pond: Pond, written: list[Manifest]) -> None:
    for one in (part for hour in written for part in hour.parts):
        assert one.crc32 == f"{zlib.crc32(pond.get(one.key)):08x}"

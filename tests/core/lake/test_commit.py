"""An hour goes into the lake: parts first, manifest last, and nothing twice."""

from __future__ import annotations

import base64
import gzip
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from core.errors import HourUnusable, LakeConflict, LakeRefused, LakeUnavailable
from core.hours import ExportHour, ExportWindow
from core.lake.commit import LocalPart, commit_hour
from core.lake.identity import LakeIdentity
from core.lake.layout import Compression, Status
from core.lake.manifest import Manifest
from core.lake.store import Lake
from core.lake.verdict import verdict_of
from emulators.s3.faults import FaultKind
from tests.core.lake.examples import APP, HOST, HOUR, member_of
from tests.core.lake.shelf import Shelf
from tests.core.lakes import Pond, events_of, write_parts

pytestmark = pytest.mark.slow

SETTLED = HOUR.start + timedelta(hours=25)


def committed(pond: Pond, hour: ExportHour = HOUR) -> Manifest | None:
    """What a reader finds."""
    content = verdict_of(hour, pond.lake.manifest_names(hour, hour)).content
    return None if content is None else pond.lake.read_manifest(content)


def uploads(pond: Pond) -> int:
    return pond.s3.count("PUT", f"^{pond.prefix}events/")


def commit_directly(pond: Pond, parts: list[LocalPart], **changes: Any) -> Manifest:
    given: dict[str, Any] = {
        "app_id": APP, "api_host": HOST, "exported_at": HOUR.complete_at,
        "window": ExportWindow(HOUR - 1, HOUR + 1), "compression": "none", "uploads_at_once": 2,
    }  # fmt: skip
    return commit_hour(pond.lake, HOUR, parts, **(given | changes))


def test_an_hour_is_committed_with_everything_that_is_known_of_it(pond: Pond, tmp_path: Path) -> None:
    bodies = [events_of(HOUR, 0, 3), events_of(HOUR, 1, 4)]
    berlin = timezone(timedelta(hours=1))
    exported_at = HOUR.complete_at.astimezone(berlin) + timedelta(microseconds=1999)
    written = commit_directly(pond, write_parts(tmp_path, HOUR, bodies), exported_at=exported_at)

    assert committed(pond) == written
    assert (written.app_id, written.api_host, written.status) == (APP, HOST, Status.DATA)
    assert written.exported_at == HOUR.complete_at + timedelta(milliseconds=1)
    assert written.window == ExportWindow(HOUR - 1, HOUR + 1)
    assert [one.events for one in written.parts] == [3, 4]
    for number, (one, body) in enumerate(zip(written.parts, bodies, strict=True)):
        crc32 = f"{zlib.crc32(body):08x}"
        assert one.member == member_of(HOUR, number)
        assert one.key == f"events/date=2025-12-23/hour=19/{APP}_2025-12-23_19_{number}-{crc32}.json"
        assert (one.json_crc32, one.crc32) == (crc32, crc32)
        assert (one.json_bytes, one.size_bytes) == (len(body), len(body))
        assert pond.get(one.key) == body
    assert pond.lake.identity() == LakeIdentity(APP, HOST)


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_the_manifest_s_checksum_is_the_one_that_s3_keeps(
    pond: Pond, tmp_path: Path, compression: Compression
) -> None:
    written = pond.fill(tmp_path, HOUR, 3, 4, compression=compression)
    for one in written.parts:
        head = pond.head(one.key)
        assert base64.b64decode(head["ChecksumCRC32"]).hex() == one.crc32
        assert head["ContentLength"] == one.size_bytes
        assert one.crc32 in one.key


def test_a_compressed_lake_holds_gzip_and_says_what_is_in_it(pond: Pond, tmp_path: Path) -> None:
    written = pond.fill(tmp_path, HOUR, 3, compression="gzip")
    (one,) = written.parts
    body = gzip.decompress(pond.get(one.key))
    assert one.key.endswith(".json.gz")
    assert body == events_of(HOUR, 0, 3)
    assert (one.json_bytes, one.json_crc32) == (len(body), f"{zlib.crc32(body):08x}")
    assert one.size_bytes != one.json_bytes


def test_the_manifest_goes_last(pond: Pond, tmp_path: Path) -> None:
    pond.s3.forget_requests()
    pond.fill(tmp_path, HOUR, 1, 1, 1)
    written = [one.key for one in pond.s3.requests if one.method == "PUT"]
    kinds = [key.removeprefix(pond.prefix).split("/")[0] for key in written]
    assert kinds == ["lake.json", "events", "events", "events", "manifests"]


@pytest.mark.parametrize("nth", [0, 1, 2])
def test_an_hour_that_was_killed_between_its_parts_is_not_committed(
    pond: Pond, tmp_path: Path, nth: int
) -> None:
    pond.s3.fail("reset", key=f"19_{nth}-")
    with pytest.raises(LakeUnavailable):
        pond.fill(tmp_path, HOUR, 3, 4, 5)
    assert committed(pond) is None
    assert not any(key.startswith("manifests/") for key in pond.contents())

    pond.fill(tmp_path, HOUR, 3, 4, 5)
    found = committed(pond)
    assert found is not None
    assert sorted(key for key in pond.contents() if key.startswith("events/")) == [
        one.key for one in found.parts
    ]


def test_an_hour_that_was_killed_before_its_manifest_is_not_committed(pond: Pond, tmp_path: Path) -> None:
    pond.s3.fail("reset", key="manifests/")
    with pytest.raises(LakeUnavailable):
        pond.fill(tmp_path, HOUR, 3, 4)
    assert committed(pond) is None
    assert pond.fill(tmp_path, HOUR, 3, 4) == committed(pond)


@pytest.mark.parametrize(("fault", "error"), [("denied", LakeRefused), ("slow-down", LakeUnavailable)])
def test_one_part_that_is_refused_keeps_the_hour_from_being_committed(
    pond: Pond, tmp_path: Path, fault: FaultKind, error: type[Exception]
) -> None:
    pond.s3.fail(fault, key="19_1-")
    with pytest.raises(error, match="19_1-"):
        pond.fill(tmp_path, HOUR, 3, 4, 5)
    assert committed(pond) is None


def test_a_file_that_changed_on_the_disk_does_not_get_into_the_lake(pond: Pond, tmp_path: Path) -> None:
    parts = write_parts(tmp_path, HOUR, [events_of(HOUR, 0, 3)])
    parts[0].path.write_bytes(events_of(HOUR, 1, 3))
    with pytest.raises(LakeUnavailable, match="BadDigest"):
        commit_directly(pond, parts)
    assert pond.contents() == ["lake.json"]


def test_a_file_that_is_gone_is_said_to_be_gone(pond: Pond, tmp_path: Path) -> None:
    parts = write_parts(tmp_path, HOUR, [events_of(HOUR, 0, 3)])
    parts[0].path.unlink()
    with pytest.raises(FileNotFoundError):
        commit_directly(pond, parts)
    assert committed(pond) is None


# The same content again


@pytest.mark.parametrize("packing", ["none", "gzip"])
def test_the_same_content_again_settles_the_hour_and_uploads_nothing(
    pond: Pond, tmp_path: Path, packing: Compression
) -> None:
    first = pond.fill(tmp_path, HOUR, 3, 4)
    before = uploads(pond)
    second = pond.fill(tmp_path, HOUR, 3, 4, exported_at=SETTLED, compression=packing)
    assert uploads(pond) == before == 2
    assert (second.parts, second.digest) == (first.parts, first.digest)
    verdict = verdict_of(HOUR, pond.lake.manifest_names(HOUR, HOUR))
    assert verdict.content == second.name
    assert verdict.is_settled(timedelta(hours=24))


def test_the_same_content_in_another_order_is_the_same_content(pond: Pond, tmp_path: Path) -> None:
    parts = write_parts(tmp_path, HOUR, [events_of(HOUR, number, 3) for number in range(3)])
    first = commit_directly(pond, parts)
    second = commit_directly(pond, parts[::-1], exported_at=SETTLED)
    assert (second.parts, uploads(pond)) == (first.parts, 3)


def test_an_hour_may_be_committed_twice_with_one_export(pond: Pond, tmp_path: Path) -> None:
    first, second = (pond.fill(tmp_path, HOUR, 3) for _ in range(2))
    assert first == second == committed(pond)
    assert len(pond.lake.manifest_names(HOUR, HOUR)) == 1


def test_other_content_gets_keys_of_its_own_and_the_manifest_says_which_belong(
    pond: Pond, tmp_path: Path
) -> None:
    first = pond.fill(tmp_path, HOUR, 3, 4)
    second = pond.fill(tmp_path, HOUR, 3, 5, exported_at=SETTLED)
    assert first.parts[0] == second.parts[0]
    assert first.parts[1].key != second.parts[1].key
    assert committed(pond) == second
    assert pond.get(first.parts[1].key) == events_of(HOUR, 1, 4)


def test_an_export_with_fewer_events_is_written_and_does_not_count(pond: Pond, tmp_path: Path) -> None:
    first = pond.fill(tmp_path, HOUR, 3, 4)
    second = pond.fill(tmp_path, HOUR, 3, exported_at=SETTLED)
    verdict = verdict_of(HOUR, pond.lake.manifest_names(HOUR, HOUR))
    assert (verdict.content, verdict.shrunk) == (first.name, (second.name,))
    assert all(pond.get(one.key) for one in [*first.parts, *second.parts])


def test_the_old_content_again_after_a_shrunk_export_repeats_the_old_parts(
    pond: Pond, tmp_path: Path
) -> None:
    first = pond.fill(tmp_path, HOUR, 3, 4)
    pond.fill(tmp_path, HOUR, 3, exported_at=SETTLED)
    before = uploads(pond)
    third = pond.fill(tmp_path, HOUR, 3, 4, exported_at=SETTLED + timedelta(hours=1))
    assert (third.parts, uploads(pond)) == (first.parts, before)
    assert verdict_of(HOUR, pond.lake.manifest_names(HOUR, HOUR)).shrunk == ()


def test_two_exporters_of_different_content_leave_one_that_counts(pond: Pond, tmp_path: Path) -> None:
    def export(count: int) -> Manifest:
        folder = tmp_path / str(count)
        folder.mkdir()
        return Pond(pond.s3, pond.prefix).fill(folder, HOUR, count)

    with ThreadPoolExecutor(2) as pool:
        most = max(pool.map(export, [3, 5]), key=lambda one: one.events)
    assert committed(pond) == most
    assert all(pond.get(one.key) for one in most.parts)


def test_two_exporters_of_the_same_content_leave_one_hour(pond: Pond, tmp_path: Path) -> None:
    def export(number: int) -> Manifest:
        folder = tmp_path / str(number)
        folder.mkdir()
        return Pond(pond.s3, pond.prefix).fill(folder, HOUR, 3)

    with ThreadPoolExecutor(3) as pool:
        assert len(set(pool.map(export, range(3)))) == 1
    assert len([key for key in pond.contents() if key.startswith("events/")]) == 1


# Hours without data, and other projects' lakes


def test_an_hour_without_data_is_committed_in_a_lake_that_is_somebody_s(pond: Pond, tmp_path: Path) -> None:
    pond.fill(tmp_path, HOUR - 1, 3)
    written = pond.fill(tmp_path, HOUR)
    assert (written.status, written.events, written.parts) == (Status.EMPTY, 0, ())
    assert (written.app_id, committed(pond)) == (APP, written)


def test_empty_after_empty_settles_the_hour(pond: Pond, tmp_path: Path) -> None:
    pond.fill(tmp_path, HOUR - 1, 3)
    pond.fill(tmp_path, HOUR)
    later = pond.fill(tmp_path, HOUR, exported_at=SETTLED)
    assert committed(pond) == later


def test_an_hour_whose_members_are_empty_has_parts(pond: Pond, tmp_path: Path) -> None:
    written = pond.commit(tmp_path, HOUR, b"")
    assert (written.status, written.events, len(written.parts)) == (Status.DATA, 0, 1)


def test_an_hour_without_data_cannot_say_whose_lake_it_is(pond: Pond, tmp_path: Path) -> None:
    with pytest.raises(LakeConflict, match="2025-12-23T19 has no data"):
        pond.fill(tmp_path, HOUR)
    assert pond.contents() == []


@pytest.mark.parametrize("contents", [(b"{}\n",), ()])
def test_nothing_of_another_host_s_hour_gets_into_the_lake(
    pond: Pond, tmp_path: Path, contents: tuple[bytes, ...]
) -> None:
    pond.lake.claim(LakeIdentity(APP, "analytics.eu.amplitude.com"))
    with pytest.raises(LakeConflict, match="a prefix of its own"):
        pond.commit(tmp_path, HOUR, *contents)
    assert pond.contents() == ["lake.json"]


def test_nothing_of_another_project_s_hour_gets_into_the_lake(pond: Pond, tmp_path: Path) -> None:
    pond.lake.claim(LakeIdentity(APP + 1, HOST))
    with pytest.raises(LakeConflict, match=f"app {APP + 1}"):
        pond.fill(tmp_path, HOUR, 3)
    assert pond.contents() == ["lake.json"]


# What the lake has lost, or holds in another way


def test_an_hour_whose_objects_are_gone_is_restored_with_the_same_content(pond: Pond, tmp_path: Path) -> None:
    first = pond.fill(tmp_path, HOUR, 3, 4)
    pond.remove(first.parts[0].key)
    pond.put(first.parts[1].key, b"{}\n")
    again = pond.fill(tmp_path, HOUR, 3, 4, exported_at=SETTLED, restore=True)
    assert committed(pond) == again
    assert (again.parts, again.digest) == (first.parts, first.digest)
    assert [pond.get(one.key) for one in first.parts] == [events_of(HOUR, 0, 3), events_of(HOUR, 1, 4)]


def test_an_hour_that_is_not_to_be_restored_stays_as_it_is(pond: Pond, tmp_path: Path) -> None:
    (lost,) = pond.fill(tmp_path, HOUR, 3).parts
    pond.remove(lost.key)
    pond.fill(tmp_path, HOUR, 3, exported_at=SETTLED)
    assert lost.key not in pond.contents()


def test_a_restored_hour_s_manifest_names_the_parts_that_went_up(pond: Pond, tmp_path: Path) -> None:
    first = pond.fill(tmp_path, HOUR, 3)
    again = pond.fill(tmp_path, HOUR, 3, exported_at=SETTLED, restore=True, compression="gzip")
    assert committed(pond) == again
    assert again.digest == first.digest
    assert [one.key.endswith(".json.gz") for one in again.parts] == [True]
    assert gzip.decompress(pond.get(again.parts[0].key)) == events_of(HOUR, 0, 3)


def test_an_hour_whose_manifest_is_damaged_can_be_restored(pond: Pond, tmp_path: Path) -> None:
    first = pond.fill(tmp_path, HOUR, 3)
    pond.put(first.name.key, b"rubbish")
    with pytest.raises(HourUnusable):
        pond.fill(tmp_path, HOUR, 3, exported_at=SETTLED)
    again = pond.fill(tmp_path, HOUR, 3, exported_at=SETTLED, restore=True)
    assert committed(pond) == again


def test_an_hour_without_data_can_be_restored(pond: Pond, tmp_path: Path) -> None:
    pond.lake.claim(LakeIdentity(APP, HOST))
    pond.put(pond.fill(tmp_path, HOUR).name.key, b"rubbish")
    assert pond.fill(tmp_path, HOUR, exported_at=SETTLED, restore=True) == committed(pond)


def test_a_restore_that_was_killed_may_be_repeated(pond: Pond, tmp_path: Path) -> None:
    (lost,) = pond.fill(tmp_path, HOUR, 3).parts
    pond.remove(lost.key)
    pond.s3.fail("reset", key="manifests/")
    with pytest.raises(LakeUnavailable):
        pond.fill(tmp_path, HOUR, 3, exported_at=SETTLED, restore=True)
    assert pond.fill(tmp_path, HOUR, 3, exported_at=SETTLED, restore=True) == committed(pond)
    assert pond.get(lost.key) == events_of(HOUR, 0, 3)


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_what_a_hour_was_exported_for_is_in_its_status(
    pond: Pond, tmp_path: Path, compression: Compression
) -> None:
    """A restored hour is loaded again although its content is the same: its rows may be damaged, too."""
    first = pond.fill(tmp_path, HOUR, 3, compression=compression)
    again = pond.fill(tmp_path, HOUR, 3, exported_at=SETTLED, restore=True, compression=compression)
    assert (first.status, again.status) == (Status.DATA, Status.RESTORED)
    found = verdict_of(HOUR, pond.lake.manifest_names(HOUR, HOUR))
    assert (found.content, found.restored_at) == (again.name, SETTLED)


class Counting(Lake):
    """A lake that puts no part anywhere, and counts how many are on their way at once."""

    def __init__(self) -> None:
        client: Any = Shelf()
        super().__init__(client, bucket="lake")
        self.lock = threading.Lock()
        self.at_once = self.most = 0

    def put_part(self, path: Path, key: str, *, crc32: int) -> None:
        with self.lock:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        time.sleep(0.01)
        with self.lock:
            self.at_once -= 1


@pytest.mark.parametrize("uploads_at_once", [1, 3])
def test_no_more_parts_go_up_at_once_than_were_allowed(tmp_path: Path, uploads_at_once: int) -> None:
    lake = Counting()
    commit_hour(
        lake,
        HOUR,
        write_parts(tmp_path, HOUR, [events_of(HOUR, number, 1) for number in range(9)]),
        app_id=APP,
        api_host=HOST,
        exported_at=SETTLED,
        window=ExportWindow(HOUR, HOUR),
        compression="none",
        uploads_at_once=uploads_at_once,
    )
    assert lake.most == uploads_at_once

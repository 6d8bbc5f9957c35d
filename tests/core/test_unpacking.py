"""From an exported hour to files: verified, counted, and never half."""

from __future__ import annotations

import errno
import fcntl
import gzip
import os
import zlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core import unpacking
from core.amplitude.archive import ArchiveLimits, read_directory
from core.amplitude.export import ExportedHour
from core.errors import BrokenAnswer, DamagedMember, ScratchUnusable
from core.lake.layout import Compression
from core.unpacking import ExtractedHour, UnpackedHour, extract_hour, unpack_hour
from tests.core.amplitude.archives import (
    APP,
    DAY,
    HOUR,
    LIMITS,
    LINES,
    archive_of,
    gzipped,
    name_of,
    stem_of,
)

EXPORTED_AT = datetime(2025, 12, 23, 22, 15, 3, 120_000, tzinfo=UTC)
MORE_LINES = b'\n{"uuid":4}\n\n{"uuid":5}'
FULL = Path("/dev/full")

both = pytest.mark.parametrize("compression", ["none", "gzip"])
needs_a_full_disk = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


def exported(folder: Path, *payloads: bytes) -> ExportedHour:
    """An hour with one member for each payload."""
    entries = [(name_of(HOUR, part), payload) for part, payload in enumerate(payloads)]
    path = archive_of(folder, (name_of(HOUR + 1), gzipped(b"{}\n")), *entries)
    members = read_directory(path, DAY).hours.get(HOUR, ())
    return ExportedHour(HOUR, DAY, EXPORTED_AT, path, APP, members)


def unpacked(hour: ExportedHour, folder: Path, compression: Compression) -> UnpackedHour:
    return unpack_hour(hour, folder, compression=compression, limits=LIMITS)


def extracted(hour: ExportedHour, folder: Path) -> ExtractedHour:
    return extract_hour(hour, folder, limits=LIMITS)


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def json_name(part: int = 0) -> str:
    return f"{stem_of(HOUR, part).replace('#', '_')}.json"


# Parts for the lake


@both
def test_parts_are_what_the_archive_held(compression: Compression, tmp_path: Path) -> None:
    contents = [LINES, MORE_LINES, b""]
    hour = unpacked(exported(tmp_path, *map(gzipped, contents)), tmp_path / "hour" / "parts", compression)
    assert {part.path for part in hour.parts} == set(hour.folder.iterdir())
    for number, (part, content) in enumerate(zip(hour.parts, contents, strict=True)):
        body = part.path.read_bytes()
        assert (gzip.decompress(body) if compression == "gzip" else body) == content
        assert part.member == stem_of(HOUR, number)
        assert part.events == len([line for line in content.splitlines() if line])
        assert (part.json_bytes, part.json_crc32) == (len(content), zlib.crc32(content))
        assert (part.size_bytes, part.crc32) == (len(body), zlib.crc32(body))
    assert hour.events == 5
    assert hour.json_bytes == sum(map(len, contents))


def test_gzip_goes_on_as_it_came(tmp_path: Path) -> None:
    payload = gzip.compress(LINES, 1, mtime=1_700_000_000) + gzip.compress(LINES, 9, mtime=0)
    (part,) = unpacked(exported(tmp_path, payload), tmp_path / "parts", "gzip").parts
    assert part.path.read_bytes() == payload
    assert part.path.name == json_name() + ".gz"
    assert part.events == 6


@both
def test_where_an_hour_came_from_stays_with_it(compression: Compression, tmp_path: Path) -> None:
    hour = unpacked(exported(tmp_path, gzipped()), tmp_path / "parts", compression)
    assert (hour.hour, hour.window, hour.exported_at, hour.app_id) == (HOUR, DAY, EXPORTED_AT, APP)


@both
def test_an_hour_without_members_has_no_parts(compression: Compression, tmp_path: Path) -> None:
    hour = unpacked(exported(tmp_path), tmp_path / "parts", compression)
    assert (hour.parts, hour.events, hour.json_bytes) == ((), 0, 0)


@both
def test_unpacking_again_writes_anew(compression: Compression, tmp_path: Path) -> None:
    hour = exported(tmp_path, gzipped())
    first = unpacked(hour, tmp_path / "parts", compression)
    before = content_of(first.folder)
    first.parts[0].path.write_bytes(b"x" * 10_000)
    assert unpacked(hour, tmp_path / "parts", compression) == first
    assert content_of(first.folder) == before


@both
@pytest.mark.parametrize("spoil", [lambda whole: whole[:-1], lambda whole: whole + b"\0", lambda _: b""])
def test_a_damaged_member_fails_its_hour_however_it_is_kept(
    compression: Compression, spoil: type[bytes], tmp_path: Path
) -> None:
    hour = exported(tmp_path, gzipped(), spoil(gzipped()))
    with pytest.raises(DamagedMember, match=stem_of(HOUR, 1)):
        unpacked(hour, tmp_path / "parts", compression)


@both
def test_caps_hold_however_it_is_kept(compression: Compression, tmp_path: Path) -> None:
    hour = exported(tmp_path, gzipped())
    limits = ArchiveLimits(max_member_json_bytes=len(LINES) - 1)
    with pytest.raises(DamagedMember):
        unpack_hour(hour, tmp_path / "parts", compression=compression, limits=limits)


THREE = [LINES, MORE_LINES, LINES]


@both
def test_the_members_of_an_hour_have_a_cap_together(compression: Compression, tmp_path: Path) -> None:
    hour = exported(tmp_path, *map(gzipped, THREE))
    total = sum(map(len, THREE))
    just = ArchiveLimits(max_hour_json_bytes=total)
    unpacked = unpack_hour(hour, tmp_path / "parts", compression=compression, limits=just)
    assert unpacked.json_bytes == total
    less = ArchiveLimits(max_hour_json_bytes=total - 1)
    with pytest.raises(DamagedMember, match=f"{stem_of(HOUR, 2)}.* bytes"):
        unpack_hour(hour, tmp_path / "parts", compression=compression, limits=less)


@both
def test_an_hour_that_has_used_its_cap_up_may_end_in_an_empty_member(
    compression: Compression, tmp_path: Path
) -> None:
    hour = exported(tmp_path, gzipped(LINES), gzipped(b""))
    limits = ArchiveLimits(max_hour_json_bytes=len(LINES))
    unpacked = unpack_hour(hour, tmp_path / "parts", compression=compression, limits=limits)
    assert [part.json_bytes for part in unpacked.parts] == [len(LINES), 0]


@both
def test_a_cap_on_hours_leaves_the_one_on_members_as_it_is(compression: Compression, tmp_path: Path) -> None:
    hour = exported(tmp_path, *map(gzipped, THREE))
    limits = ArchiveLimits(max_member_json_bytes=len(LINES) - 1, max_hour_json_bytes=1 << 20)
    with pytest.raises(DamagedMember, match=stem_of(HOUR, 0)):
        unpack_hour(hour, tmp_path / "parts", compression=compression, limits=limits)


@both
def test_an_archive_that_was_cut_meanwhile_is_a_broken_answer(
    compression: Compression, tmp_path: Path
) -> None:
    hour = exported(tmp_path, gzipped())
    os.truncate(hour.archive, hour.archive.stat().st_size - 1)
    with pytest.raises(BrokenAnswer):
        unpacked(hour, tmp_path / "parts", compression)


@both
@needs_a_full_disk
def test_a_full_disk_is_named_with_the_hour(compression: Compression, tmp_path: Path) -> None:
    hour = exported(tmp_path, gzipped())
    (tmp_path / "parts").mkdir()
    for name in (json_name(), json_name() + ".gz"):
        (tmp_path / "parts" / name).symlink_to(FULL)
    with pytest.raises(ScratchUnusable, match=str(HOUR)) as error:
        unpacked(hour, tmp_path / "parts", compression)
    assert "full" in str(error.value)


# JSON for a local folder


def test_an_hour_is_extracted_to_a_folder_of_json(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "json"
    hour = extracted(exported(tmp_path, gzipped(LINES), gzipped(MORE_LINES), gzipped(b"")), folder)
    assert content_of(folder) == {json_name(0): LINES, json_name(1): MORE_LINES, json_name(2): b""}
    assert hour == ExtractedHour(
        HOUR,
        written=tuple(folder / json_name(part) for part in range(3)),
        kept=(),
        events=5,
        json_bytes=len(LINES) + len(MORE_LINES),
    )


def test_what_is_there_and_right_is_left_alone(tmp_path: Path) -> None:
    hour = exported(tmp_path, gzipped(LINES), gzipped(MORE_LINES))
    first = extracted(hour, tmp_path / "json")
    for path in first.written:
        os.utime(path, (1, 1))
    again = extracted(hour, tmp_path / "json")
    assert (again.written, again.kept) == ((), first.written)
    assert (again.events, again.json_bytes) == (first.events, first.json_bytes)
    assert all(path.stat().st_mtime == 1 for path in first.written)


@pytest.mark.parametrize(
    "damaged",
    [b"", LINES[:-1], LINES + b"\n", LINES.replace(b"1", b"9"), LINES[::-1]],
    ids=["emptied", "cut", "longer", "changed", "reversed"],
)
def test_what_is_there_and_damaged_is_replaced(damaged: bytes, tmp_path: Path) -> None:
    hour = exported(tmp_path, gzipped(LINES), gzipped(MORE_LINES))
    extracted(hour, tmp_path / "json")
    (tmp_path / "json" / json_name(0)).write_bytes(damaged)
    again = extracted(hour, tmp_path / "json")
    assert again.written == (tmp_path / "json" / json_name(0),)
    assert again.kept == (tmp_path / "json" / json_name(1),)
    assert content_of(tmp_path / "json") == {json_name(0): LINES, json_name(1): MORE_LINES}


def test_a_reader_by_name_and_size_would_have_kept_changed_content(tmp_path: Path) -> None:
    hour = exported(tmp_path, gzipped(LINES))
    changed = LINES.replace(b"1", b"9")
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / json_name()).write_bytes(changed)
    assert len(changed) == len(LINES)
    assert extracted(hour, tmp_path / "json").kept == ()


@pytest.mark.parametrize("last", [b'{"uuid":3}\n', b""], ids=["some events", "none"])
def test_a_file_with_the_last_stream_only_is_replaced(last: bytes, tmp_path: Path) -> None:
    first = b'{"uuid":1}\n{"uuid":2}\n'
    hour = exported(tmp_path, gzipped(first) + gzipped(last))
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / json_name()).write_bytes(last)
    extracted(hour, tmp_path / "json")
    assert content_of(tmp_path / "json") == {json_name(): first + last}


def test_a_file_from_several_streams_is_left_alone_if_it_is_right(tmp_path: Path) -> None:
    hour = exported(tmp_path, gzipped(LINES) + gzipped(MORE_LINES))
    extracted(hour, tmp_path / "json")
    again = extracted(hour, tmp_path / "json")
    assert again.written == ()
    assert again.events == 5


def test_a_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    hour = exported(tmp_path, gzipped(LINES))
    path = tmp_path / "json" / json_name()
    path.parent.mkdir()
    path.write_bytes(b"old")
    with path.open("rb") as reader:
        extracted(hour, tmp_path / "json")
        assert reader.read() == b"old", "the file was written into, under the eyes of its readers"
    assert path.read_bytes() == LINES


def test_writing_in_place_would_have_shown_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "part.json"
    path.write_bytes(b"old")
    with path.open("rb") as reader:
        path.write_bytes(LINES)
        assert reader.read() != b"old"


def test_a_damaged_member_leaves_no_file_and_no_trace(tmp_path: Path) -> None:
    hour = exported(tmp_path, gzipped(LINES), gzipped(MORE_LINES)[:-1])
    with pytest.raises(DamagedMember, match=stem_of(HOUR, 1)):
        extracted(hour, tmp_path / "json")
    assert content_of(tmp_path / "json") == {json_name(0): LINES}


def test_a_disk_that_fills_up_leaves_no_file_and_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_up(*_: object, json_path: Path, **__: object) -> None:
        json_path.write_bytes(LINES[:5])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(unpacking, "gunzip_member", fill_up)
    with pytest.raises(ScratchUnusable, match="full"):
        extracted(exported(tmp_path, gzipped()), tmp_path / "json")
    assert content_of(tmp_path / "json") == {}


@pytest.mark.parametrize("there", [False, True], ids=["new", "there already"])
def test_files_of_an_hour_have_a_cap_together(there: bool, tmp_path: Path) -> None:
    hour = exported(tmp_path, *map(gzipped, THREE))
    total = sum(map(len, THREE))
    just, less = (ArchiveLimits(max_hour_json_bytes=most) for most in (total, total - 1))
    if there:
        extracted(hour, tmp_path / "json")
    with pytest.raises(DamagedMember, match=f"{stem_of(HOUR, 2)}.* bytes"):
        extract_hour(hour, tmp_path / "json", limits=less)
    assert (json_name(2) in content_of(tmp_path / "json")) == there
    assert extract_hour(hour, tmp_path / "json", limits=just).json_bytes == total


def test_what_a_killed_run_left_unfinished_does_no_harm(tmp_path: Path) -> None:
    folder = tmp_path / "json"
    folder.mkdir()
    (folder / f".{json_name()}.1a2b.unfinished").write_bytes(b"x" * 10_000)
    extracted(exported(tmp_path, gzipped()), folder)
    assert content_of(folder) == {json_name(): LINES}


def test_what_a_neighbour_has_not_finished_is_left_to_it(tmp_path: Path) -> None:
    folder = tmp_path / "json"
    folder.mkdir()
    its = folder / f".{json_name()}.1a2b.unfinished"
    with its.open("xb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        extracted(exported(tmp_path, gzipped()), folder)
        assert its.exists()
    assert (folder / json_name()).read_bytes() == LINES


def test_a_file_may_be_read_by_whom_the_umask_allows(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    extracted(exported(tmp_path, gzipped()), tmp_path / "json")
    assert (tmp_path / "json" / json_name()).stat().st_mode == (tmp_path / "mine").stat().st_mode


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ScratchUnusable, match=str(HOUR)):
        extracted(exported(tmp_path, gzipped()), tmp_path / "file" / "json")

"""Archives: whether they arrived whole, and what is read from them."""

from __future__ import annotations

import contextlib
import io
import os
import random
import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from core.amplitude.archive import (
    ArchiveLimits,
    check_archive,
    extract_gzip,
    gunzip_member,
    read_directory,
)
from core.amplitude.directory import Directory
from core.amplitude.gunzip import JsonFacts
from core.errors import BrokenAnswer, DamagedMember, StrangeArchive, is_transient
from emulators.amplitude import Entry, Layout
from tests.core.amplitude.archives import (
    APP,
    DAY,
    HOUR,
    LAYOUTS,
    LIMITS,
    LINES,
    ONE_HOUR,
    archive_of,
    gzipped,
    name_of,
    stem_of,
    zipped,
)

OTHER_LINES = b'{"uuid":4}\n'
TWO = [(name_of(HOUR - 1), gzipped(OTHER_LINES)), (name_of(HOUR), gzipped(LINES))]
everywhere = pytest.mark.parametrize("layout", LAYOUTS, ids=str)


def broken(path: Path) -> str:
    with pytest.raises(BrokenAnswer) as error:
        check_archive(path, limits=LIMITS)
    assert is_transient(error.value)
    return str(error.value)


# Whether it arrived whole


@everywhere
def test_a_sound_archive_is_sound_in_every_form(layout: Layout, tmp_path: Path) -> None:
    check_archive(archive_of(tmp_path, *TWO, layout=layout), limits=LIMITS)


def test_an_archive_without_members_is_sound(tmp_path: Path) -> None:
    path = archive_of(tmp_path)
    check_archive(path, limits=LIMITS)
    assert read_directory(path, ONE_HOUR) == Directory(None, {})


@pytest.mark.parametrize(
    "answer", [b"", b"P", b"<!doctype html><h1>Sorry</h1>", b'{"error":"busy"}', gzipped(), b"\0" * 100_000]
)
def test_what_is_no_zip_is_a_broken_answer(answer: bytes, tmp_path: Path) -> None:
    path = tmp_path / "archive.zip"
    path.write_bytes(answer)
    broken(path)


@pytest.mark.parametrize("layout", [Layout(), Layout("stored", descriptors=True, zip64=True)], ids=str)
def test_an_archive_that_was_cut_anywhere_is_a_broken_answer(layout: Layout, tmp_path: Path) -> None:
    whole = zipped(TWO, layout)
    path = tmp_path / "archive.zip"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        broken(path)


def test_a_member_that_differs_from_its_checksum_is_a_broken_answer(tmp_path: Path) -> None:
    path = archive_of(tmp_path, Entry(name_of(), gzipped(), zlib.crc32(b"something else")))
    assert stem_of() in broken(path)
    with zipfile.ZipFile(path) as archive:  # a reader who looks at names alone sees nothing wrong
        assert archive.namelist() == [name_of()]


def test_a_locked_member_is_a_broken_answer(tmp_path: Path) -> None:
    path = archive_of(tmp_path, *TWO)
    whole = bytearray(path.read_bytes())
    whole[whole.index(b"PK\x01\x02") + 8] |= 1  # encrypted
    path.write_bytes(whole)
    broken(path)


def directory_field(whole: bytearray, offset: int) -> int:
    """Where a field of the first directory record lies."""
    return whole.index(b"PK\x01\x02") + offset


def test_a_directory_with_fewer_members_than_it_says_is_a_broken_answer(tmp_path: Path) -> None:
    whole = bytearray(zipped(TWO))
    comment_length = directory_field(whole, 32)
    record = whole.index(b"PK\x05\x06") - whole.rindex(b"PK\x01\x02")
    whole[comment_length] = record  # the second record, taken for the first one's comment
    path = tmp_path / "archive.zip"
    path.write_bytes(whole)
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        assert len(archive.namelist()) == 1, "an hour is lost, and nobody complains"
    broken(path)


@pytest.mark.parametrize("before", [b"HTTP/1.1 200 OK\r\n\r\n", zipped(TWO[:1])], ids=["text", "archive"])
def test_an_archive_behind_something_else_is_a_broken_answer(before: bytes, tmp_path: Path) -> None:
    path = tmp_path / "archive.zip"
    path.write_bytes(before + zipped(TWO[1:]))
    broken(path)


@pytest.mark.parametrize("layout", [Layout("stored"), Layout("deflated")], ids=str)
def test_a_member_shorter_than_the_directory_says_is_a_broken_answer(layout: Layout, tmp_path: Path) -> None:
    path = archive_of(tmp_path, *TWO, layout=layout)
    whole = bytearray(path.read_bytes())
    whole[directory_field(whole, 24) + 1] ^= 1  # uncompressed size
    path.write_bytes(whole)
    broken(path)


@pytest.mark.parametrize(
    ("offset", "bit"), [(10, 1 << 2), (45, 1 << 6)], ids=["another compression", "a place far away"]
)
def test_a_directory_that_leads_astray_is_a_broken_answer_and_no_trouble_with_the_disk(
    offset: int, bit: int, tmp_path: Path
) -> None:
    path = archive_of(tmp_path, *TWO, layout=Layout("deflated"))
    whole = bytearray(path.read_bytes())
    if offset == 10:
        whole[directory_field(whole, offset)] ^= bit  # deflate becomes bzip2
    else:
        whole[whole.index(b"PK\x05\x06") + 16 + 1] ^= bit  # where the directory begins
    path.write_bytes(whole)
    broken(path)


@pytest.mark.parametrize("layout", [Layout("stored"), Layout("deflated", zip64=True)], ids=str)
def test_no_flipped_bit_loses_or_changes_a_member(layout: Layout, tmp_path: Path) -> None:
    path = archive_of(tmp_path, *TWO, layout=layout)
    whole = path.read_bytes()
    sound = read_directory(path, DAY)
    accepted: list[int] = []
    for bit in random.Random(7).sample(range(len(whole) * 8), 600):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            check_archive(path, limits=LIMITS)
            if read_directory(path, DAY) != sound:
                accepted.append(bit)
        except (BrokenAnswer, StrangeArchive):
            continue
        except OSError:
            accepted.append(bit)
    assert accepted == []


# How much it may hold


def test_an_archive_has_as_many_members_as_allowed_and_not_one_more(tmp_path: Path) -> None:
    path = archive_of(tmp_path, *TWO)
    check_archive(path, limits=ArchiveLimits(max_members=2))
    with pytest.raises(StrangeArchive, match="2 members") as error:
        check_archive(path, limits=ArchiveLimits(max_members=1))
    assert not is_transient(error.value)


def test_an_archive_unzips_to_as_much_as_allowed_and_not_a_byte_more(tmp_path: Path) -> None:
    path = archive_of(tmp_path, *TWO)
    total = sum(len(payload) for _, payload in TWO)
    check_archive(path, limits=ArchiveLimits(max_archive_gzip_bytes=total))
    with pytest.raises(StrangeArchive, match=f"{total} bytes"):
        check_archive(path, limits=ArchiveLimits(max_archive_gzip_bytes=total - 1))


def test_members_that_are_skipped_count_too(tmp_path: Path) -> None:
    path = archive_of(tmp_path, (f"{APP}/readme.txt", b"\0" * 1_000_000))
    with pytest.raises(StrangeArchive):
        check_archive(path, limits=ArchiveLimits(max_archive_gzip_bytes=999_999))


# What it says it holds


@everywhere
def test_members_are_found_in_every_form(layout: Layout, tmp_path: Path) -> None:
    entries = [(name_of(HOUR, part), gzipped(LINES * part)) for part in range(10)]
    if not layout.folder:
        entries = [(name.split("/")[1], payload) for name, payload in entries]
    directory = read_directory(archive_of(tmp_path, *entries, layout=layout), ONE_HOUR)
    assert directory.app_id == APP
    assert [member.stem for member in directory.hours[HOUR]] == [stem_of(HOUR, part) for part in range(10)]
    for member, (name, payload) in zip(directory.hours[HOUR], entries, strict=True):
        assert (member.name, member.app_id, member.hour) == (name, APP, HOUR)
        assert (member.size_bytes, member.crc32) == (len(payload), zlib.crc32(payload))


def test_a_directory_of_something_else_is_a_broken_answer(tmp_path: Path) -> None:
    path = tmp_path / "archive.zip"
    path.write_bytes(b"no zip")
    with pytest.raises(BrokenAnswer):
        read_directory(path, ONE_HOUR)


def test_a_reader_by_name_would_have_dropped_the_first_of_two(tmp_path: Path) -> None:
    path = archive_of(tmp_path, (name_of(), gzipped()), (name_of(), gzipped(OTHER_LINES)))
    check_archive(path, limits=LIMITS)
    with zipfile.ZipFile(path) as archive:
        assert {archive.read(name) for name in archive.namelist()} == {gzipped(OTHER_LINES)}
    with pytest.raises(StrangeArchive, match="twice"):
        read_directory(path, ONE_HOUR)


# What is in a member


@everywhere
@pytest.mark.parametrize("to_disk", [True, False])
def test_a_member_is_gunzipped_and_measured(layout: Layout, to_disk: bool, tmp_path: Path) -> None:
    path = archive_of(tmp_path, *TWO, layout=layout)
    target = tmp_path / "part.json"
    (member,) = read_directory(path, DAY).hours[HOUR]
    facts = gunzip_member(path, member, limits=LIMITS, json_path=target if to_disk else None)
    assert facts == JsonFacts(3, len(LINES), zlib.crc32(LINES))
    assert (target.read_bytes() if target.exists() else None) == (LINES if to_disk else None)


def test_a_member_that_is_damaged_inside_a_sound_zip_is_named_with_its_hour(tmp_path: Path) -> None:
    path = archive_of(tmp_path, (name_of(), gzipped()[:-1]))
    check_archive(path, limits=LIMITS)
    (member,) = read_directory(path, ONE_HOUR).hours[HOUR]
    with pytest.raises(DamagedMember) as error:
        gunzip_member(path, member, limits=LIMITS, json_path=None)
    assert name_of() in str(error.value)
    assert str(HOUR) in str(error.value)
    assert not is_open(path)  # although the error is still at hand, and its frames with it


def is_open(path: Path) -> bool:
    """Whether this process holds the file open, which keeps its place on the disk when it is removed."""
    for descriptor in range(256):
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return True
    return False


def test_an_open_archive_would_be_noticed(tmp_path: Path) -> None:
    path = archive_of(tmp_path, *TWO)
    with path.open("rb"):
        assert is_open(path)
    assert not is_open(path)


def test_a_member_gunzips_to_as_much_as_allowed(tmp_path: Path) -> None:
    path = archive_of(tmp_path, (name_of(), gzipped()))
    (member,) = read_directory(path, ONE_HOUR).hours[HOUR]
    gunzip_member(path, member, limits=ArchiveLimits(max_member_json_bytes=len(LINES)), json_path=None)
    with pytest.raises(DamagedMember):
        gunzip_member(
            path, member, limits=ArchiveLimits(max_member_json_bytes=len(LINES) - 1), json_path=None
        )


def test_a_bomb_within_a_bomb_is_refused(tmp_path: Path) -> None:
    path = archive_of(tmp_path, (name_of(), gzipped(b"\n" * 20_000_000)))
    assert path.stat().st_size < 2_000
    (member,) = read_directory(path, ONE_HOUR).hours[HOUR]
    with pytest.raises(DamagedMember, match="500"):
        gunzip_member(path, member, limits=LIMITS, json_path=None)


@everywhere
def test_gzip_is_copied_byte_by_byte(layout: Layout, tmp_path: Path) -> None:
    path = archive_of(tmp_path, *TWO, layout=layout)
    (member,) = read_directory(path, DAY).hours[HOUR]
    extract_gzip(path, member, tmp_path / "part.json.gz")
    assert (tmp_path / "part.json.gz").read_bytes() == gzipped(LINES)


def test_an_archive_that_changed_after_it_was_checked_is_a_broken_answer(tmp_path: Path) -> None:
    path = archive_of(tmp_path, *TWO, layout=Layout("stored"))
    (member,) = read_directory(path, DAY).hours[HOUR]
    whole = bytearray(path.read_bytes())
    whole[whole.index(gzipped(LINES)) + 5] ^= 1  # a byte of the header that gzip does not check
    path.write_bytes(whole)
    with pytest.raises(BrokenAnswer):
        gunzip_member(path, member, limits=LIMITS, json_path=None)
    with pytest.raises(BrokenAnswer):
        extract_gzip(path, member, tmp_path / "part.json.gz")
    path.write_bytes(b"gone")
    with pytest.raises(BrokenAnswer):
        gunzip_member(path, member, limits=LIMITS, json_path=None)


def test_a_member_that_went_away_is_a_broken_answer(tmp_path: Path) -> None:
    path = archive_of(tmp_path, *TWO)
    (member,) = read_directory(path, DAY).hours[HOUR]
    path.write_bytes(zipped(TWO[:1]))
    with pytest.raises(BrokenAnswer):
        gunzip_member(path, member, limits=LIMITS, json_path=None)


@pytest.mark.parametrize("counted", [1, 10])
def test_a_directory_that_no_allowed_archive_has_is_refused_before_it_is_read(
    counted: int, tmp_path: Path
) -> None:
    """However many members the end record admits to: it is the bytes that fill the memory."""
    members = [(f"{APP}/{APP}_2025-12-23_19#{part}.json.gz", gzipped(LINES)) for part in range(10)]
    whole = bytearray(zipped(members))
    at = whole.rindex(b"PK\x05\x06")
    whole[at + 8 : at + 12] = counted.to_bytes(2, "little") * 2
    path = tmp_path / "archive.zip"
    path.write_bytes(whole)
    with pytest.raises(StrangeArchive, match="directory is larger than 1 members"):
        check_archive(path, limits=ArchiveLimits(max_members=1))
    if counted == len(members):
        check_archive(path, limits=ArchiveLimits(max_members=10))


# What is said of it


def beyond(path: Path, limits: ArchiveLimits) -> str:
    with pytest.raises(StrangeArchive) as refused:
        check_archive(path, limits=limits)
    return str(refused.value)


def test_a_refusal_names_the_setting_that_allows_more(tmp_path: Path) -> None:
    path = archive_of(tmp_path, *TWO)
    total = sum(len(packed) for _, packed in TWO)
    assert beyond(path, ArchiveLimits(max_members=1)) == (
        "The archive has 2 members, more than the 1 allowed (setting max_archive_members)."
    )
    assert beyond(path, ArchiveLimits(max_archive_gzip_bytes=total - 1)) == (
        f"The archive unzips to {total} bytes, more than the {total - 1} allowed (setting max_archive_gib)."
    )
    check_archive(path, limits=ArchiveLimits(max_members=2, max_archive_gzip_bytes=total))


@pytest.mark.parametrize(("name_bytes", "allowed"), [(512 - 46, True), (512 - 45, False)])
def test_a_directory_is_too_large_when_members_take_more_than_512_bytes_each(
    tmp_path: Path, name_bytes: int, allowed: bool
) -> None:
    path = archive_of(tmp_path, ("x" * name_bytes, b""), layout=Layout("stored"))
    one = ArchiveLimits(max_members=1)
    if allowed:
        check_archive(path, limits=one)
    else:
        assert beyond(path, one) == "The archive's directory is larger than 1 members can have."


def test_a_member_whose_size_differs_is_named_with_both_sizes(tmp_path: Path) -> None:
    path = archive_of(tmp_path, *TWO, layout=Layout("deflated"))
    whole = bytearray(path.read_bytes())
    at = directory_field(whole, 24)
    (size,) = struct.unpack_from("<L", whole, at)
    struct.pack_into("<L", whole, at, size + 5)
    path.write_bytes(whole)
    assert broken(path) == f"'{TWO[0][0]}' has {size} bytes, the zip says {size + 5}."

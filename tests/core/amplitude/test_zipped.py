"""What zipfile lets pass, and this does not; each beside a control that shows zipfile's own answer."""

from __future__ import annotations

import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from core.amplitude.directory import shown
from core.amplitude.zipped import CHUNK_BYTES, check_directory, chunks_of, directory_bytes, opened
from core.errors import BrokenAnswer

MEMBERS = {"1/1_2025-12-23_19#0.json.gz": b"a" * 100_000, "1/1_2025-12-23_19#1.json.gz": b"b" * 10}


def zip_at(path: Path, *, method: int = zipfile.ZIP_STORED, prefix: bytes = b"") -> Path:
    path.write_bytes(prefix)
    with zipfile.ZipFile(path, "a", method) as archive:
        for name, payload in MEMBERS.items():
            archive.writestr(name, payload)
    return path


def checked(path: Path) -> None:
    with opened(path) as archive:
        check_directory(path, archive.infolist())


def test_a_member_comes_in_chunks_of_64_kib_at_most(tmp_path: Path) -> None:
    path = zip_at(tmp_path / "a.zip", method=zipfile.ZIP_DEFLATED)
    with opened(path) as archive:
        chunks = list(chunks_of(archive, next(iter(MEMBERS))))
    assert b"".join(chunks) == next(iter(MEMBERS.values()))
    assert max(map(len, chunks)) <= CHUNK_BYTES
    assert all(chunks)


def test_a_sound_directory_passes_with_a_comment_and_with_zip64_records(tmp_path: Path) -> None:
    path = zip_at(tmp_path / "a.zip")
    checked(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"made for the test" * 100
    checked(path)
    many = tmp_path / "many.zip"
    with zipfile.ZipFile(many, "w") as archive:
        for number in range(65_536):
            archive.writestr(str(number), b"")
    checked(many)


def test_a_member_that_the_directory_has_lost_is_noticed(tmp_path: Path) -> None:
    path = zip_at(tmp_path / "a.zip")
    whole = bytearray(path.read_bytes())
    at = whole.rindex(b"PK\x05\x06")
    struct.pack_into("<HH", whole, at + 8, 3, 3)
    path.write_bytes(whole)
    with zipfile.ZipFile(path) as control:
        assert len(control.infolist()) == 2
    with pytest.raises(BrokenAnswer, match="names 3 members, its directory has 2"):
        checked(path)


def test_bytes_before_the_first_member_are_noticed(tmp_path: Path) -> None:
    path = zip_at(tmp_path / "a.zip", prefix=b"another answer's bytes")
    with zipfile.ZipFile(path) as control:
        assert control.testzip() is None
    with pytest.raises(BrokenAnswer, match="does not begin with its first member"):
        checked(path)


def test_a_packing_that_no_export_has_is_refused(tmp_path: Path) -> None:
    path = zip_at(tmp_path / "a.zip", method=zipfile.ZIP_BZIP2)
    with zipfile.ZipFile(path) as control:
        assert control.testzip() is None
    with pytest.raises(BrokenAnswer, match="packed with method 12"):
        checked(path)


@pytest.mark.parametrize("body", [b"", b"<html>", b"PK\x05\x06", b"PK\x03\x04" * 30])
def test_what_is_no_zip_is_a_broken_answer(body: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(body)
    with pytest.raises(BrokenAnswer, match="not a complete zip"), opened(path):
        pass


def test_a_flipped_bit_is_noticed_when_the_member_ends(tmp_path: Path) -> None:
    path = zip_at(tmp_path / "a.zip")
    whole = bytearray(path.read_bytes())
    whole[60_000] ^= 1
    path.write_bytes(whole)
    with opened(path) as archive, pytest.raises(BrokenAnswer, match="did not arrive whole"):
        list(chunks_of(archive, next(iter(MEMBERS))))


def test_a_member_that_is_not_there_is_a_broken_answer(tmp_path: Path) -> None:
    with opened(zip_at(tmp_path / "a.zip")) as archive, pytest.raises(BrokenAnswer):
        list(chunks_of(archive, "nothing"))


# What is said of it


def refusal(path: Path) -> str:
    with pytest.raises(BrokenAnswer) as refused:
        checked(path)
    return str(refused.value)


def test_a_refusal_says_what_is_wrong_and_with_which_member(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"<html>")
    assert refusal(path) == "The answer is not a complete zip archive ('File is not a zip file')."
    with pytest.raises(
        BrokenAnswer, match=r"^The archive's end record cannot be read \('sub.* not found'\)\.$"
    ):
        check_directory(path, [])
    assert refusal(zip_at(tmp_path / "b.zip", prefix=b"?")) == (
        "The archive does not begin with its first member."
    )
    assert refusal(zip_at(tmp_path / "c.zip", method=zipfile.ZIP_LZMA)) == (
        f"'{next(iter(MEMBERS))}' is packed with method 14, which no export is."
    )


@pytest.mark.parametrize("by_name", [False, True])
def test_a_member_that_did_not_arrive_whole_is_named_with_the_reason(tmp_path: Path, by_name: bool) -> None:
    path = zip_at(tmp_path / "a.zip")
    whole = bytearray(path.read_bytes())
    whole[60_000] ^= 1
    path.write_bytes(whole)
    with opened(path) as archive:
        member = archive.infolist()[0]
        with pytest.raises(BrokenAnswer) as refused:
            list(chunks_of(archive, member.filename if by_name else member))
    name = next(iter(MEMBERS))
    assert str(refused.value) == f"'{name}' did not arrive whole ({shown(f'Bad CRC-32 for file {name!r}')})."


def test_a_member_that_is_not_there_is_named_with_the_reason(tmp_path: Path) -> None:
    with opened(zip_at(tmp_path / "a.zip")) as archive, pytest.raises(BrokenAnswer) as refused:
        list(chunks_of(archive, "nothing"))
    assert str(refused.value).startswith("'nothing' did not arrive whole (")
    assert "There is no item named" in str(refused.value)


def test_a_reason_that_has_no_words_is_told_by_its_kind(tmp_path: Path) -> None:
    path = zip_at(tmp_path / "a.zip")
    with opened(path) as archive:
        chunks = chunks_of(archive, next(iter(MEMBERS)))
        next(chunks)
        with path.open("r+b") as file:
            file.truncate(70_000)
        with pytest.raises(BrokenAnswer, match=r"did not arrive whole \(EOFError\)"):
            list(chunks)


# The end record


def end_record(members: int, directory: int, comment: bytes = b"") -> bytes:
    return struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, members, members, directory, 0, len(comment)) + comment


def test_the_directory_is_measured_before_zipfile_reads_it(tmp_path: Path) -> None:
    path = zip_at(tmp_path / "a.zip")
    assert directory_bytes(path) == sum(46 + len(name) for name in MEMBERS)
    path.write_bytes(b"<html>")
    assert directory_bytes(path) == 0


@pytest.mark.parametrize(("stated", "believed"), [(122, 122), (123, 0), (1 << 30, 0)])
def test_a_directory_larger_than_its_file_is_not_believed(tmp_path: Path, stated: int, believed: int) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"x" * 100 + end_record(1, stated))
    assert directory_bytes(path) == believed


@pytest.mark.parametrize("members", [0xFFFF, 2])
def test_a_small_zip64_archive_is_read_by_its_own_end_record(tmp_path: Path, members: int) -> None:
    """Whoever streams an archive cannot know whether it will need these records, and writes them always."""
    path = zip_at(tmp_path / "a.zip")
    whole = path.read_bytes()
    at = whole.rindex(b"PK\5\6")
    directory, start = struct.unpack_from("<2L", whole, at + 12)
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 2, 2, directory, start)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, at, 1)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, members, members, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    if members != 0xFFFF:
        end = whole[at:]
    path.write_bytes(whole[:at] + end64 + locator + end)
    checked(path)
    assert directory_bytes(path) == directory


@pytest.mark.parametrize("place", [1 << 20, 1 << 63, (1 << 64) - 1])
def test_an_end_record_beyond_the_file_is_not_looked_for(tmp_path: Path, place: int) -> None:
    """The largest is more than a file can be asked to go to."""
    path = tmp_path / "a.zip"
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, place, 1)
    path.write_bytes(b"x" * 100 + locator + end_record(0xFFFF, 10))
    assert directory_bytes(path) == 10
    with pytest.raises(BrokenAnswer, match="not a complete zip archive"):
        checked(path)


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize(("members", "directory"), [(2, 47), (1, 122), (0xFFFF, 47), (1, 0xFFFF_FFFF)])
def test_end_records_that_disagree_are_refused_before_zipfile_follows_one(
    tmp_path: Path, members: int, directory: int, elsewhere: bool
) -> None:
    """Otherwise a small one would hide how large a directory is read into memory."""
    path = tmp_path / "a.zip"
    honest = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 2, 2, 122, 0)
    place = 0 if elsewhere else 222
    padding = honest.ljust(222, b"x") if elsewhere else b"x" * 222
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, place, 1)
    path.write_bytes(
        padding + (b"y" * 56 if elsewhere else honest) + locator + end_record(members, directory)
    )
    for look in (directory_bytes, checked):
        with pytest.raises(BrokenAnswer, match=r"disagree about the directory|not a complete zip"):
            look(path)


def test_two_zip64_records_that_disagree_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    records = [
        struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 2, 2, size, 0).ljust(60, b"x")
        for size in (47, 22)
    ]
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, 0, 1)
    path.write_bytes(records[0] + records[1][:56] + locator + end_record(0xFFFF, 0xFFFF_FFFF))
    with pytest.raises(BrokenAnswer) as refused:
        directory_bytes(path)
    assert str(refused.value) == "The archive's end record and its Zip64 form disagree about the directory."


def test_the_end_record_at_the_very_end_counts_whatever_its_fields_spell(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    spelled = int.from_bytes(b"PK\5\6", "little")
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, 46, spelled, 0)
    path.write_bytes(b"x" * 100 + end)
    assert directory_bytes(path) == 46
    path.write_bytes(b"x" * 100 + end[:-2] + b"\1\0")  # it claims a comment: the last signature is looked for
    assert directory_bytes(path) == 0


@pytest.mark.parametrize("comment", [b"said", b"\0\0"])
def test_before_a_comment_the_last_end_record_counts(tmp_path: Path, comment: bytes) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"x" * 100 + end_record(1, 47) + b"x" * 30 + end_record(1, 46, comment))
    assert directory_bytes(path) == 46


@pytest.mark.parametrize("cut", [1, 5, 16])
def test_half_a_locator_is_no_end_record_that_can_be_read(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.zip"
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, 0, 1)
    path.write_bytes(locator[:-cut] + end_record(1, 10))
    assert directory_bytes(path) == 0


def test_an_end_record_is_found_before_the_longest_comment(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"x" * 1_000 + end_record(3, 500, b"c" * 0xFFFF))
    assert directory_bytes(path) == 500


def test_a_member_that_looks_like_an_end_record_is_not_taken_for_it(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("1", end_record(9, 9))
    checked(path)
    assert directory_bytes(path) == 47


def test_of_a_large_archive_the_end_alone_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with path.open("wb") as file:
        file.truncate(64 << 20)
        file.seek(0, 2)
        file.write(end_record(3, 500))
    tracemalloc.start()
    assert directory_bytes(path) == 500
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20

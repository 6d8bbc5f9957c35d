"""What zipfile lets pass, and this does not; each beside a control that shows zipfile's own answer."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest

from core.amplitude.zipped import CHUNK_BYTES, check_directory, chunks_of, opened
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

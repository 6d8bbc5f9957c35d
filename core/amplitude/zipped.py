"""Read a zip that nobody vouches for: whatever is wrong with it is a :class:`BrokenAnswer`.

zipfile trusts more than it should: it ignores the end record's count of members, takes bytes before
the first of them, and lets a directory state a size that no member has. All of it is compared here.

Source: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT (4.3.12-4.3.16)
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from core.amplitude.directory import shown
from core.errors import BrokenAnswer

#: What comes out of a member at a time: small enough to stay in a core's cache.
CHUNK_BYTES = 64 * 1024

_END = struct.Struct("<4s4H2LH")
_END_SIGNATURE = b"PK\x05\x06"
_LOCATOR = struct.Struct("<4sLQL")
_LOCATOR_SIGNATURE = b"PK\x06\x07"
_END64 = struct.Struct("<4sQ2H2L4Q")
_END64_SIGNATURE = b"PK\x06\x06"
_NO_COMMENT = b"\0\0"
_LONGEST_END = _END64.size + _LOCATOR.size + _END.size + 0xFFFF  # with the longest comment
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_COMPLAINTS = (
    zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError,
    KeyError, NotImplementedError, RuntimeError, ValueError,
)  # fmt: skip


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The zip at ``path``, its directory read.

    Raises:
        BrokenAnswer: It is no complete zip. Transient.
    """
    try:
        archive = zipfile.ZipFile(path)
    except _COMPLAINTS as error:
        msg = f"The answer is not a complete zip archive ({_reason(error)})."
        raise BrokenAnswer(msg) from None
    with archive:
        yield archive


def check_directory(path: Path, members: list[zipfile.ZipInfo]) -> None:
    """Compare the directory that was read with what the end record says of it.

    Raises:
        BrokenAnswer: They disagree, or something stands before the first member. Transient.
    """
    stated = _stated_members(path)
    if stated != len(members):
        msg = f"The archive's end record names {stated} members, its directory has {len(members)}."
        raise BrokenAnswer(msg)
    if members and min(member.header_offset for member in members) != 0:
        msg = "The archive does not begin with its first member."
        raise BrokenAnswer(msg)
    for member in members:
        if member.compress_type not in _METHODS:
            msg = (
                f"{shown(member.filename)} is packed with method {member.compress_type}, which no export is."
            )
            raise BrokenAnswer(msg)


def chunks_of(archive: zipfile.ZipFile, member: zipfile.ZipInfo | str) -> Generator[bytes]:
    """A member's bytes, at most 64 KiB at a time, never empty; their CRC-32 is compared at the end.

    Raises:
        BrokenAnswer: They are not what the zip says of them. Transient.
    """
    name = member if isinstance(member, str) else member.filename
    try:
        stream = archive.open(member)
    except _COMPLAINTS as error:
        raise _not_whole(name, error) from None
    with stream:
        while True:
            try:
                chunk = stream.read(CHUNK_BYTES)
            except _COMPLAINTS as error:
                raise _not_whole(name, error) from None
            if not chunk:
                return
            yield chunk


def directory_bytes(path: Path) -> int:
    """How large the directory is, which zipfile reads into memory whole; 0 if there is none that can be.

    Raises:
        BrokenAnswer: It is said in two ways, and they disagree: zipfile might follow either. Transient.
    """
    try:
        stated = _end_record(path)[1]
    except (struct.error, ValueError):
        return 0
    return stated if stated <= path.stat().st_size else 0


def _stated_members(path: Path) -> int:
    """How many members the end record counts."""
    try:
        return _end_record(path)[0]
    except (struct.error, ValueError) as error:
        msg = f"The archive's end record cannot be read ({_reason(error)})."
        raise BrokenAnswer(msg) from None


def _end_record(path: Path) -> tuple[int, int]:
    """How many members the end record counts, and how many bytes their directory has."""
    size = path.stat().st_size
    begin = max(0, size - _LONGEST_END)
    with path.open("rb") as file:
        file.seek(begin)
        tail = file.read()
        end = tail[-_END.size :]
        is_last = end.startswith(_END_SIGNATURE) and end.endswith(_NO_COMMENT)
        at = len(tail) - _END.size if is_last else tail.rindex(_END_SIGNATURE)
        members, directory = _END.unpack_from(tail, at)[4:6]
        locator = tail[:at][-_LOCATOR.size :]
        if not locator.startswith(_LOCATOR_SIGNATURE):
            return members, directory
        # Where the locator says, and right before it: Python has looked at either, depending on its release.
        places = {_LOCATOR.unpack(locator)[2], begin + at - _LOCATOR.size - _END64.size}
        forms = {found for place in places if (found := _zip64_record(file, place, size)) is not None}
    if not forms:
        return members, directory
    stated = forms.pop()
    if forms or members not in {0xFFFF, stated[0]} or directory not in {0xFFFF_FFFF, stated[1]}:
        msg = "The archive's end record and its Zip64 form disagree about the directory."
        raise BrokenAnswer(msg)
    return stated


def _zip64_record(file: BinaryIO, place: int, size: int) -> tuple[int, int] | None:
    """Members and bytes of the directory, if there is such a record at this place."""
    if place < 0 or place > size:  # more than a file can be asked to go to, perhaps
        return None
    file.seek(place)
    record = file.read(_END64.size)
    if not record.startswith(_END64_SIGNATURE):
        return None
    *_, members, directory, _ = _END64.unpack(record)
    return members, directory


def _not_whole(name: str, error: BaseException) -> BrokenAnswer:
    return BrokenAnswer(f"{shown(name)} did not arrive whole ({_reason(error)}).")


def _reason(error: BaseException) -> str:
    return shown(str(error)) if str(error) else type(error).__name__

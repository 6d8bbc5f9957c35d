"""Read an export archive, a zip of gzipped JSON: checked on arrival, and again with every read.

Source: https://amplitude.com/docs/apis/analytics/export
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from core.amplitude.directory import Directory, Member, shown, sort_members
from core.amplitude.gunzip import JsonFacts, LineMeter, gunzip
from core.amplitude.zipped import check_directory, chunks_of, directory_bytes, opened
from core.errors import BrokenAnswer, StrangeArchive
from core.hours import ExportWindow

GIB = 1 << 30

#: In a zip's directory a member takes 46 bytes, its name and what is said beside it; ours about 110.
_ENTRY_BYTES = 512


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """Where an archive stops being believable. Generous: a real 4 GB export gunzips to about 50 GB.

    deflate reaches 1032:1 a layer, and there are two of them: without caps a few kilobytes could
    fill any disk.

    Attributes:
        max_hour_json_bytes: Of all members of one hour, for which :mod:`core.unpacking` keeps account.
        max_ratio: What may come out of a member per byte that went in.
    """

    max_members: int = 100_000
    max_member_json_bytes: int = 32 * GIB
    max_hour_json_bytes: int = 128 * GIB
    max_archive_gzip_bytes: int = 64 * GIB
    max_ratio: int = 500


def check_archive(path: Path, *, limits: ArchiveLimits) -> None:
    """Make sure that an archive arrived as it was sent.

    Guarantees: the end record is there and counts every member of the directory, nothing stands
    before them, and their bytes match the length and CRC-32 that the zip states for them.
    Cheap: it passes over compressed bytes only.

    Raises:
        BrokenAnswer: It did not. Transient: another request may bring a sound one.
        StrangeArchive: More members or bytes than :class:`ArchiveLimits` allow. Permanent.
    """
    if directory_bytes(path) > limits.max_members * _ENTRY_BYTES:  # before zipfile holds all of it
        msg = f"The archive's directory is larger than {limits.max_members:,} members can have."
        raise StrangeArchive(msg)
    with opened(path) as archive:
        members = archive.infolist()
        if len(members) > limits.max_members:
            msg = (
                f"The archive has {len(members):,} members, more than the {limits.max_members:,} allowed "
                "(setting max_archive_members)."
            )
            raise StrangeArchive(msg)
        if (total := sum(member.file_size for member in members)) > limits.max_archive_gzip_bytes:
            allowed = limits.max_archive_gzip_bytes
            more = f"more than the {allowed:,} allowed (setting max_archive_gib)"
            msg = f"The archive unzips to {total:,} bytes, {more}."
            raise StrangeArchive(msg)
        check_directory(path, members)
        for member in members:
            # Reading to the end is what compares the checksum.
            size_bytes = sum(len(chunk) for chunk in chunks_of(archive, member))
            if size_bytes != member.file_size:
                msg = f"{shown(member.filename)} has {size_bytes:,} bytes, the zip says {member.file_size:,}."
                raise BrokenAnswer(msg)


def read_directory(path: Path, window: ExportWindow) -> Directory:
    """The members of an archive that :func:`check_archive` has passed, sorted into their hours.

    Raises:
        StrangeArchive: See :func:`core.amplitude.directory.sort_members`. Permanent.
        BrokenAnswer: The zip cannot be read at all. Transient.
    """
    with opened(path) as archive:
        return sort_members(archive.infolist(), window)


def gunzip_member(
    archive_path: Path, member: Member, *, limits: ArchiveLimits, json_path: Path | None
) -> JsonFacts:
    """Gunzip one member, verify it, and say what it holds.

    Guarantees: gzip's own CRC-32 and length agree with what came out, nothing stands behind it,
    and memory holds one chunk at a time.

    Args:
        json_path: Where the JSON goes; None only verifies and counts.

    Raises:
        DamagedMember: The gzip is broken although the zip around it is sound. Permanent.
        BrokenAnswer: The zip's bytes have changed since they were checked. Transient.
        OSError: The disk is full or refuses.
    """
    what = f"{shown(member.name)} ({member.hour})"
    meter = LineMeter()
    # Closed at once: an error keeps its frames, and an open archive keeps its place on the disk.
    with opened(archive_path) as archive, closing(chunks_of(archive, member.name)) as chunks:
        pieces = gunzip(
            chunks,
            what=what,
            max_bytes=limits.max_member_json_bytes,
            max_ratio=limits.max_ratio,
        )
        if json_path is None:
            for piece in pieces:
                meter.feed(piece)
        else:
            with json_path.open("wb") as target:
                for piece in pieces:
                    meter.feed(piece)
                    target.write(piece)
    return meter.facts


def extract_gzip(archive_path: Path, member: Member, gzip_path: Path) -> None:
    """Copy a member's gzip bytes as they came, the zip's CRC-32 checked on the way.

    Raises:
        BrokenAnswer: The zip's bytes have changed since they were checked. Transient.
        OSError: The disk is full or refuses.
    """
    with (
        opened(archive_path) as archive,
        closing(chunks_of(archive, member.name)) as chunks,
        gzip_path.open("wb") as target,
    ):
        for chunk in chunks:
            target.write(chunk)

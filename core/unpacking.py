"""From an exported hour to files: parts for the lake, or JSON for a local folder."""

from __future__ import annotations

import contextlib
import fcntl
import glob
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from core.amplitude.archive import ArchiveLimits, extract_gzip, gunzip_member
from core.amplitude.directory import Member
from core.amplitude.export import ExportedHour
from core.amplitude.gunzip import JsonFacts, LineMeter
from core.hours import ExportHour, ExportWindow
from core.lake.commit import LocalPart
from core.lake.layout import Compression
from core.scratch import disk_errors

_CHUNK_BYTES = 1 << 20
_UNFINISHED = ".unfinished"


@dataclass(frozen=True, slots=True)
class UnpackedHour:
    """An hour's parts on disk, verified and counted, ready for the lake.

    Attributes:
        folder: Holds the parts and nothing else.
        exported_at: UTC, just before the request that brought them was sent.
    """

    hour: ExportHour
    window: ExportWindow
    exported_at: datetime
    app_id: int | None
    folder: Path
    parts: tuple[LocalPart, ...]

    @property
    def events(self) -> int:
        """Of all parts."""
        return sum(part.events for part in self.parts)

    @property
    def json_bytes(self) -> int:
        """Of all parts, gunzipped."""
        return sum(part.json_bytes for part in self.parts)


def unpack_hour(
    exported: ExportedHour, folder: Path, *, compression: Compression, limits: ArchiveLimits
) -> UnpackedHour:
    """Gunzip an hour's members, verify them, and lay them out as the lake will hold them.

    Guarantees: gzip's CRC-32 and length agree for every member, whatever ``compression`` is; memory
    holds one chunk at a time. Safe to repeat: files are written anew.

    Args:
        folder: Made if it is not there.

    Raises:
        DamagedMember: A member is broken inside a sound zip. Permanent.
        BrokenAnswer: The archive's bytes have changed since they were checked. Transient.
        ScratchUnusable: The disk is full or refuses. Permanent.
    """
    with disk_errors(f"gunzip {exported.hour}"):
        folder.mkdir(parents=True, exist_ok=True)
        parts: list[LocalPart] = []
        for member in exported.members:
            left = _left_of(limits, sum(part.json_bytes for part in parts))
            parts.append(_unpack(exported.archive, member, folder, compression, left))
    return UnpackedHour(
        exported.hour, exported.window, exported.exported_at, exported.app_id, folder, tuple(parts)
    )


def _left_of(limits: ArchiveLimits, hour_bytes: int) -> ArchiveLimits:
    """The limits for an hour's next member, when its members so far have gunzipped to so many bytes."""
    left = min(limits.max_member_json_bytes, limits.max_hour_json_bytes - hour_bytes)
    return replace(limits, max_member_json_bytes=left)


def _unpack(
    archive: Path, member: Member, folder: Path, compression: Compression, limits: ArchiveLimits
) -> LocalPart:
    name = member.stem.replace("#", "_")
    if compression == "gzip":
        path = folder / f"{name}.json.gz"
        facts = gunzip_member(archive, member, limits=limits, json_path=None)
        extract_gzip(archive, member, path)
        size_bytes, crc32 = member.size_bytes, member.crc32
    else:
        path = folder / f"{name}.json"
        facts = gunzip_member(archive, member, limits=limits, json_path=path)
        size_bytes, crc32 = facts.size_bytes, facts.crc32
    return LocalPart(path, member.stem, facts.events, facts.size_bytes, facts.crc32, size_bytes, crc32)


@dataclass(frozen=True, slots=True)
class ExtractedHour:
    """An hour's JSON files in a local folder.

    Attributes:
        written: Files that were new, or damaged and replaced.
        kept: Files that were there already with the same size and CRC-32.
    """

    hour: ExportHour
    written: tuple[Path, ...]
    kept: tuple[Path, ...]
    events: int
    json_bytes: int


def extract_hour(exported: ExportedHour, folder: Path, *, limits: ArchiveLimits) -> ExtractedHour:
    """Gunzip an hour's members into a folder of JSON.

    Guarantees: a file appears by atomic rename, whole and verified. One that is there already with
    the same size and CRC-32 is left alone; any other is replaced. Safe to repeat.

    Raises:
        DamagedMember: A member is broken inside a sound zip; its file does not appear. Permanent.
        BrokenAnswer: The archive's bytes have changed since they were checked. Transient.
        ScratchUnusable: The disk is full or refuses. Permanent.
    """
    written: list[Path] = []
    kept: list[Path] = []
    events = json_bytes = 0
    with disk_errors(f"extract {exported.hour} to {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        for member in exported.members:
            path = folder / f"{member.stem.replace('#', '_')}.json"
            _sweep(folder, path)
            left = _left_of(limits, json_bytes)
            there = _facts_of(path) if path.is_file() else None
            if there is not None and there == gunzip_member(
                exported.archive, member, limits=left, json_path=None
            ):
                facts = there
                kept.append(path)
            else:
                facts = _extract(exported.archive, member, path, left)
                written.append(path)
            events += facts.events
            json_bytes += facts.size_bytes
    return ExtractedHour(exported.hour, tuple(written), tuple(kept), events, json_bytes)


def _extract(archive: Path, member: Member, path: Path, limits: ArchiveLimits) -> JsonFacts:
    # A name of its own: another run may be extracting the same hour to the same folder.
    unfinished = path.with_name(f".{path.name}.{uuid4().hex}{_UNFINISHED}")
    with unfinished.open("xb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            facts = gunzip_member(archive, member, limits=limits, json_path=unfinished)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    return facts


def _sweep(folder: Path, path: Path) -> None:
    """Remove what killed runs left of a file: nobody holds its lock any more."""
    for left in folder.glob(f".{glob.escape(path.name)}.*{_UNFINISHED}"):
        with contextlib.suppress(OSError), left.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink(missing_ok=True)


def _facts_of(path: Path) -> JsonFacts:
    meter = LineMeter()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            meter.feed(chunk)
    return meter.facts

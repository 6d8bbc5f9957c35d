"""The way of an archive from the disk to parts, through the functions that production calls, in its order.

:meth:`core.amplitude.client.ExportClient.download` ends in :func:`check_archive`,
:func:`core.amplitude.export.export_window` goes on with :func:`read_directory`, and each hour is then
unpacked by itself, so that one bad hour costs no other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path

from core.amplitude.archive import ArchiveLimits, check_archive, read_directory
from core.amplitude.directory import Directory
from core.amplitude.export import ExportedHour
from core.amplitude.zipped import check_directory, opened
from core.errors import BrokenAnswer, PipelineError
from core.hours import ExportHour, ExportWindow
from core.unpacking import ExtractedHour, UnpackedHour, extract_hour, unpack_hour
from tests.campaigns.fuzz_archives import Sink

_EXPORTED_AT = datetime(2025, 12, 23, 22, 15, 3, 120_000, tzinfo=UTC)


class Stage(IntEnum):
    """How far an archive came."""

    FILE = 0  #: it is there
    DIRECTORY = 1  #: the zip's directory was read
    MEMBER = 2  #: the directory agrees with the end record; members were read against their CRC-32
    GZIP = 3  #: the zip is sound, every name has its place; an hour's member was gunzipped
    COUNT = 4  #: all members of an hour were gunzipped whole, and their lines counted


@dataclass(slots=True)
class Reading:
    """What became of an archive.

    Attributes:
        directory: Once it was read.
        hours: Those that were unpacked.
        refused: The errors that ended it, or one of its hours (None is the archive itself).
    """

    stage: Stage = Stage.FILE
    directory: Directory | None = None
    hours: dict[ExportHour, UnpackedHour | ExtractedHour] = field(default_factory=dict)
    refused: dict[ExportHour | None, PipelineError] = field(default_factory=dict)


#: Reads the archive at a path into a folder: the function under test.
Reader = Callable[[Path, Path, ExportWindow, ArchiveLimits, Sink], Reading]


def read_archive(
    path: Path, folder: Path, window: ExportWindow, limits: ArchiveLimits, sink: Sink
) -> Reading:
    """Read an archive as a run does. Whatever is not an error of ours comes out."""
    reading = Reading()
    try:
        check_archive(path, limits=limits)
        reading.stage = Stage.MEMBER
        reading.directory = read_directory(path, window)
    except PipelineError as error:
        reading.stage = max(reading.stage, _stage_behind(path, error))
        reading.refused[None] = error
        return reading
    for hour, members in reading.directory.hours.items():
        reading.stage = max(reading.stage, Stage.GZIP)
        exported = ExportedHour(hour, window, _EXPORTED_AT, path, reading.directory.app_id, members)
        try:
            if sink == "folder":
                reading.hours[hour] = extract_hour(exported, folder / str(hour), limits=limits)
            else:
                reading.hours[hour] = unpack_hour(
                    exported, folder / str(hour), compression=sink, limits=limits
                )
            reading.stage = Stage.COUNT
        except PipelineError as error:
            reading.refused[hour] = error
    return reading


def _stage_behind(path: Path, error: PipelineError) -> Stage:
    """How far :func:`check_archive` had come: its own steps are tried again, one by one."""
    try:
        with opened(path) as archive:
            members = archive.infolist()
    except PipelineError:
        return Stage.FILE
    if not isinstance(error, BrokenAnswer):
        return Stage.DIRECTORY  # a cap: they were not looked at
    try:
        check_directory(path, members)
    except PipelineError:
        return Stage.DIRECTORY
    return Stage.MEMBER

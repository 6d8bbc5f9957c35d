"""Who does the conveyor's jobs: what it expects of Prefect's tasks in a flow, and of threads elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from core.amplitude.export import ExportedHour, ExportedWindow
from core.hours import ExportWindow
from core.lake.manifest import Manifest
from core.timing import Timed
from core.unpacking import ExtractedHour, UnpackedHour

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Job(Protocol[T_co]):
    """Something that is being done."""

    def outcome(self) -> Timed[T_co] | BaseException:
        """Wait for it: its receipt, or what it failed with after all its tries. Never raises that."""
        ...


class Crew(Protocol):
    """Who brings archives, and says which of some jobs are done."""

    def download(self, window: ExportWindow) -> Job[ExportedWindow]:
        """Begin to bring a window's archive."""
        ...

    def as_completed(self, jobs: Sequence[Job[T]]) -> Iterator[Job[T]]:
        """Each of the jobs, as it ends."""
        ...


class LakeCrew(Crew, Protocol):
    """Who brings hours into the lake."""

    def unpack(self, hour: ExportedHour, folder: Path) -> Job[UnpackedHour]:
        """Begin to gunzip an hour into a folder."""
        ...

    def commit(self, unpacked: Job[UnpackedHour], *, restore: bool) -> Job[Manifest]:
        """Commit an hour as soon as it is gunzipped; fails if that fails."""
        ...


class FolderCrew(Crew, Protocol):
    """Who brings hours into a local folder."""

    def extract(self, hour: ExportedHour) -> Job[ExtractedHour]:
        """Begin to gunzip an hour into the folder."""
        ...

"""Who does the conveyor's jobs in a flow: Prefect's tasks, each with its own tries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from prefect.futures import PrefectFuture, as_completed

from blocks.amplitude import AmplitudeCredentials
from blocks.pipeline import AmplitudePipeline
from core.amplitude.archive import ArchiveLimits
from core.amplitude.export import ExportedHour, ExportedWindow
from core.crew import Job
from core.hours import ExportWindow
from core.lake.manifest import Manifest
from core.timing import Timed
from core.unpacking import ExtractedHour, UnpackedHour
from flows.opening import patiently
from tasks.download_export import download_export
from tasks.extract_hour import extract_hour
from tasks.gunzip_hour import gunzip_hour
from tasks.upload_hour import upload_hour

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TaskJob(Generic[T]):
    """A task run on its way."""

    future: PrefectFuture[Timed[T]]

    def outcome(self) -> Timed[T] | BaseException:
        """Wait for its last try."""
        result: Any = self.future.result(raise_on_failure=False)
        return cast("Timed[T] | BaseException", result)


@dataclass(frozen=True, slots=True)
class Tasks:
    """Prefect's tasks as a crew; to be used inside a flow.

    Attributes:
        scratch: The run's own folder, for archives.
        clock: Says when a request is sent.
        retry_seconds: How long a task waits before its second try.
    """

    amplitude: AmplitudeCredentials
    limits: ArchiveLimits
    scratch: Path
    clock: Callable[[], datetime]
    retry_seconds: float

    def download(self, window: ExportWindow) -> TaskJob[ExportedWindow]:
        """Begin to bring a window's archive."""
        task = patiently(download_export, self.retry_seconds)
        return TaskJob(task.submit(window, self.amplitude, self.limits, self.scratch, self.clock))

    def as_completed(self, jobs: Sequence[Job[T]]) -> Iterator[Job[T]]:
        """Each of the jobs, as it ends."""
        by_future = {cast("TaskJob[T]", job).future: job for job in jobs}
        for future in as_completed(list(by_future)):
            yield by_future[future]


@dataclass(frozen=True, slots=True)
class LakeTasks(Tasks):
    """Tasks that bring hours into the lake of a pipeline."""

    pipeline: AmplitudePipeline

    def unpack(self, hour: ExportedHour, folder: Path) -> TaskJob[UnpackedHour]:
        """Begin to gunzip an hour into a folder."""
        return TaskJob(patiently(gunzip_hour, self.retry_seconds).submit(hour, self.pipeline, folder))

    def commit(self, unpacked: Job[UnpackedHour], *, restore: bool) -> TaskJob[Manifest]:
        """Commit an hour as soon as it is gunzipped."""
        # Prefect puts the result in the future's place; its types do not say so.
        handed_on = cast("Any", unpacked).future
        task = patiently(upload_hour, self.retry_seconds)
        return TaskJob(task.submit(handed_on, self.pipeline, restore=restore))


@dataclass(frozen=True, slots=True)
class FolderTasks(Tasks):
    """Tasks that bring hours into a local folder."""

    folder: Path

    def extract(self, hour: ExportedHour) -> TaskJob[ExtractedHour]:
        """Begin to gunzip an hour into the folder."""
        return TaskJob(patiently(extract_hour, self.retry_seconds).submit(hour, self.folder, self.limits))

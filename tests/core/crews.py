"""The conveyor's jobs done by plain threads: the whole way through core, without Prefect."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from core.amplitude.archive import ArchiveLimits
from core.amplitude.client import ExportClient
from core.amplitude.export import ExportedHour, ExportedWindow, export_window
from core.crew import Job
from core.errors import PipelineError, is_transient
from core.hours import ExportWindow
from core.lake.commit import commit_hour
from core.lake.layout import Compression
from core.lake.manifest import Manifest
from core.lake.store import Lake
from core.timing import Stopwatch, Timed
from core.unpacking import ExtractedHour, UnpackedHour, extract_hour, unpack_hour

T = TypeVar("T")

#: As Prefect's tasks: one try, and two further ones if another could help.
TRIES = 3


def tried(work: Callable[[], T]) -> T:
    """Do some work as a task does it."""
    for left in reversed(range(TRIES)):
        try:
            return work()
        except PipelineError as error:
            if not (left and is_transient(error)):
                raise
    raise AssertionError


def settled(work: Callable[[], T]) -> tuple[Timed[T] | None, PipelineError | None]:
    """The same, with its time, or what it failed with."""
    stopwatch = Stopwatch()
    try:
        return stopwatch.stop(tried(work)), None
    except PipelineError as error:
        return None, error


@dataclass(frozen=True)
class ThreadJob(Generic[T]):
    """A job in a pool."""

    future: Future[Timed[T]]

    def outcome(self) -> Timed[T] | BaseException:
        error = self.future.exception()
        return error if error is not None else self.future.result()


@dataclass(frozen=True)
class Threads:
    """Threads that know one Amplitude project, one lake and one folder.

    Attributes:
        make_client: Opens the door to Amplitude, as every download does.
        scratch: For archives.
    """

    pool: ThreadPoolExecutor
    make_client: Callable[[], ExportClient]
    lake: Lake
    scratch: Path
    clock: Callable[[], datetime]
    host: str
    folder: Path
    compression: Compression = "none"
    limits: ArchiveLimits = ArchiveLimits()  # noqa: RUF009  # it is frozen

    def _begin(self, work: Callable[[], T]) -> ThreadJob[T]:
        def timed() -> Timed[T]:
            stopwatch = Stopwatch()
            return stopwatch.stop(tried(work))

        return ThreadJob(self.pool.submit(timed))

    def download(self, window: ExportWindow) -> ThreadJob[ExportedWindow]:
        def work() -> ExportedWindow:
            with self.make_client() as client:
                return export_window(client, window, self.scratch, clock=self.clock)

        return self._begin(work)

    def as_completed(self, jobs: Sequence[Job[T]]) -> Iterator[Job[T]]:
        by_future = {cast("Any", job).future: job for job in jobs}
        for future in as_completed(by_future):
            yield by_future[future]

    def unpack(self, hour: ExportedHour, folder: Path) -> ThreadJob[UnpackedHour]:
        return self._begin(
            lambda: unpack_hour(hour, folder, compression=self.compression, limits=self.limits)
        )

    def commit(self, unpacked: Job[UnpackedHour], *, restore: bool) -> ThreadJob[Manifest]:
        def work() -> Manifest:
            hour = unpacked.outcome()  # begun before this job, so no pool is too small
            if isinstance(hour, BaseException):
                raise hour
            ready = hour.receipt
            return commit_hour(
                self.lake,
                ready.hour,
                ready.parts,
                app_id=ready.app_id,
                api_host=self.host,
                exported_at=ready.exported_at,
                window=ready.window,
                compression=self.compression,
                uploads_at_once=4,
                restore=restore,
            )

        return self._begin(work)

    def extract(self, hour: ExportedHour) -> ThreadJob[ExtractedHour]:
        return self._begin(lambda: extract_hour(hour, self.folder, limits=self.limits))

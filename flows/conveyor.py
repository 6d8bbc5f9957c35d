"""Move windows from Amplitude to where they belong: download, gunzip and upload overlap, within bounds.

At most ``archives_in_flight`` archives are on the way or on disk at once. An archive's hours are
submitted as soon as it is there, each hour's gunzip right before its upload: so no task waits for
one that is queued behind it, however few workers there are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar, cast

from prefect.futures import PrefectFuture, as_completed, wait

from blocks.amplitude import AmplitudeCredentials
from blocks.pipeline import AmplitudePipeline
from core.amplitude.archive import ArchiveLimits
from core.amplitude.export import ExportedHour, ExportedWindow
from core.errors import ExportRefused, LakeConflict, LakeRefused, PipelineError, ScratchUnusable
from core.hours import ExportHour, ExportWindow, windows_of
from core.planning import believe_no_data
from core.report import Transfer
from core.scratch import discard
from core.survey import Survey
from core.timing import Timed
from flows.opening import patiently
from flows.progress import Progress
from tasks.download_export import download_export
from tasks.extract_hour import extract_hour
from tasks.gunzip_hour import gunzip_hour
from tasks.upload_hour import upload_hour

T = TypeVar("T")

#: What would fail the same way for every other window and hour.
_FOR_ALL = (ExportRefused, LakeConflict, LakeRefused, ScratchUnusable)


@dataclass(frozen=True, slots=True)
class Belt:
    """What the conveyor runs on.

    Attributes:
        scratch: The run's own folder.
        clock: Says when a request is sent.
        retry_seconds: How long a task waits before its second try.
        archives_in_flight: How many archives are on the way or on disk at once.
    """

    amplitude: AmplitudeCredentials
    scratch: Path
    clock: Callable[[], datetime]
    progress: Progress
    retry_seconds: float
    archives_in_flight: int


def move_into_lake(
    surveyed: Survey, pipeline: AmplitudePipeline, belt: Belt, *, every_window: bool
) -> Transfer:
    """Export what is planned and commit it, hour by hour; a bad hour never blocks a good one.

    Stops early, with ``stopped_by`` set, at an error that would be the same for every hour.

    Args:
        every_window: Whether to go on through the plan on a lake that no archive has opened yet;
            otherwise the first window shows whether there is anything to have.
    """
    transfer = Transfer()
    quiet: list[ExportedHour] = []
    windows = surveyed.plan.windows

    def bring(some: Iterable[ExportWindow]) -> bool:
        """Whether anything came of it."""
        before = len(transfer.committed)
        for exported in _exported(some, belt, transfer):
            quiet.extend(hour for hour in exported.hours if not hour.members)
            _commit([hour for hour in exported.hours if hour.members], pipeline, belt, transfer)
        return len(transfer.committed) > before

    claimed, later = surveyed.identity is not None, windows
    if not claimed and not every_window:
        claimed, later = bring(windows[-1:]), windows[:-1]
    if claimed or every_window:
        claimed |= bring(later)
        later = ()
    if transfer.stopped_by:
        return transfer
    if claimed:
        empty = [hour for hour in quiet if believe_no_data(hour.hour, hour.exported_at, rules=pipeline.rules)]
        transfer.unpublished = sorted({hour.hour for hour in quiet} - {hour.hour for hour in empty})
        _commit(empty, pipeline, belt, transfer)
    else:
        transfer.unclaimed = sorted([*(hour.hour for hour in quiet), *chain.from_iterable(later)])
    return transfer


def move_into_folder(
    windows: Iterable[ExportWindow], folder: Path, limits: ArchiveLimits, belt: Belt
) -> Transfer:
    """Export windows and gunzip their hours into a local folder; a bad hour never blocks a good one."""
    transfer = Transfer()
    for exported in _exported(windows, belt, transfer):
        transfer.quiet += [hour.hour for hour in exported.hours if not hour.members]
        futures = {
            hour.hour: patiently(extract_hour, belt.retry_seconds).submit(hour, folder, limits)
            for hour in exported.hours
            if hour.members
        }
        for hour, future in futures.items():
            extracted = _outcome(future, transfer, [hour])
            if extracted is not None:
                transfer.extracted.append(extracted)
            belt.progress.hour_done()
    return transfer


def _exported(windows: Iterable[ExportWindow], belt: Belt, transfer: Transfer) -> Iterator[ExportedWindow]:
    """Each window as its archive arrives, while the next one downloads; used archives are removed."""
    waiting = deque(windows)
    on_the_way: deque[tuple[ExportWindow, PrefectFuture[Timed[ExportedWindow]]]] = deque()
    largest: int | None = None
    try:
        while on_the_way or (waiting and not transfer.stopped_by):
            while waiting and len(on_the_way) < belt.archives_in_flight and not transfer.stopped_by:
                window = waiting.popleft()
                if largest is not None and len(window) > largest:
                    waiting.extendleft(windows_of(window, window_hours=largest))
                    continue
                download = patiently(download_export, belt.retry_seconds)
                on_the_way.append((window, download.submit(window, belt.amplitude, belt.scratch, belt.clock)))
            if not on_the_way:
                break
            window, future = on_the_way.popleft()
            exported = _outcome(future, transfer, window)
            if exported is None:
                continue
            transfer.downloads.append(exported)
            transfer.failures |= exported.receipt.failures
            sizes = [size for size in (largest, exported.receipt.largest_window_hours) if size is not None]
            largest = min(sizes, default=None)
            yield exported.receipt
            discard(exported.receipt.archives)
    finally:
        wait([future for _, future in on_the_way])


def _commit(
    hours: Iterable[ExportedHour], pipeline: AmplitudePipeline, belt: Belt, transfer: Transfer
) -> None:
    """Gunzip and upload hours. Each leaves the disk when it is done, whatever another one waits for."""
    on_the_way: dict[PrefectFuture[Any], tuple[ExportHour, Path, PrefectFuture[Any]]] = {}
    for hour in hours:
        folder = belt.scratch / str(hour.hour)
        unpacked = patiently(gunzip_hour, belt.retry_seconds).submit(hour, pipeline, folder)
        # Prefect puts the result in the future's place; its types do not say so.
        handed_on = cast("Any", unpacked)
        committed = patiently(upload_hour, belt.retry_seconds).submit(handed_on, pipeline)
        on_the_way[committed] = hour.hour, folder, unpacked
    for committed in as_completed(list(on_the_way)):
        export_hour, folder, unpacked = on_the_way[committed]
        discard([folder])
        belt.progress.hour_done()
        parts = _outcome(unpacked, transfer, [export_hour])
        if parts is None:
            continue
        transfer.unpacked.append(parts)
        manifest = _outcome(committed, transfer, [export_hour])
        if manifest is not None:
            transfer.committed.append(manifest)


def _outcome(
    future: PrefectFuture[Timed[T]], transfer: Transfer, hours: Iterable[ExportHour]
) -> Timed[T] | None:
    """A task's receipt, or None with its failure written down: once, or for each of the hours."""
    result: object = future.result(raise_on_failure=False)
    if isinstance(result, Timed):
        return result
    if isinstance(result, _FOR_ALL):
        transfer.stopped_by = transfer.stopped_by or result
        return None
    reason = str(result) if isinstance(result, PipelineError) else f"{type(result).__name__}: {result}"
    transfer.failures |= dict.fromkeys(hours, reason)
    return None

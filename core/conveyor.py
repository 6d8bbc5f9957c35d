"""Move windows from Amplitude to where they belong: download, gunzip and upload overlap, within bounds.

At most ``archives_in_flight`` archives are on the way or on disk at once. An archive's hours are handed
on as soon as it is there, each hour's gunzip right before its upload: so no job waits for one that is
queued behind it, however few workers there are. Who does the jobs, and how often each is tried, is the
crew's matter: Prefect's tasks in a flow.

When all the others are through, some hours are asked for once more: those whose gzip is broken inside a
sound zip, for they may have been read while they were written; and those without data, before that is
believed, for nobody might ever ask again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TypeVar

from core.amplitude.export import ExportedHour, ExportedWindow
from core.crew import Crew, FolderCrew, Job, LakeCrew
from core.errors import (
    DamagedMember,
    ExportRefused,
    LakeConflict,
    LakeRefused,
    PipelineError,
    ScratchUnusable,
)
from core.hours import MAX_WINDOW_HOURS, ExportHour, ExportWindow, windows_of
from core.lake.manifest import Manifest
from core.planning import PlanRules, believe_no_data
from core.scratch import discard
from core.timing import Timed
from core.transfer import Transfer
from core.unpacking import UnpackedHour

T = TypeVar("T")

#: What would fail the same way for every other window and hour.
_FOR_ALL = (ExportRefused, LakeConflict, LakeRefused, ScratchUnusable)


@dataclass(frozen=True, slots=True)
class Belt:
    """What the conveyor runs on.

    Attributes:
        scratch: The run's own folder.
        hour_done: Called once for each hour that was planned and is through, whatever became of it.
        archives_in_flight: How many archives are on the way or on disk at once.
    """

    scratch: Path
    hour_done: Callable[[], None]
    archives_in_flight: int


def move_into_lake(
    windows: Sequence[ExportWindow],
    crew: LakeCrew,
    belt: Belt,
    rules: PlanRules,
    *,
    claimed: bool,
    every_window: bool,
    restore: Collection[ExportHour] = (),
) -> Transfer:
    """Export what is planned and commit it, hour by hour; a bad hour never blocks a good one.

    Stops early, with ``stopped_by`` set, at an error that would be the same for every hour.

    Args:
        windows: What to export, oldest first.
        claimed: Whether an archive has opened the lake already.
        every_window: Whether to go on through the plan if none has; otherwise the newest window shows
            whether there is anything to have.
        restore: Hours whose objects are missing or differ: they go up even if the content is the same.
    """
    transfer = Transfer()
    quiet: list[ExportedHour] = []

    def bring(some: Iterable[ExportWindow], belt: Belt = belt) -> bool:
        """Whether anything came of it."""
        before = len(transfer.committed)
        for exported in _exported(some, crew, belt, transfer):
            quiet.extend(hour for hour in exported.hours if not hour.members)
            _commit([hour for hour in exported.hours if hour.members], crew, belt, transfer, restore)
        return len(transfer.committed) > before

    later: Sequence[ExportWindow] = windows
    if not claimed and not every_window:
        claimed, later = bring(windows[-1:]), windows[:-1]
    if claimed or every_window:
        claimed |= bring(later)
        later = ()
    old = {hour.hour for hour in quiet if believe_no_data(hour.hour, hour.exported_at, rules=rules)}
    transfer.unpublished = sorted({hour.hour for hour in quiet} - old)
    quiet.clear()
    if not transfer.stopped_by and (claimed or every_window or transfer.damaged):
        again = windows_of({*transfer.damaged, *old}, window_hours=rules.window_hours)
        claimed |= bring(again, replace(belt, hour_done=_nothing))
    if transfer.stopped_by:
        return transfer
    if claimed:
        empty = [hour for hour in quiet if hour.hour in old]
        _commit(empty, crew, belt, transfer, restore)
    else:
        transfer.unclaimed = sorted([*transfer.unpublished, *old, *chain.from_iterable(later)])
        transfer.unpublished = []
    for _ in (*transfer.unpublished, *transfer.unclaimed):
        belt.hour_done()
    return transfer


def move_into_folder(windows: Iterable[ExportWindow], crew: FolderCrew, belt: Belt) -> Transfer:
    """Export windows and gunzip their hours into a local folder; a bad hour never blocks a good one."""
    transfer = Transfer()
    _extract(windows, crew, belt, transfer)
    again = {*transfer.damaged, *transfer.quiet}
    if again and not transfer.stopped_by:
        transfer.quiet.clear()
        muted = replace(belt, hour_done=_nothing)
        _extract(windows_of(again, window_hours=MAX_WINDOW_HOURS), crew, muted, transfer)
    return transfer


def _extract(windows: Iterable[ExportWindow], crew: FolderCrew, belt: Belt, transfer: Transfer) -> None:
    for exported in _exported(windows, crew, belt, transfer):
        quiet = [hour.hour for hour in exported.hours if not hour.members]
        transfer.quiet += [hour for hour in quiet if hour not in transfer.damaged]
        for _ in quiet:
            belt.hour_done()
        jobs = {hour.hour: crew.extract(hour) for hour in exported.hours if hour.members}
        for hour, job in jobs.items():
            extracted = _outcome(job, transfer, [hour])
            if extracted is not None:
                transfer.extracted.append(extracted)
                transfer.failures.pop(hour, None)
            belt.hour_done()


def _exported(
    windows: Iterable[ExportWindow], crew: Crew, belt: Belt, transfer: Transfer
) -> Iterator[ExportedWindow]:
    """Each window as its archive arrives, while the next one downloads; used archives are removed."""
    waiting = deque(windows)
    on_the_way: deque[tuple[ExportWindow, Job[ExportedWindow]]] = deque()
    try:
        while on_the_way or (waiting and not transfer.stopped_by):
            while waiting and len(on_the_way) < belt.archives_in_flight and not transfer.stopped_by:
                window = waiting.popleft()
                size = transfer.largest_window_hours
                if size is not None and len(window) > size:
                    waiting.extendleft(reversed(list(windows_of(window, window_hours=size))))
                    continue
                on_the_way.append((window, crew.download(window)))
            if not on_the_way:
                break
            window, job = on_the_way.popleft()
            exported = _outcome(job, transfer, window)
            for _ in window if exported is None else exported.receipt.failures:
                belt.hour_done()
            if exported is None:
                continue
            transfer.downloads.append(exported)
            transfer.failures |= exported.receipt.failures
            sizes = (transfer.largest_window_hours, exported.receipt.largest_window_hours)
            transfer.largest_window_hours = min((size for size in sizes if size is not None), default=None)
            yield exported.receipt
            discard(exported.receipt.archives)
    finally:
        for _, job in on_the_way:
            job.outcome()


def _commit(
    hours: Iterable[ExportedHour],
    crew: LakeCrew,
    belt: Belt,
    transfer: Transfer,
    restore: Collection[ExportHour],
) -> None:
    """Gunzip and upload hours. Each leaves the disk when it is done, whatever another one waits for."""
    on_the_way: dict[Job[Manifest], tuple[ExportHour, Path, Job[UnpackedHour]]] = {}
    for hour in hours:
        folder = belt.scratch / str(hour.hour)
        unpacked = crew.unpack(hour, folder)
        committed = crew.commit(unpacked, restore=hour.hour in restore)
        on_the_way[committed] = hour.hour, folder, unpacked
    for committed in crew.as_completed(list(on_the_way)):
        export_hour, folder, unpacked = on_the_way[committed]
        discard([folder])
        belt.hour_done()
        parts = _outcome(unpacked, transfer, [export_hour])
        if parts is None:
            continue
        transfer.unpacked.append(parts)
        manifest = _outcome(committed, transfer, [export_hour])
        if manifest is not None:
            transfer.committed.append(manifest)
            transfer.failures.pop(export_hour, None)


def _nothing() -> None:
    """What is told of an hour that was counted before."""


def _outcome(job: Job[T], transfer: Transfer, hours: Iterable[ExportHour]) -> Timed[T] | None:
    """A job's receipt, or None with its failure written down: once, or for each of the hours."""
    result = job.outcome()
    if isinstance(result, Timed):
        return result
    if isinstance(result, _FOR_ALL):
        transfer.stopped_by = transfer.stopped_by or result
        return None
    if isinstance(result, DamagedMember):
        transfer.damaged |= set(hours)
    reason = str(result) if isinstance(result, PipelineError) else f"{type(result).__name__}: {result}"
    transfer.failures |= dict.fromkeys(hours, reason)
    return None

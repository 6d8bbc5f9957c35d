"""Export a window, in as many requests as it takes.

An answer of 400 or 504, or silence, can mean that a window is too much for one request. It is then
halved, down to single hours, and the size that worked is remembered for what follows. So is a window
with a stranger in its archive, or one that the server fails over or sends damaged: it may be one hour's
fault. If nothing at all comes, it is not, and the rest is not asked for.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from core.amplitude.answers import Failing
from core.amplitude.archive import read_directory
from core.amplitude.client import Clock, ExportClient, NoData
from core.amplitude.directory import Member
from core.errors import BrokenAnswer, ExportTooLarge, PipelineError, StrangeArchive
from core.hours import ExportHour, ExportWindow, windows_of

#: A window, its halves and its quarters: if all of them fail, no hour of it can be blamed.
_ENOUGH_IN_VAIN = 7


@dataclass(frozen=True, slots=True)
class ExportedHour:
    """One hour as an answer brought it: its members in an archive, or none.

    Attributes:
        archive: Where its members are, if it has any.
        exported_at: UTC, just before the request that succeeded was sent.
        window: What that request asked for.
        app_id: The project that the answer's members name; None if it had none.
    """

    hour: ExportHour
    window: ExportWindow
    exported_at: datetime
    archive: Path
    app_id: int | None = None
    members: tuple[Member, ...] = ()


@dataclass(frozen=True, slots=True)
class ExportedWindow:
    """What became of one window.

    Guarantees: every hour of it is in exactly one of ``hours`` and ``failures``.

    Attributes:
        archives: The files on disk that ``hours`` refer to.
        skipped: Members of the closed list that were passed over.
        largest_window_hours: Larger windows than this did not work; None if none was too large, or a single
            hour was to blame.
    """

    window: ExportWindow
    hours: tuple[ExportedHour, ...]
    failures: dict[ExportHour, str]
    archives: tuple[Path, ...]
    size_bytes: int
    requests: int
    skipped: tuple[str, ...] = field(default=())
    largest_window_hours: int | None = None


def export_window(
    client: ExportClient, window: ExportWindow, folder: Path, *, clock: Clock
) -> ExportedWindow:
    """Fetch every hour of a window into ``folder``, halving what is too much or holds a stranger.

    One bad hour does not cost its neighbours. Safe to repeat: file names depend on the window alone.

    Raises:
        ExportUnavailable: Amplitude stayed busy or silent. Nothing of this window is kept. Transient.
        BrokenAnswer: All its answers were damaged, likewise. Transient.
        ExportRefused: Credentials, or an answer that nobody expects. Permanent.
        OSError: The disk is full or refuses.
    """
    export = _Export(client, window, folder, clock)
    try:
        export.run()
    except BaseException:
        export.leave_nothing()
        raise
    return export.outcome()


class _Export:
    """One window on its way, in as many parts as it takes."""

    def __init__(self, client: ExportClient, window: ExportWindow, folder: Path, clock: Clock) -> None:
        self._client = client
        self._window = window
        self._folder = folder
        self._clock = clock
        self._requests_before = client.requests
        self._hours: list[ExportedHour] = []
        self._failures: dict[ExportHour, str] = {}
        self._archives: dict[Path, None] = {}  # in order, each once
        self._skipped: list[str] = []
        self._size_bytes = 0
        self._largest: int | None = None

    def run(self) -> None:
        pending = deque([self._window])
        in_vain: list[PipelineError] = []
        strange: set[ExportWindow] = set()
        while pending:
            part = pending.popleft()
            if self._largest is not None and len(part) > self._largest:
                pending.extendleft(reversed(list(windows_of(part, window_hours=self._largest))))
                continue
            path = self._folder / f"{part.first.api}-{part.last.api}.zip"
            self._archives[path] = None
            try:
                self._take(part, path)
            except ExportTooLarge as error:
                path.unlink(missing_ok=True)
                if len(part) == 1:
                    self._failures[part.first] = str(error)
                    self._largest = None  # it was this hour's fault: the others may come together again
                    continue
                self._largest = (len(part) + 1) // 2
                pending.extendleft(reversed(part.halves()))
            except StrangeArchive as error:
                path.unlink(missing_ok=True)
                if len(part) > 1:
                    pending.extendleft(reversed(part.halves()))
                elif part not in strange:
                    strange.add(part)
                    pending.append(part)  # the halves of a longer window show whether it comes again
                else:
                    self._failures[part.first] = str(error)
            except (Failing, BrokenAnswer) as error:
                path.unlink(missing_ok=True)
                in_vain.append(error)
                if not self._hours and len(in_vain) == _ENOUGH_IN_VAIN:
                    break
                if len(part) == 1:
                    self._failures[part.first] = str(error)
                    continue
                pending.extend(part.halves())  # after the others, which show whether Amplitude answers at all
        if in_vain and not self._hours:
            raise in_vain[-1]  # not one hour's fault: the task's own retry is what is left

    def _take(self, part: ExportWindow, path: Path) -> None:
        answer = self._client.download(part, path, clock=self._clock)
        if isinstance(answer, NoData):
            self._hours += [ExportedHour(hour, part, answer.exported_at, path) for hour in part]
            return
        directory = read_directory(path, part)
        self._size_bytes += answer.size_bytes
        self._skipped += directory.skipped
        for hour in part:
            members = directory.hours.get(hour, ())
            self._hours.append(ExportedHour(hour, part, answer.exported_at, path, directory.app_id, members))

    def leave_nothing(self) -> None:
        for path in self._archives:
            path.unlink(missing_ok=True)

    def outcome(self) -> ExportedWindow:
        return ExportedWindow(
            window=self._window,
            hours=tuple(sorted(self._hours, key=lambda exported: exported.hour)),
            failures=self._failures,
            archives=tuple(path for path in self._archives if path.exists()),
            size_bytes=self._size_bytes,
            requests=self._client.requests - self._requests_before,
            skipped=tuple(self._skipped),
            largest_window_hours=self._largest,
        )

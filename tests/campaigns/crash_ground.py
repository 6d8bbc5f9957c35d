"""What rounds are played on: projects of their own over emulators that keep what they were given."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator, Mapping, MutableSequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from core.hours import ExportHour, ExportWindow
from emulators.amplitude import EventSource
from emulators.amplitude.changes import Change
from tasks.slots import ensure_limit
from tests.campaigns.crash_runs import Nursery, Run
from tests.rehearsal import Rehearsal, rehearsal

HOURS_PER_ROUND = 4

#: Name; whether each answer has another order, what the lake's objects are, hours to a request.
#: Slots for exports, more than are killed in two minutes.
_PLENTY = 1000

_PROJECTS = (("crash-plain", False, "none", 4), ("crash-gzip", True, "gzip", 2))

#: How long the emulated service waits before it ends the transaction of a client that is gone, if it
#: blocks another. The real one: 300 s.
_DEAD_SESSION_SECONDS = 1.5


@dataclass
class Ground:
    """One project.

    Attributes:
        stage: The emulators.
        changes: What happens to its source; may be added to.
        scratch: Where its runs put what they download.
        nursery: Starts runs.
        newest: The newest hour of the first round.
    """

    stage: Rehearsal
    changes: MutableSequence[Change]
    scratch: Path
    nursery: Nursery
    newest: ExportHour
    _seconds: deque[float] = field(default_factory=lambda: deque([1.0], maxlen=8))

    @property
    def work_seconds(self) -> float:
        """How long a run takes from planning to reconciliation, by the last ones."""
        return sum(self._seconds) / len(self._seconds)

    def learn(self, run: Run) -> None:
        """Note how long a run took, if it brought something."""
        if run.work_seconds is not None:
            self._seconds.append(run.work_seconds)

    def hours_of(self, number: int) -> ExportWindow:
        """The hours that a round brings."""
        last = self.newest - HOURS_PER_ROUND * number
        return ExportWindow(last - (HOURS_PER_ROUND - 1), last)


@contextlib.contextmanager
def grounds(environment: Mapping[str, str], folder: Path) -> Iterator[list[Ground]]:
    """Both projects, set up.

    Args:
        environment: The whole environment of each run; its Prefect server must answer.
        folder: For logs and scratch.
    """
    with contextlib.ExitStack() as stack:
        nursery = stack.enter_context(Nursery(environment, folder))
        newest = ExportHour.newest_complete(datetime.now(UTC))
        made = []
        for name, shuffle, compression, window_hours in _PROJECTS:
            changes: list[Change] = []
            source = EventSource(
                events_per_hour=40,
                constant=True,
                parts_per_hour=2,
                quirks=True,
                shuffle=shuffle,
                changes=changes,
            )
            stage = stack.enter_context(
                rehearsal(name, source=source, save=False, dead_session_seconds=_DEAD_SESSION_SECONDS)
            )
            scratch = folder / name
            # Runs that were killed would hold their turn for minutes, and their slots.
            tuning = {"compression": compression, "window_hours": window_hours, "scratch_folder": scratch}
            stage.register(tuning={**tuning, "turn_seconds": 0})
            ensure_limit(stage.pipeline.amplitude.export_limit, _PLENTY)
            made.append(Ground(stage, changes, scratch, nursery, newest))
        nursery.wait_until_ready()
        yield made

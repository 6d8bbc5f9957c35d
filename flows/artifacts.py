"""What a run leaves to be looked at in Prefect: how far it is, what it did, which hours it brought."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from flows.opening import courtesy
from flows.pages import Link, page_of, rows_of
from flows.progress import Progress, Report

#: Telling Prefect costs a request.
_SECONDS_BETWEEN_UPDATES = 5.0


class Shown(Progress):
    """Passes on what it is told, and shows it in Prefect. For use inside a flow.

    Args:
        inner: Who else watches the run.
        kind: ``ingest``, ``gap-fill`` or ``extract``; with ``name`` the key that artifacts are found by.
        name: Of the block that the run is for.
        link: Where a key of the lake can be looked at.
    """

    def __init__(self, inner: Progress, kind: str, name: str, link: Link = str) -> None:
        self._inner = inner
        self._key = f"{kind}-{name}"
        self._name = name
        self._link = link
        self._hours = self._done = 0
        self._artifact: UUID | None = None
        self._told_at = 0.0

    def planned(self, hours: int) -> None:
        """Begin to show how far it is; a run with nothing to export shows nothing."""
        self._inner.planned(hours)
        self._hours = hours
        if hours and self._artifact is None:
            with courtesy("The run's progress"):
                made: Any = create_progress_artifact(
                    0.0, key=f"{self._key}-progress", description=f"{hours:,} hours to export"
                )
                self._artifact = made

    def hour_done(self) -> None:
        """Move on by one."""
        self._inner.hour_done()
        self._done += 1
        self._show()

    def hours_done(self, hours: int) -> None:
        """Move to where it is."""
        self._inner.hours_done(hours)
        self._done = hours
        self._show()

    def step(self, name: str) -> None:
        """Not shown: the task runs are."""
        self._inner.step(name)

    def finished(self, report: Report) -> None:
        """Leave a page, and a table of the hours that were brought."""
        self._inner.finished(report)
        self._show(at_once=True)
        page, rows = page_of(report, self._name), rows_of(report, self._link)
        with courtesy("What the run did"):
            create_markdown_artifact(page, key=self._key, description="What the run did")
            if rows:
                create_table_artifact(
                    rows, key=f"{self._key}-hours", description="Hours brought into the lake by this run"
                )

    def _show(self, *, at_once: bool = False) -> None:
        now = time.monotonic()
        if self._artifact is None or (now - self._told_at < _SECONDS_BETWEEN_UPDATES and not at_once):
            return
        self._told_at = now
        with courtesy("The run's progress"):
            update_progress_artifact(
                self._artifact,
                progress=min(100.0, 100.0 * self._done / self._hours),
                description=f"{self._done:,} of {self._hours:,} hours are through",
            )

"""Who watches a run: the command line, if there is one. Nobody watches a deployment's run but Prefect."""

from __future__ import annotations

from contextvars import ContextVar

from core.report import ExtractReport, IngestReport


class Progress:
    """Told what happens; does nothing with it. The command line puts one of its own in place."""

    def planned(self, hours: int) -> None:
        """So many hours are going to be exported."""

    def hour_done(self) -> None:
        """One of them is committed, or has failed."""

    def step(self, name: str) -> None:
        """Something begins that has no hours to count."""

    def finished(self, report: IngestReport | ExtractReport) -> None:
        """The run is over; this is what it has to say, green or not."""


watcher: ContextVar[Progress] = ContextVar("watcher", default=Progress())  # noqa: B039  # it holds no state

"""Who watches a run: the command line, if there is one. Nobody watches a deployment's run but Prefect."""

from __future__ import annotations

from contextvars import ContextVar

from core.gap_report import GapReport
from core.gap_survey import GapSurvey
from core.report import ExtractReport, IngestReport

#: What a run has to say; a dry run has its plan.
Report = IngestReport | GapReport | ExtractReport | GapSurvey


class Progress:
    """Told what happens; does nothing with it. The command line puts one of its own in place."""

    def planned(self, hours: int) -> None:
        """So many hours are going to be exported."""

    def hour_done(self) -> None:
        """One of them is committed, or has failed."""

    def hours_done(self, hours: int) -> None:
        """So many of them are."""

    def step(self, name: str) -> None:
        """Something begins that has no hours to count."""

    def finished(self, report: Report) -> None:
        """The run is over; this is what it has to say, green or not."""


watcher: ContextVar[Progress] = ContextVar("watcher", default=Progress())  # noqa: B039  # it holds no state

"""The flows' own sequence of core's functions, without Prefect, over whatever doors."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from core.conveyor import Belt, move_into_lake
from core.crew import LakeCrew
from core.errors import LakeError
from core.gap_report import GapReport
from core.gap_survey import GapSurvey, review, survey_gaps
from core.gap_wishes import GapWishes
from core.hours import ExportHour, ExportWindow
from core.lake import marks
from core.lake.store import Lake
from core.landing import land
from core.loading import OpenWarehouse, load_missing, reconcile_hours
from core.planning import PlanRules
from core.report import IngestReport, LakeReport
from core.survey import Survey, survey
from tests.core.crews import settled, tried

#: Told of a plan before anything is exported: the hours wanted, and those that are missing or asked for.
Planned = Callable[[ExportWindow, Sequence[ExportHour]], None]


@dataclass(frozen=True)
class Passage:
    """One run, from its lake to its report.

    Attributes:
        now: When it began.
        open_warehouse: None for a pipeline without one.
        run: Its name, for the ledger.
        survey, survey_gaps: How it plans.
    """

    lake: Lake
    now: datetime
    rules: PlanRules
    crew: LakeCrew
    belt: Belt
    open_warehouse: OpenWarehouse | None
    run: str
    survey: Callable[..., Survey] = survey
    survey_gaps: Callable[..., GapSurvey] = survey_gaps
    planned: Planned = lambda _wanted, _hours: None

    def ingest(self, first: ExportHour | None, last: ExportHour | None) -> IngestReport:
        """What flows.ingest does, up to its report."""
        explicit = first is not None or last is not None
        found = tried(lambda: self.survey(self.lake, self.now, first=first, last=last, rules=self.rules))
        plan = found.plan
        self.planned(plan.wanted, [*plan.missing, *plan.left])
        transfer = move_into_lake(
            plan.windows,
            self.crew,
            self.belt,
            self.rules,
            claimed=found.identity is not None,
            every_window=explicit,
        )
        return IngestReport(wanted=plan.wanted, plan=plan, transfer=transfer, explicit=explicit)

    def gap_fill(self, wishes: GapWishes) -> GapReport:
        """What flows.gap_fill does, up to its report."""
        for hour in wishes.give_up:
            tried(partial(marks.give_up, self.lake, hour, reason=wishes.reason, now=self.now))
        for hour in wishes.retry:
            tried(partial(marks.retry, self.lake, hour, now=self.now))
        found = tried(lambda: self.survey_gaps(self.lake, self.now, wishes, rules=self.rules))
        plan = found.plan
        self.planned(plan.wanted, list(plan.why))
        transfer = move_into_lake(
            plan.windows,
            self.crew,
            self.belt,
            self.rules,
            claimed=found.identity is not None,
            every_window=True,
            restore=plan.damaged.keys(),
        )
        report = GapReport(
            wanted=plan.wanted,
            plan=plan,
            transfer=transfer,
            explicit=wishes.explicit,
            accepted=found.accepted,
        )
        if not isinstance(transfer.stopped_by, LakeError):
            looked, report.stopped_by = settled(lambda: review(self.lake, plan.wanted))
            report.review = looked.receipt if looked else None
        return report

    def load(self, report: LakeReport, reject: Collection[ExportHour] = ()) -> None:
        """What either does about the warehouse."""
        if isinstance(report, GapReport) and report.review is None:
            return
        if self.open_warehouse is None or isinstance(report.transfer.stopped_by, LakeError):
            return
        opened = self.open_warehouse
        loading = partial(load_missing, self.lake, opened, report.wanted, run=self.run, reject=reject)
        land(
            report,
            load=lambda suspects: settled(lambda: loading(suspects=suspects)),
            count=lambda hours: settled(lambda: reconcile_hours(self.lake, opened, hours)),
        )

"""What actors do: the flows' own sequence of core's functions, over doors in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from core.conveyor import Belt
from core.gap_report import GapReport
from core.gap_survey import GapSurvey, survey_gaps
from core.gap_wishes import GapWishes
from core.hours import ExportHour, ExportWindow
from core.lake.store import Lake
from core.loading import load_missing, reconcile_hours
from core.planning import PlanRules
from core.report import IngestReport, LakeReport
from core.survey import Survey, survey
from core.warehouse.loader import Warehouse
from tests.campaigns.model_actors import Actor
from tests.campaigns.model_lake import BUCKET, Bucket, lake_of
from tests.campaigns.model_snowflake import Account, Connection
from tests.campaigns.model_source import Clock, MemoryCrew, Source
from tests.core.crews import tried
from tests.core.passages import Passage

#: A world of few hours: every one of them is settled, and believed to be empty, within six hours.
RULES = PlanRules(
    initial_days=1,
    lookback_hours=2,
    max_hours_per_run=3,
    window_hours=2,
    settle_hours=4,
    empty_after_hours=4,
    verify_days=0,
)


@dataclass(frozen=True)
class Craft:
    """The real core, or one with a part in it that is broken on purpose."""

    lake: Callable[..., Lake] = Lake
    warehouse: Callable[..., Warehouse] = Warehouse
    survey: Callable[..., Survey] = survey
    survey_gaps: Callable[..., GapSurvey] = survey_gaps


@dataclass(frozen=True)
class Site:
    """One project, its lake and its stage."""

    source: Source
    prefix: str

    @property
    def url(self) -> str:
        """What the stage stands on."""
        return f"s3://{BUCKET}/{self.prefix}"


@dataclass
class Run:
    """One run of ingest, gap-fill or the loading alone.

    Attributes:
        began: At which step of the history.
        planned: Told of every plan, before anything is exported: hours wanted, hours to be exported.
        report: What it has to say, once it has come so far.
        green: Whether it has ended without an error.
    """

    name: str
    site: Site
    craft: Craft
    bucket: Bucket
    account: Account
    clock: Clock
    scratch: Path
    began: int
    planned: Callable[[Run, ExportWindow, Sequence[ExportHour]], None]
    page: int = 1000
    report: LakeReport | None = None
    verified: bool = False
    green: bool = False

    def ingest(self, actor: Actor, first: ExportHour | None, last: ExportHour | None) -> None:
        """What flows.ingest does."""
        passage = self._passage(actor)
        self._conclude(passage, passage.ingest(first, last))

    def gap_fill(self, actor: Actor, wishes: GapWishes) -> None:
        """What flows.gap_fill does."""
        self.verified = wishes.verify
        passage = self._passage(actor)
        self._conclude(passage, passage.gap_fill(wishes))

    def load_alone(self, actor: Actor, window: ExportWindow) -> None:
        """A loader beside the runs, as a task that is tried again late."""
        lake = self._lake(actor)
        tried(lambda: load_missing(lake, partial(self._warehouse, actor), window, run=self.name))
        reconcile_hours(lake, partial(self._warehouse, actor), list(window))

    def _conclude(self, passage: Passage, report: IngestReport | GapReport) -> None:
        self.report = report
        passage.load(report)
        report.warnings()
        report.raise_if_failed()
        self.green = True

    def _passage(self, actor: Actor) -> Passage:
        lake = self._lake(actor)
        return Passage(
            lake,
            self.clock.now,
            RULES,
            MemoryCrew(actor, lake, self.site.source, self.clock, self.scratch),
            Belt(self.scratch / "run", lambda: None, 2),
            partial(self._warehouse, actor),
            self.name,
            survey=self.craft.survey,
            survey_gaps=self.craft.survey_gaps,
            planned=partial(self.planned, self),
        )

    def _lake(self, actor: Actor) -> Lake:
        return lake_of(self.bucket, actor, self.site.prefix, self.craft.lake, self.page)

    def _warehouse(self, actor: Actor, *, app_id: int) -> Warehouse:
        def connect() -> Any:
            return Connection(self.account, actor, self.site.url)

        return self.craft.warehouse(connect, lake_url=self.site.url, app_id=app_id, run=self.name)

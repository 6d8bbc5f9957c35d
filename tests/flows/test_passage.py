"""What ingest and gap-fill have in common; whether all of it arrives, their own tests say."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from prefect import flow
from prefect.logging import disable_run_logger
from pydantic import SecretStr

from blocks import AmplitudePipeline
from core.errors import ExportRefused, LakeRefused, LakeUnavailable, PipelineError, RunFailed
from core.hours import ExportHour, ExportWindow
from core.report import IngestReport
from core.transfer import Transfer
from flows import passage
from flows.passage import bring, conclude, load
from flows.progress import Progress, Report
from tests.blocks.test_pipeline import connector, pipeline
from tests.core.lake.examples import HOUR
from tests.core.test_report import plan, report
from tests.rehearsal import Rehearsal, hours_ago


class Watcher(Progress):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def planned(self, hours: int) -> None:
        self.told.append(("planned", hours))

    def hour_done(self) -> None:
        self.told.append(("done", None))

    def step(self, name: str) -> None:
        self.told.append(("step", name))

    def finished(self, report: Report) -> None:
        self.told.append(("finished", report))


@pytest.mark.parametrize(
    ("block", "stopped_by"),
    [
        (pipeline(), None),
        (pipeline(warehouse=connector()), LakeRefused("no rights")),
        (pipeline(warehouse=connector()), LakeUnavailable("busy")),
    ],
)
def test_nothing_is_loaded_without_a_warehouse_or_from_a_lake_that_cannot_be_had(
    block: AmplitudePipeline, stopped_by: PipelineError | None
) -> None:
    watching, made = Watcher(), report(Transfer(stopped_by=stopped_by))
    load(made, block, watching)
    assert watching.told == []
    assert (made.load, made.reconciliation, made.stopped_by) == (None, None, None)


@pytest.mark.parametrize(
    ("made", "error"),
    [
        (report(Transfer(failures={HOUR: "is damaged"})), RunFailed),
        (report(Transfer(stopped_by=ExportRefused("wrong keys"))), ExportRefused),
    ],
)
def test_what_a_run_has_to_say_is_said_before_it_fails(
    made: IngestReport, error: type[PipelineError]
) -> None:
    watching = Watcher()
    with disable_run_logger(), pytest.raises(error):
        conclude(made, watching)
    assert watching.told == [("finished", made)]


def test_a_green_run_logs_what_it_leaves_to_others_and_ends_without_an_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(passage, "get_run_logger", lambda: logging.getLogger("a run"))
    watching, made = Watcher(), report(Transfer(unpublished=[HOUR]))
    conclude(made, watching)
    assert watching.told == [("finished", made)]
    assert caplog.messages == made.warnings() != []


@pytest.mark.slow
def test_what_the_lake_holds_is_loaded_although_amplitude_refuses(stage: Rehearsal) -> None:
    """And the run that came this far counts its hours."""
    block, watching = stage.pipeline, Watcher()
    refused = block.model_copy(
        update={"amplitude": block.amplitude.model_copy(update={"secret_key": SecretStr("wrong")})}
    )
    first, last = (ExportHour.parse(hours_ago(ago)) for ago in (3, 0))
    lands, stays_away = ExportWindow(first, last - 2), ExportWindow(last - 1, last)

    @flow
    def passes() -> list[IngestReport]:
        bring([lands], block, watching, claimed=False, every_window=True)
        transfer = bring([stays_away], refused, Progress(), claimed=True, every_window=True)
        made = IngestReport(wanted=ExportWindow(first, last), plan=plan(), transfer=transfer, explicit=True)
        load(made, refused, watching)
        return [made]

    (made,) = passes()
    assert watching.told == [("planned", 2), ("done", None), ("done", None), ("step", "loading")]
    assert isinstance(made.transfer.stopped_by, ExportRefused)
    assert made.load is not None
    assert list(made.load.receipt.loaded) == list(lands)
    assert made.reconciliation is not None
    assert stage.rows() == stage.truth(str(lands.first), str(lands.last))

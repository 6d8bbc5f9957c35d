"""What a run leaves to be looked at, on a real Prefect server."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

from core.report import ExtractReport
from core.transfer import Transfer
from flows.artifacts import Shown
from flows.progress import Progress, Report
from tests.core.lake.examples import HOUR
from tests.core.test_report import WANTED, report
from tests.flows.test_pages import committed

pytestmark = pytest.mark.slow


class Heard(Progress):
    """Who else watches."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def planned(self, hours: int) -> None:
        self.told.append(f"planned {hours}")

    def hour_done(self) -> None:
        self.told.append("one")

    def hours_done(self, hours: int) -> None:
        self.told.append(f"{hours} done")

    def step(self, name: str) -> None:
        self.told.append(name)

    def finished(self, report: Report) -> None:
        self.told.append(f"finished {type(report).__name__}")


def left_by(hours: int, done: Report, name: str) -> tuple[dict[str, Any], list[str]]:
    """The artifacts of a run by key, and what the other watcher was told."""
    heard = Heard()

    @flow
    def shown() -> str:
        import prefect.runtime.flow_run

        progress = Shown(heard, "ingest", name, lambda key: f"s3://lake/{key}")
        progress.planned(hours)
        progress.step("loading")
        progress.hour_done()
        progress.hours_done(hours)
        progress.finished(done)
        return str(prefect.runtime.flow_run.id)

    run_id = uuid.UUID(shown())
    only = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]))
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=only)
    return {str(one.key): one for one in found}, heard.told


def test_a_run_leaves_its_progress_a_page_and_a_row_for_each_hour() -> None:
    name = uuid.uuid4().hex
    artifacts, told = left_by(6, report(committed()), name)
    assert set(artifacts) == {f"ingest-{name}", f"ingest-{name}-progress", f"ingest-{name}-hours"}
    progress = artifacts[f"ingest-{name}-progress"]
    assert (progress.type, progress.data) == ("progress", 100.0)
    assert progress.description == "6 of 6 hours are through"
    assert artifacts[f"ingest-{name}"].data.startswith(f"# {WANTED}")
    (row,) = json.loads(artifacts[f"ingest-{name}-hours"].data)
    assert row["hour"] == str(HOUR)
    assert told == ["planned 6", "loading", "one", "6 done", "finished IngestReport"]


def test_a_run_with_nothing_to_do_leaves_a_page() -> None:
    name = uuid.uuid4().hex
    artifacts, _ = left_by(0, ExtractReport(WANTED, Transfer()), name)
    assert set(artifacts) == {f"ingest-{name}"}

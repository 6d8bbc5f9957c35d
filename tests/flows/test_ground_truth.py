"""A day of 24 hours × 4 parts, 250 MB of JSON: the table equals what was written down before the run."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from core.hours import ExportHour, hours_between
from emulators.amplitude import EventSource
from flows.ingest import ingest
from tests.rehearsal import hours_ago, rehearsal

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400), pytest.mark.usefixtures("prefect_server")]


def test_a_day_of_250_mb_arrives_as_it_was_generated(tmp_path: Path) -> None:
    first, last = hours_ago(23), hours_ago(0)
    day = list(hours_between(ExportHour.parse(first), ExportHour.parse(last)))
    source = EventSource(events_per_hour=5_800, constant=True, parts_per_hour=4)
    written = tmp_path / "truth.csv"
    source.write_truth(written, day)

    with rehearsal("ground-truth", source=source) as stage:
        ingest("ground-truth", start=first, end=last)
        rows = stage.rows()
        names = stage.lake.manifest_names(day[0], day[-1])
        manifests = [stage.lake.read_manifest(name) for name in names]

    with written.open(newline="") as file:
        truth = sorted((row["uuid"], row["export_hour"], row["sha256"]) for row in csv.DictReader(file))
    assert rows == truth
    assert len(rows) == 24 * 5_800
    assert [len(manifest.parts) for manifest in manifests] == [4] * 24
    assert 230_000_000 < sum(manifest.json_bytes for manifest in manifests) < 290_000_000

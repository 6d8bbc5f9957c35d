"""A run's report as Prefect shows it."""

from __future__ import annotations

from pathlib import Path

from core.errors import ExportRefused, RunFailed
from core.gap_survey import GapSurvey
from core.gaps import Why
from core.report import ExtractReport
from core.timing import Span, Timed
from core.transfer import Transfer
from flows.pages import page_of, rows_of
from tests.core.lake.examples import HOUR, at, manifest, part
from tests.core.test_report import WANTED, compared, loaded, report
from tests.core.test_transfer import timed
from tests.flows.test_summary import filled, gaps, transfer


def committed() -> Transfer:
    parts = part(HOUR, 0, events=10), part(HOUR, 1, events=20)
    return Transfer(committed=[timed(manifest(*parts, hour=HOUR, exported_at=at("2025-12-24T00:15")))])


def test_a_green_run_says_what_it_did(tmp_path: Path) -> None:
    page = page_of(report(transfer(tmp_path), load=loaded(HOUR), reconciliation=compared()), "shop")
    assert page.startswith("# 2025-12-23T14…T19 (6 hours)\n\nThe run is **complete**.\n")
    assert "Lake and warehouse reconcile" in page
    assert "| gunzip | 10 events |" in page
    assert "What to do" not in page


def test_a_red_run_names_its_hours_the_reasons_and_the_command_that_helps() -> None:
    moved = Transfer(failures={HOUR: "member [7] is `broken`\nand more", HOUR - 2: "too large"})
    page = page_of(report(moved), "shop")
    assert "The run is **not complete**." in page
    assert f"- **{HOUR}** member \\[7\\] is \\`broken\\` and more\n" in page
    told = "prefect deployment run amplitude-gap-fill/backfill --param pipeline=shop"
    assert f"{told} --param start={HOUR - 2} --param end={HOUR}" in page


def test_a_reason_that_many_hours_have_is_said_once() -> None:
    page = page_of(report(Transfer(failures={HOUR - n: "too large" for n in range(300)})), "shop")
    assert "## 300 hours to look at" in page
    assert f"- **{HOUR - 299}…{HOUR}** too large\n" in page
    assert page.count("too large") == 1


def test_what_ended_a_run_is_said_once_and_not_for_each_hour() -> None:
    stopped = ExportRefused("Amplitude does not know this API key")
    page = page_of(report(Transfer(stopped_by=stopped, failures={HOUR: str(stopped)})), "shop")
    assert page.count("does not know") == 1
    assert "to look at" not in page


def test_no_more_than_two_hundred_reasons_are_listed() -> None:
    page = page_of(report(Transfer(failures={HOUR - n: f"x{n}" for n in range(300)})), "shop")
    assert "… and 100 more" in page


def test_a_gap_fill_says_what_it_exported_for_and_how_many_parts_it_took() -> None:
    moved = committed()
    moved.parts_of_plan = Timed("12 parts, 2 of them here", Span(0.0, 60.0))
    page = page_of(filled(gaps({HOUR: Why.UNSETTLED}), moved), "shop")
    assert f"- to export: 1 hour to be settled: {HOUR}" in page
    assert "| fan out | 12 parts, 2 of them here: 30 events, 1 manifest | 0.1 | 60.0 |" in page


def test_a_dry_run_says_what_would_be_done() -> None:
    page = page_of(GapSurvey(gaps({HOUR: Why.MISSING}), None), "shop")
    assert f"- **Export** 1 hour missing: {HOUR}" in page
    assert "Nothing was asked for" in page


def test_an_extract_has_no_gap_to_fill_and_no_rows() -> None:
    made = ExtractReport(WANTED, Transfer(failures={HOUR: "is not sound gzip"}))
    assert "gap-fill" not in page_of(made, "shop")
    assert rows_of(made, str) == []
    assert rows_of(GapSurvey(gaps(), None), str) == []


def test_each_hour_that_was_brought_has_a_row_that_leads_to_it() -> None:
    (row,) = rows_of(report(committed(), load=loaded(HOUR)), lambda key: f"s3://lake/{key}")
    assert row == {
        "hour": "2025-12-23T19",
        "events": 30,
        "parts": 2,
        "JSON MB": 0.1,
        "objects MB": 0.1,
        "exported": "2025-12-24T00:15Z",
        "rows loaded": 10,
        "manifest": "s3://lake/manifests/date=2025-12-23/hour=19/",
        "objects": "s3://lake/events/date=2025-12-23/hour=19/",
    }


def test_an_empty_hour_has_no_objects_and_one_that_was_not_loaded_no_rows() -> None:
    empty = Transfer(committed=[timed(manifest(hour=HOUR))])
    (row,) = rows_of(report(empty), str)
    assert (row["events"], row["objects"], row["rows loaded"]) == (0, "none", "–")


def test_a_run_that_failed_after_the_lake_says_what_stopped_it() -> None:
    page = page_of(report(committed(), stopped_by=RunFailed("no such table")), "shop")
    assert "**Stopped by:** no such table" in page

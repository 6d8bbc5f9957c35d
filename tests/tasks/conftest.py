"""One passage from plan to reconciliation, in a real flow, for all tests of tasks to look at."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prefect import flow

from core.fan_out.runs import Ending
from core.fan_out.shares import Share
from core.gap_wishes import GapWishes
from core.gaps import GapPlan, Why
from core.hours import ExportHour, ExportWindow
from core.timing import Span
from emulators.amplitude import EventSource
from tasks.download_export import download_export
from tasks.gather_shares import gather_shares
from tasks.gunzip_hour import gunzip_hour
from tasks.load_hours import load_hours
from tasks.mark_hours import mark_hours
from tasks.plan_gaps import plan_gaps
from tasks.plan_part import plan_part
from tasks.plan_shares import plan_shares
from tasks.plan_windows import plan_windows
from tasks.reconcile import reconcile
from tasks.review_lake import review_lake
from tasks.upload_hour import upload_hour
from tests.rehearsal import Rehearsal, rehearsal

FIRST, LAST = ExportHour.parse("2025-12-23T18"), ExportHour.parse("2025-12-23T19")
WANTED = ExportWindow(FIRST, LAST)
NOW = datetime(2025, 12, 24, 12, tzinfo=UTC)
RESTED = datetime(2025, 12, 25, 12, tzinfo=UTC)

#: As if a gap-fill had sent one run for both hours, missing at NOW; at RESTED they are to be settled.
PLANNED = GapPlan(NOW, WANTED, dict.fromkeys(WANTED, Why.MISSING), (WANTED,))
SHARE = Share((FIRST, LAST), (Why.UNSETTLED, Why.UNSETTLED))
SPAN = Span(0.0, 1.0)

#: Hours that nobody asks for, and what is said of them.
GIVEN_UP, RETRIED = FIRST - 1, FIRST - 2
MARKS = GapWishes(give_up=(GIVEN_UP,), reason="too large for the API", retry=(RETRIED,))


@dataclass
class Passage:
    """What the tasks handed back, and what they wrote to their logs."""

    stage: Rehearsal
    scratch: Path
    receipts: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, list[str]] = field(default_factory=dict)


@contextmanager
def listening(*names: str) -> Iterator[list[logging.LogRecord]]:
    """The records of some loggers, as their handlers get them."""
    heard: list[logging.LogRecord] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record)

    listener = Listener()
    for name in names:
        logging.getLogger(name).addHandler(listener)
    try:
        yield heard
    finally:
        for name in names:
            logging.getLogger(name).removeHandler(listener)


@pytest.fixture(scope="session")
def passage(prefect_server: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Passage]:
    source = EventSource(events_per_hour=30, constant=True)
    with rehearsal("passage", source=source) as stage:
        made = Passage(stage, tmp_path_factory.mktemp("passage"))
        with listening("prefect.task_runs") as heard:
            pass_through(made)
        for record in heard:
            if Path(record.pathname).parent.name == "tasks":
                made.lines.setdefault(Path(record.pathname).stem, []).append(record.getMessage())
        yield made


def pass_through(made: Passage) -> None:
    block, receipts, scratch = made.stage.pipeline, made.receipts, made.scratch

    @flow
    def every_task() -> None:
        receipts["plan_windows"] = plan_windows(block, NOW, FIRST, LAST)
        (window,) = receipts["plan_windows"].plan.windows
        exported = receipts["download_export"] = download_export(
            window, block.amplitude, block.archive_limits, scratch, lambda: NOW
        )
        for hour in exported.receipt.hours:
            unpacked = receipts["gunzip_hour"] = gunzip_hour(hour, block, scratch / str(hour.hour))
            receipts["upload_hour"] = upload_hour(unpacked, block)
        receipts["load_hours"] = load_hours(WANTED, block, "passage")
        receipts["reconcile"] = reconcile(list(WANTED), block, "passage")
        mark_hours(block, NOW, MARKS)
        receipts["plan_gaps"] = plan_gaps(block, RESTED, GapWishes(FIRST, LAST))
        plan = receipts["plan_gaps"].plan
        receipts["plan_shares"] = plan_shares(block, plan)
        receipts["plan_part"] = plan_part(block, SHARE, RESTED)
        receipts["gather_shares"] = gather_shares(block, PLANNED, {SHARE: Ending(complete=True)}, SPAN)
        receipts["review_lake"] = review_lake(ExportWindow(RETRIED, LAST), block)

    every_task()

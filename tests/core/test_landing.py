"""Loading, counting, and loading once more what differs; the warehouse is two plain functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from core.errors import LakeUnavailable, PipelineError, WarehouseUnavailable
from core.hours import ExportHour
from core.landing import land
from core.report import IngestReport
from core.timing import Timed
from core.transfer import Transfer
from core.warehouse.loader import LoadReceipt, Reconciliation
from tests.core.lake.examples import HOUR, manifest
from tests.core.test_report import WANTED, compared, loaded, report
from tests.core.test_transfer import timed

BUSY = WarehouseUnavailable("another loader holds the lock")
LOADED, NOTHING, AGREE, DIFFER = loaded(HOUR), loaded(), compared(), compared({HOUR: "9 rows"})
Loading = Timed[LoadReceipt] | PipelineError
Counting = Timed[Reconciliation] | PipelineError


@dataclass
class Table:
    """Answers in turn, and remembers what it was asked; one question too many is an error.

    Attributes:
        asked: "load" with the suspects, "count" with the hours, in order.
    """

    loads: list[Loading]
    counts: list[Counting] = field(default_factory=list)
    asked: list[tuple[str, list[ExportHour]]] = field(default_factory=list)

    def load(self, suspects: Sequence[ExportHour]) -> tuple[Timed[LoadReceipt] | None, PipelineError | None]:
        self.asked.append(("load", list(suspects)))
        answer = self.loads.pop(0)
        return (None, answer) if isinstance(answer, PipelineError) else (answer, None)

    def count(self, hours: Sequence[ExportHour]) -> tuple[Timed[Reconciliation] | None, PipelineError | None]:
        self.asked.append(("count", list(hours)))
        answer = self.counts.pop(0)
        return (None, answer) if isinstance(answer, PipelineError) else (answer, None)

    def land(self, transfer: Transfer | None = None) -> IngestReport:
        """Land a run's hours; every answer must have been asked for."""
        made = report(transfer)
        land(made, load=self.load, count=self.count)
        assert (self.loads, self.counts) == ([], [])
        return made


COUNT = ("count", list(WANTED))


def test_what_was_loaded_is_counted_once_if_the_rows_agree() -> None:
    table = Table([LOADED], [AGREE])
    made = table.land()
    assert table.asked == [("load", []), COUNT]
    assert (made.load, made.reconciliation, made.stopped_by) == (LOADED, AGREE, None)


def test_a_run_that_touched_nothing_counts_nothing() -> None:
    made = Table([NOTHING]).land()
    assert (made.load, made.reconciliation, made.stopped_by) == (NOTHING, None, None)


def test_hours_that_were_committed_are_counted_although_another_loader_was_quicker() -> None:
    made = Table([NOTHING], [AGREE]).land(Transfer(committed=[timed(manifest())]))
    assert made.reconciliation is AGREE


def test_hours_whose_rows_differ_are_loaded_again_and_counted_again() -> None:
    again = loaded(HOUR, HOUR - 1)
    table = Table([LOADED, again], [compared({HOUR - 1: "no rows", HOUR: "9 rows"}), AGREE])
    made = table.land()
    assert table.asked == [("load", []), COUNT, ("load", [HOUR - 1, HOUR]), COUNT]
    assert (made.load, made.reconciliation) == (again, AGREE)
    assert made.problems() == {}


def test_rows_that_still_differ_are_not_loaded_a_third_time() -> None:
    table = Table([LOADED, LOADED], [DIFFER, DIFFER])
    made = table.land()
    assert len(table.asked) == 4
    assert made.problems() == {HOUR: "9 rows"}


def test_an_hour_whose_load_has_failed_is_no_reason_to_load_again() -> None:
    refused = loaded(HOUR - 1, failures={HOUR: "has a bad line"})
    made = Table([refused], [DIFFER]).land()
    assert made.problems() == {HOUR: "has a bad line"}


@pytest.mark.parametrize("error", [BUSY, LakeUnavailable("S3 answered 503")])
def test_a_load_that_fails_ends_it(error: PipelineError) -> None:
    made = Table([error]).land(Transfer(committed=[timed(manifest())]))
    assert (made.load, made.reconciliation, made.stopped_by) == (None, None, error)


def test_a_count_that_fails_ends_it() -> None:
    made = Table([LOADED], [BUSY]).land()
    assert (made.load, made.reconciliation, made.stopped_by) == (LOADED, None, BUSY)


@pytest.mark.parametrize(
    ("table", "asked"), [(Table([LOADED, BUSY], [DIFFER]), 3), (Table([LOADED, LOADED], [DIFFER, BUSY]), 4)]
)
def test_a_second_time_that_fails_ends_it_likewise(table: Table, asked: int) -> None:
    made = table.land()
    assert len(table.asked) == asked
    assert made.stopped_by is BUSY
    with pytest.raises(PipelineError, match="holds the lock"):
        made.raise_if_failed()


def test_an_end_that_was_overcome_is_not_remembered() -> None:
    made = report(stopped_by=BUSY)
    table = Table([LOADED], [AGREE])
    land(made, load=table.load, count=table.count)
    assert made.stopped_by is None

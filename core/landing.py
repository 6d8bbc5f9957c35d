"""Load what a run has brought, count it, and load again what differs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from core.errors import PipelineError
from core.hours import ExportHour
from core.report import LakeReport
from core.timing import Timed
from core.warehouse.loader import LoadReceipt, Reconciliation

#: The hours whose rows may differ from the lake although the ledger agrees; a receipt, or what failed.
Load = Callable[[Sequence[ExportHour]], tuple[Timed[LoadReceipt] | None, PipelineError | None]]
Count = Callable[[Sequence[ExportHour]], tuple[Timed[Reconciliation] | None, PipelineError | None]]


def land(report: LakeReport, *, load: Load, count: Count) -> None:
    """Load what the ledger lacks, count the rows that the report wants counted, and reload once what differs.

    Guarantees: the report holds the last load and the last count, or what ended them. A truncated table
    and a lost ledger are found by the count, and repaired by the second load.
    """
    for _ in range(2):
        report.load, report.stopped_by = load(report.suspects)
        if report.load is None or not report.hours_to_count:
            return
        report.reconciliation, report.stopped_by = count(report.hours_to_count)
        if not report.suspects:
            return

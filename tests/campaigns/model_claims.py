"""What a run claims when it is green, and what must be true when everything has come to rest."""

from __future__ import annotations

from collections.abc import Sequence

from core.errors import WarehouseRefused
from core.gap_report import GapReport
from core.hours import ExportHour
from core.lake.layout import Status
from core.report import IngestReport
from tests.campaigns.model_laws import Laws
from tests.campaigns.model_runs import Run


def check_green(run: Run, laws: Laws) -> None:
    """A run that claims green was right at some moment while it ran.

    An hour that it names as pending was replaced in the lake since the run began, and is loaded by whoever
    replaced it, or by the next run. Not asked of hours that it names as left out, that were ever given up,
    or whose rows or ledger somebody deleted by hand where the run does not promise to look.
    """
    report = run.report
    if report is None:
        return
    left = {*report.unpublished, *report.transfer.unclaimed}
    if isinstance(report, IngestReport):
        left |= {*report.plan.left}
    pending = report.reconciliation.receipt.pending if report.reconciliation else ()
    for hour in report.wanted:
        name, book = str(hour), laws.book(run.site, hour)
        if hour in pending and book.counted[-1][0] > run.began:
            continue
        if hour in left or any(said.status is Status.GIVEN_UP for said in book.names):
            continue
        if isinstance(report, GapReport) and book.shrunk_since and book.shrunk_since <= run.began:
            laws.broken(f"{run.name} is green, but {name} has shrunk")
        marred = laws.marred_once.get(name, -1)
        may_be_missed = marred >= run.began if run.verified else name in laws.marred or marred >= run.began
        if not may_be_missed and not laws.was_good(name, run.began):
            laws.broken(f"{run.name} is green, but {name} has not been in lake and table since it began")


def check_final(report: GapReport, laws: Laws, hours: Sequence[ExportHour]) -> None:
    """After a clean gap-fill over everything: each hour is in lake and table, as the source has it.

    An hour that has shrunk stays as it was and is named. A schema that serves the other lake is refused.
    """
    ours, theirs = laws.sites
    refused = laws.owner is theirs
    named = set()
    for hour in hours:
        book, name = laws.book(ours, hour), str(hour)
        if book.given_up:
            continue
        if book.shrunk_since is not None:
            named.add(hour)
        elif book.content is None:
            laws.broken(f"{hour} is not in the lake")
        elif laws.events(ours, hour) != ours.source.events(hour):
            laws.broken(f"{hour} is in the lake as it was once, not as it is")
        if not refused and not laws.is_good(name):
            laws.broken(f"{hour} is not in the table as it counts in the lake")
    if refused:
        if not isinstance(report.stopped_by, WarehouseRefused):
            laws.broken("a schema that serves another lake was not refused")
    elif report.stopped_by is not None or report.problems().keys() != named:
        shrunk = sorted(map(str, named))
        laws.broken(f"the last gap-fill: {report.stopped_by}, {report.problems()}; shrunk are {shrunk}")

"""A run's report, for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from core.report import ExtractReport, IngestReport, Step
from core.wording import counted, listed

_MB = 1_000_000
_NOT_COMPLETE = Text("The run is not complete; the reasons follow.", style="bold red")


def ingest_summary(report: IngestReport) -> RenderableType:
    """What an ingest did, step by step, and whether the figures agree from source to table."""
    plan = report.plan
    lines: list[RenderableType] = [
        Text.assemble(("Wanted  ", "bold"), f"{plan.wanted} ({counted(len(plan.wanted), 'hour')})"),
        Text.assemble(("Missing ", "bold"), _missing(report)),
    ]
    if plan.missing or report.loaded_events:
        lines.append(_table(report.steps()))
    lines += [Text(warning, style="yellow") for warning in report.warnings()]
    lines.append(_verdict(report))
    return Group(*lines)


def extract_summary(report: ExtractReport) -> RenderableType:
    """What an extract did, step by step."""
    lines: list[RenderableType] = [
        Text.assemble(("Wanted  ", "bold"), f"{report.wanted} ({counted(len(report.wanted), 'hour')})"),
        _table(report.steps()),
    ]
    lines += [Text(warning, style="yellow") for warning in report.warnings()]
    events = sum(timed.receipt.events for timed in report.transfer.extracted)
    if report.transfer.failures or report.transfer.stopped_by:
        lines.append(_NOT_COMPLETE)
    else:
        lines.append(Text(f"Every file is verified: {events:,} events.", style="bold green"))
    return Group(*lines)


def _missing(report: IngestReport) -> str:
    if not report.plan.missing:
        return "nothing: every hour is in the lake"
    plan = report.plan
    hours, windows = counted(len(plan.missing), "hour"), counted(len(plan.windows), "window")
    return f"{hours} in {windows}: {listed(plan.missing)}"


def _table(steps: Sequence[Step]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("Step")
    table.add_column("What")
    for heading in ("MB", "Seconds", "MB/s"):
        table.add_column(heading, justify="right")
    for step in steps:
        if not step.seconds:
            continue
        size = f"{step.size_bytes / _MB:,.1f}" if step.size_bytes else ""
        speed = f"{step.size_bytes / _MB / step.seconds:,.1f}" if step.seconds and step.size_bytes else ""
        table.add_row(step.name, step.what, size, f"{step.seconds:.1f}", speed)
    return table


def _verdict(report: IngestReport) -> Text:
    if report.stopped_by or report.transfer.stopped_by or report.problems():
        return _NOT_COMPLETE
    return Text(_good_news(report), style="bold green")


def _good_news(report: IngestReport) -> str:
    if report.reconciliation is not None:
        told = report.reconciliation.receipt
        return (
            f"Lake and warehouse reconcile: {counted(told.hours, 'hour')}, {told.lake_events:,} events in "
            f"the manifests, {told.table_rows:,} rows in the table. By this run: {report.source_events:,} "
            f"gunzipped, {report.lake_events:,} committed, {report.loaded_events:,} loaded."
        )
    # An hour that Amplitude had no files for is named in a warning above, and the lake lacks it.
    hours = counted(len(report.plan.wanted), "hour")
    if report.load is not None:
        fetched = "Nothing was committed" if report.plan.missing else "Nothing to fetch"
        return f"{fetched}, nothing to load: lake and ledger agree on these {hours}."
    if report.transfer.committed:
        whole = not (report.transfer.unpublished or report.plan.left)
        lake = f"The lake holds these {hours}" if whole else "The lake holds all hours but those named above"
        return f"{lake}: {report.lake_events:,} events committed. There is no warehouse to load."
    nothing = (
        "Nothing was committed" if report.plan.missing else f"Nothing to fetch: the lake holds these {hours}"
    )
    return f"{nothing}. There is no warehouse to load."

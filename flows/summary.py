"""A run's report, for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from core.gap_report import GapReport
from core.gap_survey import GapSurvey, Review
from core.hours import ExportWindow
from core.report import ExtractReport, IngestReport, LakeReport
from core.transfer import Step
from core.wording import counted, listed
from flows.progress import Report

_MB = 1_000_000
_NOT_COMPLETE = Text("The run is not complete; the reasons follow.", style="bold red")


def summary_of(report: Report) -> RenderableType:
    """What a run did, step by step, and whether the figures agree from source to table."""
    match report:
        case IngestReport():
            return ingest_summary(report)
        case GapReport():
            return gap_summary(report)
        case GapSurvey():
            return dry_run_summary(report)
        case ExtractReport():
            return extract_summary(report)


def ingest_summary(report: IngestReport) -> RenderableType:
    """What an ingest did, step by step, and whether the figures agree from source to table."""
    plan = report.plan
    missing = "nothing: no hour is missing"
    if plan.missing:
        hours, windows = counted(len(plan.missing), "hour"), counted(len(plan.windows), "window")
        missing = f"{hours} in {windows}: {listed(plan.missing)}"
    lines = [_wanted(plan.wanted), Text.assemble(("Missing ", "bold"), missing)]
    return Group(*lines, *_outcome(report, exported=len(plan.missing)))


def gap_summary(report: GapReport) -> RenderableType:
    """What a gap-fill did, step by step, and whether the figures agree from source to table."""
    export = [Text.assemble(("Export  ", "bold"), reason) for reason in report.plan.reasons()]
    return Group(_wanted(report.wanted), *export, *_outcome(report, exported=len(report.plan.why)))


def dry_run_summary(survey: GapSurvey) -> RenderableType:
    """What a gap-fill would do, and what it would cost."""
    lines = [Text.assemble((f"{label:8}", "bold"), text) for label, text in survey.told()]
    return Group(*lines, Text("A dry run: nothing was asked for, written or loaded.", style="bold"))


def extract_summary(report: ExtractReport) -> RenderableType:
    """What an extract did, step by step."""
    lines: list[RenderableType] = [_wanted(report.wanted), _table(report.steps())]
    lines += [Text(warning, style="yellow") for warning in report.warnings()]
    events = sum(timed.receipt.events for timed in report.transfer.extracted)
    verified = Text(f"Every file is verified: {events:,} events.", style="bold green")
    lines.append(verified if report.is_green else _NOT_COMPLETE)
    return Group(*lines)


def _wanted(wanted: ExportWindow) -> Text:
    return Text.assemble(("Wanted  ", "bold"), f"{wanted} ({counted(len(wanted), 'hour')})")


def _outcome(report: LakeReport, *, exported: int) -> list[RenderableType]:
    lines: list[RenderableType] = []
    if exported or report.loaded_events:
        lines.append(_table(report.steps()))
    lines += [Text(warning, style="yellow") for warning in report.warnings()]
    lines.append(Text(good_news(report, exported), style="bold green") if report.is_green else _NOT_COMPLETE)
    return lines


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


def good_news(report: LakeReport, exported: int) -> str:
    """What a green run has to say."""
    transfer = report.transfer
    told = report.reconciliation.receipt if report.reconciliation else None
    if told is not None and told.hours:
        refused = (
            f", {counted(told.rejected_lines, 'line')} in events_rejected" if told.rejected_lines else ""
        )
        # The parts of a long gap-fill have counted that each for itself.
        gunzipped = "" if transfer.parts_of_plan else f"{transfer.source_events:,} gunzipped, "
        return (
            f"Lake and warehouse reconcile: {counted(told.hours, 'hour')}, {told.lake_events:,} events in "
            f"the manifests, {told.table_rows:,} rows in the table{refused}. By this run: "
            f"{gunzipped}{transfer.lake_events:,} committed, {report.loaded_events:,} loaded."
        )
    # An hour that Amplitude had no files for is named in a warning above, and the lake lacks it.
    hours = f"these {len(report.wanted):,} hours" if len(report.wanted) > 1 else "this hour"
    if report.load is not None:
        fetched = "Nothing was committed" if exported else "Nothing to fetch"
        return f"{fetched}, nothing to load: lake and ledger agree on {hours}."
    if transfer.committed:
        return f"{_held(report)}: {transfer.lake_events:,} events committed. There is no warehouse to load."
    nothing = "Nothing was committed" if exported else f"Nothing to fetch. {_held(report)}"
    return f"{nothing}. There is no warehouse to load."


def _held(report: LakeReport) -> str:
    """What the lake holds of the range."""
    named = report.unpublished
    match report:
        case IngestReport(plan=plan):
            named = [*named, *plan.left, *plan.given_up]
        case GapReport(review=Review(given_up=given_up)):
            named = [*named, *given_up]
    if named:
        return "The lake holds all hours but those named above"
    hours = len(report.wanted)
    return f"The lake holds these {hours:,} hours" if hours > 1 else "The lake holds this hour"

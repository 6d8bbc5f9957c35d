"""A run's report as Prefect shows it: a page in Markdown, and a row for each hour that it brought."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from core.gap_report import GapReport
from core.gap_survey import GapSurvey
from core.hours import ExportHour
from core.lake.layout import manifest_folder
from core.report import ExtractReport, IngestReport, told_once
from core.transfer import Step
from core.wording import counted
from flows.progress import Report
from flows.summary import good_news

_MB = 1_000_000
_MOST_ROWS = 500
_MOST_REASONS = 200

#: Where a key of the lake can be looked at: an address, or how it is called.
Link = Callable[[str], str]


def page_of(report: Report, pipeline: str) -> str:
    """What a run did, and if it is not green, what to do."""
    if isinstance(report, GapSurvey):
        told = "\n".join(f"- **{label}** {_plain(text)}" for label, text in report.told())
        return f"# Dry run\n\n{told}\n\nNothing was asked for, written or loaded.\n"
    verdict = "The run is **complete**." if report.is_green else "The run is **not complete**."
    lines = [f"# {report.wanted} ({counted(len(report.wanted), 'hour')})", "", verdict]
    if report.is_green and not isinstance(report, ExtractReport):
        lines.append(_plain(good_news(report, _exported(report))))
    lines += ["", *_planned(report), *_steps(report.steps())]
    lines += [f"- ⚠ {_plain(warning)}" for warning in report.warnings()]
    if not report.is_green:
        lines += ["", *_troubles(report, pipeline)]
    return "\n".join(lines) + "\n"


def rows_of(report: Report, link: Link) -> list[dict[str, str | int | float]]:
    """A row for each hour that the run has brought into the lake, the newest 500."""
    if isinstance(report, GapSurvey | ExtractReport):
        return []
    loaded = report.load.receipt.loaded if report.load else {}
    return [
        {
            "hour": str(manifest.hour),
            "events": manifest.events,
            "parts": len(manifest.parts),
            "JSON MB": round(manifest.json_bytes / _MB, 1),
            "objects MB": round(manifest.size_bytes / _MB, 1),
            "exported": f"{manifest.exported_at:%Y-%m-%dT%H:%MZ}",
            "rows loaded": loaded.get(manifest.hour, "–"),
            "manifest": link(manifest_folder(manifest.hour)),
            "objects": link(manifest.parts[0].key.rpartition("/")[0] + "/") if manifest.parts else "none",
        }
        for manifest in sorted(report.transfer.manifests, key=lambda one: one.hour)[-_MOST_ROWS:]
    ]


def _exported(report: IngestReport | GapReport) -> int:
    return len(report.plan.missing) if isinstance(report, IngestReport) else len(report.plan.why)


def _planned(report: IngestReport | GapReport | ExtractReport) -> Iterator[str]:
    match report:
        case GapReport():
            yield from (f"- to export: {_plain(reason)}" for reason in report.plan.reasons())
            yield ""
        case IngestReport():
            yield f"- to export: {counted(len(report.plan.missing), 'missing hour')}"
            yield ""


def _steps(steps: Sequence[Step]) -> Iterator[str]:
    shown = [step for step in steps if step.seconds]
    if not shown:
        return
    yield "| Step | What | MB | Seconds |"
    yield "|---|---|--:|--:|"
    for step in shown:
        yield f"| {step.name} | {_plain(step.what)} | {step.size_bytes / _MB:,.1f} | {step.seconds:.1f} |"
    yield ""


def _troubles(report: IngestReport | GapReport | ExtractReport, pipeline: str) -> Iterator[str]:
    """What went wrong, and what helps."""
    stopped_by = report.transfer.stopped_by
    problems = dict(report.transfer.failures)
    if not isinstance(report, ExtractReport):
        stopped_by = stopped_by or report.stopped_by
        problems = report.problems()
    if stopped_by:
        yield f"**Stopped by:** {_plain(str(stopped_by))}"
        yield ""
    own = {hour: reason for hour, reason in problems.items() if reason != str(stopped_by)}
    if own:
        yield f"## {counted(len(own), 'hour')} to look at"
        yield ""
        yield from _reasons(own)
        yield ""
    yield "## What to do"
    yield ""
    yield "What was committed stays. The next run goes on from there."
    if problems and not isinstance(report, ExtractReport):
        first, last = min(problems), max(problems)
        yield "If a reason above asks for nothing else, fill the gap now:"
        yield ""
        yield "```sh"
        yield (
            f"prefect deployment run amplitude-gap-fill/backfill --param pipeline={pipeline} "
            f"--param start={first} --param end={last}"
        )
        yield "```"


def _reasons(problems: Mapping[ExportHour, str]) -> Iterator[str]:
    listed = list(told_once(problems))
    yield from (f"- **{hours}** {_plain(reason)}" for hours, reason in listed[:_MOST_REASONS])
    if len(listed) > _MOST_REASONS:
        yield f"- … and {len(listed) - _MOST_REASONS:,} more; the run's state message names all of them."


def _plain(text: str) -> str:
    """A text that Markdown does not read as markup, on one line."""
    kept = " ".join(text.split())
    for mark in "\\`*_[]|<":
        kept = kept.replace(mark, f"\\{mark}")
    return kept

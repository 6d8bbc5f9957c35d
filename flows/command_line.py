"""``python -m flows.…``: arguments in, a summary out, and an exit code.

0: the run is green. 1: it is not, or something failed. 2: it was asked for what cannot be.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable

from prefect.logging.handlers import PrefectConsoleHandler
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from core.errors import InvalidInput, PipelineError
from core.hours import ExportHour
from core.report import ExtractReport, IngestReport
from flows.progress import Progress, watcher
from flows.summary import extract_summary, ingest_summary

_GREEN, _FAILED, _INVALID, _INTERRUPTED = 0, 1, 2, 130

#: Prefect raises a plain RuntimeError, and this is all that tells it from others.
_NO_SERVER = (
    "Failed to reach API at ",
    "Timed out while attempting to connect to ephemeral Prefect API server",
)


def run_ingest(flow: Callable[..., object], arguments: list[str] | None = None) -> int:
    """Parse, run, summarise; the exit code."""
    parser = _parser("flows.ingest", "Bring what is missing from Amplitude into the lake and into Snowflake.")
    parser.add_argument(
        "--pipeline", default="amplitude", help="name of the Amplitude Pipeline block (default: amplitude)"
    )
    options = parser.parse_args(arguments)
    return _run(lambda: flow(pipeline=options.pipeline, start=options.start, end=options.end))


def run_extract(flow: Callable[..., object], arguments: list[str] | None = None) -> int:
    """Parse, run, summarise; the exit code."""
    parser = _parser("flows.extract", "Bring a range of hours into a local folder of gunzipped JSON.")
    parser.add_argument("--to", default="json_data", help="folder for the JSON (default: json_data)")
    parser.add_argument("--credentials", default="amplitude", help="name of the Amplitude Credentials block")
    options = parser.parse_args(arguments)
    return _run(
        lambda: flow(to=options.to, start=options.start, end=options.end, credentials=options.credentials)
    )


def _parser(module: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("--start", type=_hour, metavar="HOUR", help="first hour, UTC, such as 2025-12-23T00")
    parser.add_argument("--end", type=_hour, metavar="HOUR", help="last hour, included")
    return parser


def _hour(text: str) -> str:
    try:
        return str(ExportHour.parse(text))
    except InvalidInput as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _run(call: Callable[[], object]) -> int:
    out, err = Console(), Console(stderr=True)
    progress = _Bar(out, err) if err.is_terminal else _Plain(out)
    token = watcher.set(progress)
    try:
        call()
    except PipelineError as error:
        progress.close()
        _complain(err, str(error))
        return _INVALID if isinstance(error, InvalidInput) else _FAILED
    except RuntimeError as error:
        if not str(error).startswith(_NO_SERVER):
            raise
        progress.close()
        _complain(err, f"{error}. Check PREFECT_API_URL, and whether the Prefect server is running.")
        return _FAILED
    except KeyboardInterrupt:
        progress.close()
        err.print("Interrupted. What was committed stays; the next run goes on from there.")
        return _INTERRUPTED
    finally:
        progress.close()
        watcher.reset(token)
    return _GREEN


def _complain(err: Console, text: str) -> None:
    """As it is: a name from an archive is no markup and no emoji."""
    err.print(text, style="red", markup=False, emoji=False, highlight=False, soft_wrap=True)


class _Plain(Progress):
    """Prefect's log lines while it works, the summary at the end."""

    def __init__(self, out: Console) -> None:
        self._out = out

    def finished(self, report: IngestReport | ExtractReport) -> None:
        summary: RenderableType = (
            ingest_summary(report) if isinstance(report, IngestReport) else extract_summary(report)
        )
        self._out.print(summary, soft_wrap=True)

    def close(self) -> None:
        """Nothing is open."""


class _Bar(_Plain):
    """A bar instead of log lines; warnings still show."""

    def __init__(self, out: Console, err: Console) -> None:
        super().__init__(out)
        # Prefect's console handler sits on the root logger, for all of its loggers.
        self._quieted = [
            (handler, handler.level)
            for handler in logging.getLogger().handlers
            if isinstance(handler, PrefectConsoleHandler)
        ]
        for handler, _ in self._quieted:
            handler.setLevel(logging.WARNING)
        self._bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=err,
            transient=True,
        )
        self._bar: TaskID = self._bars.add_task("starting Prefect", total=None)
        self._bars.start()

    def planned(self, hours: int) -> None:
        self._bars.update(self._bar, description="hours", total=hours or None)

    def hour_done(self) -> None:
        self._bars.advance(self._bar)

    def step(self, name: str) -> None:
        self._bars.update(self._bar, description=name)

    def finished(self, report: IngestReport | ExtractReport) -> None:
        self.close()
        super().finished(report)

    def close(self) -> None:
        """Take the bar away, and let Prefect log as before."""
        self._bars.stop()
        for handler, level in self._quieted:
            handler.setLevel(level)

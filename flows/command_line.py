"""``python -m flows.…``: arguments in, a summary out, and an exit code.

0: the run is green. 1: it is not, or something failed. 2: it was asked for what cannot be. 130: interrupted.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

from rich.console import Console

from blocks.server import trouble_with_prefect
from core.errors import InvalidInput, PipelineError
from core.hours import ExportHour
from flows.progress import watcher
from flows.terminal import Bar, Lines

#: Standard output and standard error.
Consoles = tuple[Console, Console]

_GREEN, _FAILED, _INVALID, _INTERRUPTED = 0, 1, 2, 130


def run_ingest(
    flow: Callable[..., object], arguments: list[str] | None = None, consoles: Consoles | None = None
) -> int:
    """Parse, run, summarise; the exit code."""
    parser = _parser("flows.ingest", "Bring what is missing from Amplitude into the lake and into Snowflake.")
    parser.add_argument(
        "--pipeline", default="amplitude", help="name of the Amplitude Pipeline block (default: amplitude)"
    )
    options = parser.parse_args(arguments)
    return _run(lambda: flow(pipeline=options.pipeline, start=options.start, end=options.end), consoles)


def run_extract(
    flow: Callable[..., object], arguments: list[str] | None = None, consoles: Consoles | None = None
) -> int:
    """Parse, run, summarise; the exit code."""
    parser = _parser("flows.extract", "Bring a range of hours into a local folder of gunzipped JSON.")
    parser.add_argument("--to", default="json_data", help="folder for the JSON (default: json_data)")
    parser.add_argument("--credentials", default="amplitude", help="name of the Amplitude Credentials block")
    options = parser.parse_args(arguments)
    return _run(
        lambda: flow(to=options.to, start=options.start, end=options.end, credentials=options.credentials),
        consoles,
    )


def run_gap_fill(
    flow: Callable[..., object], arguments: list[str] | None = None, consoles: Consoles | None = None
) -> int:
    """Parse, run, summarise; the exit code."""
    parser = _parser(
        "flows.gap_fill",
        "Export every hour of a range that is missing, unsettled or damaged, and load what the ledger lacks. "
        "Without a range: everything since the first hour that was ever wanted.",
    )
    parser.add_argument(
        "--pipeline", default="amplitude", help="name of the Amplitude Pipeline block (default: amplitude)"
    )
    parser.add_argument(
        "--settle",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="export hours once more that have rested for settle_hours (default: yes)",
    )
    parser.add_argument(
        "--verify",
        action="store_true",
        help="compare objects and rows of the whole range, not of the last days",
    )
    parser.add_argument(
        "--accept-smaller",
        action="store_true",
        help="take hours that hold fewer events than before as they are",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be done and what it would cost"
    )
    hours = parser.add_argument_group(
        "single hours", "each option may be repeated; without a range, the run answers for these hours only"
    )
    named = partial(hours.add_argument, action="append", type=_hour, metavar="HOUR", default=[])
    named("--give-up", help="do not ask for this hour any more; needs --reason")
    hours.add_argument("--reason", default="", metavar="TEXT", help="why, for whoever finds it later")
    named("--retry", help="export this hour again, whether it was given up or not")
    named(
        "--reject-bad-lines",
        help="load an hour without the lines that Snowflake refuses; they are kept in events_rejected",
    )
    options = vars(parser.parse_args(arguments))
    return _run(lambda: flow(**options), consoles)


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


def _run(call: Callable[[], object], consoles: Consoles | None) -> int:
    out, err = consoles or (Console(), Console(stderr=True, markup=False, emoji=False, highlight=False))
    shown = Bar(out, err) if err.is_terminal else Lines(out, err)
    token = watcher.set(shown)
    try:
        call()
    except PipelineError as error:
        shown.complain(str(error))
        return _INVALID if isinstance(error, InvalidInput) else _FAILED
    except Exception as error:
        if (trouble := trouble_with_prefect(error)) is None:
            raise
        shown.complain(trouble)
        return _FAILED
    except KeyboardInterrupt:
        shown.complain("Interrupted. What was committed stays; the next run goes on from there.")
        return _INTERRUPTED
    finally:
        shown.close()
        watcher.reset(token)
    return _GREEN

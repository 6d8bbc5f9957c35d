"""amplitude-extract: Amplitude → a local folder of JSON. No AWS, no Snowflake."""

from __future__ import annotations

import sys
from pathlib import Path

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from blocks.amplitude import AmplitudeCredentials
from core.amplitude.archive import ArchiveLimits
from core.conveyor import Belt, move_into_folder
from core.errors import InvalidInput
from core.hours import ExportHour, windows_of
from core.planning import PlanRules, wanted_window
from core.report import ExtractReport
from core.scratch import scratch_folder
from flows.artifacts import Shown
from flows.crew import FolderTasks
from flows.naming import name_run
from flows.opening import open_block, utc_now
from flows.progress import watcher

_ONE_DAY = PlanRules(initial_days=1)
_RETRY_SECONDS = 30
_ARCHIVES_IN_FLIGHT = 2


@flow(name="amplitude-extract", task_runner=ThreadPoolTaskRunner(max_workers=8))  # type: ignore[arg-type]
def extract(
    to: str = "json_data", start: str | None = None, end: str | None = None, credentials: str = "amplitude"
) -> None:
    """Bring a range of hours into a local folder of gunzipped JSON, one file for each part.

    Files appear whole, by atomic rename. One that is there already with the same size and CRC-32 is
    left alone, a damaged one is replaced. Safe to repeat and to interrupt.

    Args:
        to: The folder, made if it is not there.
        start: First hour, UTC, such as 2025-12-23T00; left out: 24 hours up to the end.
        end: Last hour, included; left out: the newest complete one.
        credentials: Name of the Amplitude Credentials block.
    """
    first, last = (ExportHour.parse(hour) if hour else None for hour in (start, end))
    wanted = wanted_window(utc_now(), first=first, last=last, newest_committed=None, rules=_ONE_DAY)
    if Path(to).exists() and not Path(to).is_dir():
        msg = f"{to} is a file; --to takes a folder."
        raise InvalidInput(msg)
    amplitude = open_block(AmplitudeCredentials, credentials)
    progress = Shown(watcher.get(), "extract", credentials)
    name_run(f"extract {wanted.name}")
    progress.planned(len(wanted))
    with scratch_folder() as scratch:
        crew = FolderTasks(amplitude, ArchiveLimits(), scratch, utc_now, _RETRY_SECONDS, folder=Path(to))
        windows = windows_of(wanted, window_hours=_ONE_DAY.window_hours)
        transfer = move_into_folder(windows, crew, Belt(scratch, progress.hour_done, _ARCHIVES_IN_FLIGHT))
    report = ExtractReport(wanted, transfer)
    progress.finished(report)
    report.raise_if_failed()


if __name__ == "__main__":
    from flows.command_line import run_extract

    sys.exit(run_extract(extract))

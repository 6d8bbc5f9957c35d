"""Download one window's archive."""

from __future__ import annotations

from pathlib import Path

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from blocks.amplitude import AmplitudeCredentials
from core.amplitude.archive import ArchiveLimits
from core.amplitude.client import Clock
from core.amplitude.export import ExportedWindow, export_window
from core.hours import ExportWindow
from core.scratch import disk_errors
from core.timing import Stopwatch, Timed
from core.wording import counted
from tasks.retries import BACKOFF_SECONDS, JITTER_FACTOR, RETRIES, worth_retrying
from tasks.slots import export_slot


@task(
    task_run_name="download {window.name}",
    retries=RETRIES,
    retry_delay_seconds=BACKOFF_SECONDS,
    retry_jitter_factor=JITTER_FACTOR,
    retry_condition_fn=worth_retrying,
    cache_policy=NO_CACHE,
)
def download_export(
    window: ExportWindow,
    amplitude: AmplitudeCredentials,
    limits: ArchiveLimits,
    folder: Path,
    clock: Clock,
) -> Timed[ExportedWindow]:
    """Fetch a window to the local disk and sort its members into hours.

    Waits until the project may have another export under way. Safe to repeat: files are written anew. The
    window is halved where it is too much for one request.

    Raises:
        ExportUnavailable, BrokenAnswer: Amplitude was busy, no slot was free for an hour, or
            its answer was damaged. Transient.
        ExportRefused: Credentials, or an answer that nobody expects. Permanent.
        ScratchUnusable: The disk is full or refuses. Permanent.
    """
    with export_slot(amplitude), disk_errors(f"download {window}"), amplitude.get_client(limits) as client:
        stopwatch = Stopwatch()
        exported = export_window(client, window, folder, clock=clock)
    timed = stopwatch.stop(exported)
    logger = get_run_logger()
    for name in exported.skipped:
        logger.info("%s: passed over %s, which holds no events", window, name)
    requests = counted(exported.requests, "request")
    logger.info("%s: %.1f MB in %s", window, exported.size_bytes / 1_000_000, requests)
    return timed

"""Extract one hour to a local folder."""

from __future__ import annotations

from pathlib import Path

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from core.amplitude.archive import ArchiveLimits
from core.amplitude.export import ExportedHour
from core.timing import Stopwatch, Timed
from core.unpacking import ExtractedHour
from core.unpacking import extract_hour as extract
from core.wording import counted
from tasks.retries import BACKOFF_SECONDS, JITTER_FACTOR, RETRIES, worth_retrying


@task(
    task_run_name="extract {exported.hour}",
    retries=RETRIES,
    retry_delay_seconds=BACKOFF_SECONDS,
    retry_jitter_factor=JITTER_FACTOR,
    retry_condition_fn=worth_retrying,
    cache_policy=NO_CACHE,
)
def extract_hour(exported: ExportedHour, folder: Path, limits: ArchiveLimits) -> Timed[ExtractedHour]:
    """Gunzip an hour's members into a folder of JSON, verified; what is there already and right is kept.

    Safe to repeat.

    Raises:
        DamagedMember: A member is broken inside a sound zip. Permanent: the hour fails, others appear.
        ScratchUnusable: The disk is full or refuses. Permanent.
    """
    stopwatch = Stopwatch()
    extracted = extract(exported, folder, limits=limits)
    timed = stopwatch.stop(extracted)
    written = counted(len(extracted.written), "file")
    get_run_logger().info("%s: %s written, %d kept", extracted.hour, written, len(extracted.kept))
    return timed

"""What somebody says about an hour, written beside its exports: given up, retry, accepted.

Nothing is deleted, and nothing is replaced: a mark is a manifest of its own, and
:func:`core.lake.verdict.verdict_of` decides what it means among the others.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from core.errors import InvalidInput, LakeConflict
from core.hours import ExportHour, ExportWindow
from core.lake.layout import Status, whole_milliseconds
from core.lake.manifest import Manifest, reason_line
from core.lake.store import Lake
from core.lake.verdict import HourVerdict


def give_up(lake: Lake, hour: ExportHour, *, reason: str, now: datetime) -> Manifest:
    """Say that the hour is not to be asked for any more.

    Without content it then counts as committed and settled; content that it has stays. Ends with
    :func:`retry`, and if the hour is missing, with any export of it that lands. Safe to repeat.

    Args:
        reason: Why, for whoever reads it later; 500 characters are kept.
        now: Aware.

    Raises:
        InvalidInput: No reason is given. Nothing was written. Permanent.
        LakeConflict: No archive has yet said whose lake this is. Nothing was written. Permanent.
        LakeUnavailable: S3 did not answer or was busy. Transient.
        LakeRefused: Credentials, bucket or key policy. Permanent.
    """
    if not reason_line(reason):
        msg = f"To give up {hour}, say why: the reason is kept in the lake."
        raise InvalidInput(msg)
    return _marked(lake, hour, Status.GIVEN_UP, reason=reason, now=now)


def retry(lake: Lake, hour: ExportHour, *, now: datetime) -> Manifest:
    """Say that the hour is to be asked for again: ends every give-up before it. Safe to repeat.

    Args:
        now: Aware.

    Raises:
        LakeConflict: No archive has yet said whose lake this is. Nothing was written. Permanent.
        LakeUnavailable: S3 did not answer or was busy. Transient.
        LakeRefused: Credentials, bucket or key policy. Permanent.
    """
    return _marked(lake, hour, Status.RETRY, reason="", now=now)


def accept_smaller(lake: Lake, verdict: HourVerdict) -> Manifest | None:
    """Say that the hour's newest export is right, although it holds fewer events than one before it.

    Its manifest is written once more as accepted, with the same ``exported_at``: so an export that has
    landed since, and holds no less, still takes its place. Safe to repeat.

    Returns:
        What was accepted; None if the hour has not shrunk.

    Raises:
        HourUnusable: The export's manifest is damaged or gone. Permanent.
        LakeUnavailable: S3 did not answer or was busy. Transient.
        LakeRefused: Credentials, bucket or key policy. Permanent.
    """
    if not verdict.shrunk:
        return None
    accepted = replace(lake.read_manifest(verdict.shrunk[-1]), status=Status.ACCEPTED)
    lake.put_manifest(accepted)
    return accepted


def _marked(lake: Lake, hour: ExportHour, status: Status, *, reason: str, now: datetime) -> Manifest:
    held = lake.identity()
    if held is None:
        whose = f"no archive has yet said whose lake {lake.url} is"
        msg = f"{hour} cannot be marked: {whose}. Run python -m flows.ingest first."
        raise LakeConflict(msg)
    mark = Manifest(
        hour=hour,
        app_id=held.app_id,
        api_host=held.api_host,
        exported_at=whole_milliseconds(now),
        window=ExportWindow(hour, hour),
        status=status,
        parts=(),
        reason=reason,
    )
    lake.put_manifest(mark)
    return mark

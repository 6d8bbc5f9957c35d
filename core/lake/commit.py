"""Commit an hour: its parts first, its manifest last."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from core.errors import LakeConflict
from core.hours import ExportHour, ExportWindow
from core.lake.identity import LakeIdentity
from core.lake.layout import Compression, Status, part_key, whole_milliseconds
from core.lake.manifest import Manifest, Part, content_digest
from core.lake.store import Lake
from core.lake.verdict import verdict_of


@dataclass(frozen=True, slots=True)
class LocalPart:
    """A part on disk, on its way into the lake.

    Attributes:
        path: The object's bytes: JSON, or gzip if the lake is compressed.
        member: Base name of the archive's member it comes from.
        json_crc32: CRC-32 of the JSON.
        crc32: CRC-32 of the file's own bytes.
    """

    path: Path
    member: str
    events: int
    json_bytes: int
    json_crc32: int
    size_bytes: int
    crc32: int


def commit_hour(  # noqa: PLR0913  # an hour is made of this many facts
    lake: Lake,
    hour: ExportHour,
    parts: Sequence[LocalPart],
    *,
    app_id: int | None,
    api_host: str,
    exported_at: datetime,
    window: ExportWindow,
    compression: Compression,
    uploads_at_once: int,
    restore: bool = False,
) -> Manifest:
    """Put one hour's parts into the lake, then commit the hour with its manifest.

    Guarantees: when this returns, everything that the manifest names is in the lake, checked by S3
    against the CRC-32 that was computed here. Content that the hour has already is not uploaded
    again, unless ``restore`` says so: the new manifest repeats the old one's parts, and settles the
    hour. Safe to repeat, and for two at once: keys are made from content, and readers decide between
    manifests.

    Args:
        parts: What the hour consists of; none for an hour without data.
        app_id: Whose it is; None for an hour without data, which is the lake's own project's.
        api_host: Where it was exported from.
        exported_at: UTC, just before the request that brought them was sent.
        restore: The hour was exported because its objects are missing or differ: its parts go up
            whatever the lake says it has, and what its manifest says is not asked.

    Returns:
        The manifest that was written; whether it counts is for :func:`verdict_of` to say.

    Raises:
        HourUnusable: The manifest that the hour has cannot be read. Permanent.
        LakeConflict: The lake holds another project's events, or an hour without data comes before
            any archive has said whose lake this is. Permanent.
        LakeUnavailable: S3 did not answer or was busy. Transient.
        LakeRefused: Credentials, bucket or key policy. Permanent.
        OSError: A part cannot be read.
    """
    identity = _identity(lake, hour, app_id, api_host)
    lake.claim(identity)
    stored = tuple(_stored(hour, part, compression) for part in parts)
    held = None if restore else verdict_of(hour, lake.manifest_names(hour, hour)).content
    if held is not None and held.digest == content_digest(stored):
        stored = lake.read_manifest(held).parts
    else:
        with ThreadPoolExecutor(uploads_at_once, thread_name_prefix=f"upload-{hour}") as uploads:
            puts = [
                uploads.submit(lake.put_part, part.path, to.key, crc32=part.crc32)
                for part, to in zip(parts, stored, strict=True)
            ]
        for put in puts:
            put.result()
    manifest = Manifest(
        hour=hour,
        app_id=identity.app_id,
        api_host=identity.api_host,
        exported_at=whole_milliseconds(exported_at),
        window=window,
        status=(Status.RESTORED if restore else Status.DATA) if stored else Status.EMPTY,
        parts=stored,
    )
    lake.put_manifest(manifest)
    return manifest


def _identity(lake: Lake, hour: ExportHour, app_id: int | None, api_host: str) -> LakeIdentity:
    if app_id is not None:
        return LakeIdentity(app_id, api_host)
    held = lake.identity()
    if held is None:
        msg = f"{hour} has no data, and no archive has yet said whose lake {lake.url} is."
        raise LakeConflict(msg)
    return LakeIdentity(held.app_id, api_host)


def _stored(hour: ExportHour, part: LocalPart, compression: Compression) -> Part:
    return Part(
        key=part_key(hour, part.member, crc32=part.crc32, compression=compression),
        member=part.member,
        events=part.events,
        json_bytes=part.json_bytes,
        json_crc32=f"{part.json_crc32:08x}",
        size_bytes=part.size_bytes,
        crc32=f"{part.crc32:08x}",
    )

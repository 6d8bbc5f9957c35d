"""Manifests against objects: whether the lake still holds what its manifests name."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

from core.hours import ExportHour, stretches
from core.lake.layout import ManifestName
from core.lake.manifest import Manifest, Part
from core.lake.reading import read_manifests
from core.lake.store import Lake

_HEADS_AT_ONCE = 16


def damaged_hours(lake: Lake, names: Collection[ManifestName]) -> dict[ExportHour, str]:
    """Which hours' objects are missing, or are not what their manifests say; nothing is downloaded.

    For each manifest: every part is there with the manifest's size, and the CRC-32 that S3 keeps of it
    is the manifest's. Costs a GET for each manifest, a HEAD for each part that is there with its size,
    and a list request for each thousand objects of the span; nothing but the GET for hours without parts.

    Args:
        names: Manifests that count, of any hours.

    Returns:
        What is wrong with each damaged hour, such as ``100011471_….json is missing``; oldest first.

    Raises:
        LakeUnavailable: S3 did not answer or was busy. Transient.
        LakeRefused: Credentials, bucket or key policy. Permanent.
    """
    read = read_manifests(lake, sorted(names))
    manifests = [found for found in read.values() if isinstance(found, Manifest)]
    sizes: dict[str, int] = {}
    for span in stretches(manifest.hour for manifest in manifests if manifest.parts):
        sizes |= lake.stored_parts(span.first, span.last)
    parts = {part.key: part for manifest in manifests for part in manifest.parts}.values()
    with ThreadPoolExecutor(_HEADS_AT_ONCE, thread_name_prefix="verify") as requests:
        wrong = dict(requests.map(lambda part: (part.key, _wrong_with(lake, part, sizes)), parts))
    damaged: dict[ExportHour, str] = {}
    for name, found in read.items():
        if isinstance(found, Manifest):
            reason = _together([reason for part in found.parts if (reason := wrong[part.key])])
        else:
            reason = str(found)
        if reason:
            damaged.setdefault(name.hour, reason)
    return damaged


def _wrong_with(lake: Lake, part: Part, sizes: dict[str, int]) -> str:
    """What is wrong with a part; nothing if it is well."""
    name = part.key.rpartition("/")[2]
    size_bytes = sizes.get(part.key)
    if size_bytes is None:
        return f"{name} is missing"
    if size_bytes != part.size_bytes:
        return f"{name} has {size_bytes:,} bytes, its manifest says {part.size_bytes:,}"
    stored = lake.stored_crc32(part.key)
    if stored is None:
        return f"{name} is stored without its checksum"
    return "" if stored == part.crc32 else f"{name} is stored with another checksum"


def _together(reasons: list[str]) -> str:
    more = f" (and {len(reasons) - 1} more of its objects are damaged)" if len(reasons) > 1 else ""
    return reasons[0] + more if reasons else ""

"""Read many manifests at once; one that cannot be read does not keep the others from it."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from core.errors import HourUnusable
from core.lake.layout import ManifestName
from core.lake.manifest import Manifest
from core.lake.store import Lake

_READS_AT_ONCE = 16


def read_manifests(lake: Lake, names: Iterable[ManifestName]) -> dict[ManifestName, Manifest | HourUnusable]:
    """What each manifest says, or why it cannot be read, in the order of the names.

    Raises:
        LakeUnavailable: S3 did not answer or was busy. Transient.
        LakeRefused: Credentials, bucket or key policy. Permanent.
    """

    def read(name: ManifestName) -> Manifest | HourUnusable:
        try:
            return lake.read_manifest(name)
        except HourUnusable as error:
            return error

    wanted = list(names)
    with ThreadPoolExecutor(_READS_AT_ONCE, thread_name_prefix="manifests") as readers:
        return dict(zip(wanted, readers.map(read, wanted), strict=True))

"""The door to the lake: what lies where, in words of hours, parts and manifests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import HourUnusable, InvalidInput, LakeConflict
from core.hours import ExportHour
from core.lake.identity import LakeIdentity
from core.lake.layout import (
    EVENTS,
    IDENTITY_KEY,
    MANIFESTS,
    WANTED,
    ManifestName,
    day_of,
    manifest_folder,
    part_folder,
    wanted_key,
)
from core.lake.manifest import Manifest
from core.lake.store_objects import LARGEST_PUT_BYTES, PIECE_BYTES, LakeObjects

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Lake:
    """One Amplitude project's events under one prefix of one bucket. Threads may share it.

    Every method can end so:

    Raises:
        LakeUnavailable: S3 did not answer or was busy. Transient.
        LakeRefused: Credentials, bucket or key policy. Permanent.

    Args:
        client: boto3's S3 client.
        prefix: Where the lake lies in the bucket; "" or ending in "/".
        kms_key_id: The key that objects are encrypted with; None leaves it to the bucket's default.
        largest_put_bytes: A larger part goes up in pieces; S3 takes at most 5 GiB whole.
        piece_bytes: The least size of such a piece but the last; S3 takes 5 MiB to 5 GiB.
    """

    def __init__(
        self,
        client: S3Client,
        *,
        bucket: str,
        prefix: str = "",
        kms_key_id: str | None = None,
        largest_put_bytes: int = LARGEST_PUT_BYTES,
        piece_bytes: int = PIECE_BYTES,
    ) -> None:
        self._objects = LakeObjects(
            client,
            bucket=bucket,
            prefix=prefix,
            kms_key_id=kms_key_id,
            largest_put_bytes=largest_put_bytes,
            piece_bytes=piece_bytes,
        )

    @property
    def url(self) -> str:
        """``s3://bucket/prefix/``: how the warehouse knows this lake."""
        return self._objects.url

    def identity(self) -> LakeIdentity | None:
        """Whose events the lake holds; None as long as no archive has landed.

        Raises:
            LakeConflict: lake.json is of another layout version, or cannot be read. Permanent.
        """
        body = self._objects.get(IDENTITY_KEY)
        return None if body is None else LakeIdentity.from_json(body, where=self.url)

    def claim(self, identity: LakeIdentity) -> None:
        """Make sure that the lake holds this project's events, and write that down if it is new.

        Safe to repeat, and for two at once: the object is created only if there is none.

        Raises:
            LakeConflict: The lake holds another project's events. Nothing was written. Permanent.
        """
        held = self.identity()
        if held is None:
            if self._objects.create(IDENTITY_KEY, identity.to_json()):
                return
            held = self.identity()
        if held != identity:
            msg = (
                f"{self.url} holds {held}; this export is of {identity}. "
                "Give each Amplitude project a prefix of its own."
            )
            raise LakeConflict(msg)

    def manifest_names(self, first: ExportHour, last: ExportHour) -> list[ManifestName]:
        """All manifests of the hours from ``first`` to ``last``, both included, oldest hour first.

        One request for each thousand; bodies are not read.

        Raises:
            LakeConflict: Something lies among the manifests that is none. Permanent.
        """
        names = []
        end = manifest_folder(last + 1)
        for key, _ in self._objects.listed(MANIFESTS, start_after=manifest_folder(first)):
            if key >= end:
                break
            names.append(ManifestName.parse(key))
        return names

    def newest_day(self, *, since: ExportHour | None = None) -> ExportHour | None:
        """The first hour of the newest day that has manifests; None if no day has.

        Args:
            since: Look from this day on only, which costs one request however long the history is.
        """
        start_after = f"{MANIFESTS}date={since.day}" if since else MANIFESTS
        newest = None
        for folder in self._objects.folders(MANIFESTS, start_after=start_after):
            newest = folder
        return None if newest is None else day_of(newest)

    def read_manifest(self, name: ManifestName) -> Manifest:
        """What a manifest says.

        Raises:
            HourUnusable: It is damaged, or gone although it was listed. Permanent.
        """
        body = self._objects.get(name.key)
        if body is None:
            msg = f"{self.url}{name.key} was listed and is gone: somebody deletes in the lake."
            raise HourUnusable(msg)
        return Manifest.from_json(body, name)

    def put_manifest(self, manifest: Manifest) -> None:
        """Commit an hour. Goes last: everything it names must be there already. Safe to repeat."""
        self._objects.create(manifest.name.key, manifest.to_json())

    def put_part(self, path: Path, key: str, *, crc32: int) -> None:
        """Put one object of any size into the lake, its checksum checked by S3 before it is there.

        All or nothing, and safe to repeat: the key is made from the content.

        Args:
            crc32: Of the file's bytes. It goes up with them, S3 refuses a body that differs, and stores it.

        Raises:
            OSError: The file cannot be read.
        """
        self._objects.put_file(path, key, crc32=crc32)

    def stored_parts(self, first: ExportHour, last: ExportHour) -> dict[str, int]:
        """Key and size in bytes of every object of the hours from ``first`` to ``last``, both included.

        Whether an object belongs to its hour is for the manifests to say. One request for each thousand.
        """
        end = part_folder(last + 1)
        sizes = {}
        for key, size_bytes in self._objects.listed(EVENTS, start_after=part_folder(first)):
            if key >= end:
                break
            sizes[key] = size_bytes
        return sizes

    def stored_crc32(self, key: str) -> str | None:
        """The CRC-32 that S3 keeps of a part, as its manifest writes it; nothing is downloaded.

        Returns:
            None if there is no such object, or if it was stored without a CRC-32 of the whole of it.
        """
        return self._objects.stored_crc32(key)

    def wanted_from(self) -> ExportHour | None:
        """The earliest hour from which on hours are wanted."""
        for key, _ in self._objects.listed(WANTED, start_after=WANTED):
            try:
                return ExportHour.parse(key.removeprefix(WANTED))
            except InvalidInput:
                msg = f"{ascii(key)[:200]} lies among the wanted hours and is none. Move it out of the lake."
                raise LakeConflict(msg) from None
        return None

    def want_from(self, hour: ExportHour) -> None:
        """Remember that hours from here on are wanted, whatever happens to this run. Safe to repeat."""
        self._objects.create(wanted_key(hour), b"")

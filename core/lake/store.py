"""The door to the lake: S3 through boto3, whose errors never show outside of it.

boto3 retries throttling, 5xx and broken connections itself (its "standard" mode, a few attempts
within seconds); what comes out of here is retried, if it is transient, by the task around it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)

from core.errors import HourUnusable, InvalidInput, LakeConflict, LakeError, LakeRefused, LakeUnavailable
from core.hours import ExportHour
from core.lake.failures import lake_error
from core.lake.identity import LakeIdentity
from core.lake.layout import (
    IDENTITY_KEY,
    MANIFESTS,
    WANTED,
    ManifestName,
    day_of,
    manifest_folder,
    wanted_key,
)
from core.lake.manifest import Manifest

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Lake:
    """One Amplitude project's events under one prefix of one bucket. Threads may share it.

    Args:
        client: boto3's S3 client.
        prefix: Where the lake lies in the bucket; "" or ending in "/".
        kms_key_id: The key that objects are encrypted with; None leaves it to the bucket's default.
    """

    def __init__(
        self, client: S3Client, *, bucket: str, prefix: str = "", kms_key_id: str | None = None
    ) -> None:
        self._s3 = client
        self._bucket = bucket
        self._prefix = prefix
        self._encryption: dict[str, Any] = {}
        if kms_key_id:
            self._encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key_id}

    @property
    def url(self) -> str:
        """``s3://bucket/prefix/``: how the warehouse knows this lake."""
        return f"s3://{self._bucket}/{self._prefix}"

    def identity(self) -> LakeIdentity | None:
        """Whose events the lake holds; None as long as no archive has landed.

        Raises:
            LakeConflict: lake.json is of another layout version, or cannot be read. Permanent.
        """
        with self._translated("read lake.json"):
            try:
                body = self._s3.get_object(Bucket=self._bucket, Key=self._prefix + IDENTITY_KEY)["Body"].read(
                    1 << 16
                )
            except self._s3.exceptions.NoSuchKey:
                return None
        return LakeIdentity.from_json(body, where=self.url)

    def claim(self, identity: LakeIdentity) -> None:
        """Make sure that the lake holds this project's events, and write that down if it is new.

        Safe to repeat, and for two at once: the object is created only if there is none.

        Raises:
            LakeConflict: The lake holds another project's events. Nothing was written. Permanent.
        """
        held = self.identity()
        if held is None:
            if self._put_new(IDENTITY_KEY, identity.to_json()):
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
        for key in self._keys(MANIFESTS, start_after=manifest_folder(first)):
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
        for page in self._pages(MANIFESTS, start_after=start_after, delimiter="/"):
            for folder in page.get("CommonPrefixes", []):
                newest = folder["Prefix"].removeprefix(self._prefix)
        return None if newest is None else day_of(newest)

    def read_manifest(self, name: ManifestName) -> Manifest:
        """What a manifest says.

        Raises:
            HourUnusable: It is damaged, or gone although it was listed. Permanent.
        """
        with self._translated(f"read the manifest of {name.hour}"):
            try:
                body = self._s3.get_object(Bucket=self._bucket, Key=self._prefix + name.key)["Body"].read()
            except self._s3.exceptions.NoSuchKey:
                msg = f"{self.url}{name.key} was listed and is gone: somebody deletes in the lake."
                raise HourUnusable(msg) from None
        return Manifest.from_json(body, name)

    def put_manifest(self, manifest: Manifest) -> None:
        """Commit an hour. Goes last: everything it names must be there already. Safe to repeat."""
        self._put_new(manifest.name.key, manifest.to_json())

    def put_part(self, path: Path, key: str, *, crc32: int) -> None:
        """Put one object into the lake, its checksum checked by S3 before it is stored.

        Safe to repeat: the key is made from the content.

        Args:
            crc32: Of the file's bytes. It goes up with them, S3 refuses a body that differs, and stores it.

        Raises:
            OSError: The file cannot be read.
        """
        with self._translated(f"put {key}"), path.open("rb") as body:
            self._s3.put_object(
                Bucket=self._bucket,
                Key=self._prefix + key,
                Body=body,
                ContentType="application/gzip" if key.endswith(".gz") else "application/x-ndjson",
                ChecksumAlgorithm="CRC32",
                ChecksumCRC32=base64.b64encode(crc32.to_bytes(4, "big")).decode(),
                **self._encryption,
            )

    def wanted_from(self) -> ExportHour | None:
        """The earliest hour from which on hours are wanted."""
        for key in self._keys(WANTED, start_after=WANTED):
            try:
                return ExportHour.parse(key.removeprefix(WANTED))
            except InvalidInput:
                msg = f"{ascii(key)[:200]} lies among the wanted hours and is none. Move it out of the lake."
                raise LakeConflict(msg) from None
        return None

    def want_from(self, hour: ExportHour) -> None:
        """Remember that hours from here on are wanted, whatever happens to this run. Safe to repeat."""
        self._put_new(wanted_key(hour), b"")

    def _put_new(self, key: str, body: bytes) -> bool:
        """Create an object; False if there was one, which then stays as it is."""
        with self._translated(f"write {key}"):
            try:
                self._s3.put_object(
                    Bucket=self._bucket,
                    Key=self._prefix + key,
                    Body=body,
                    IfNoneMatch="*",
                    ChecksumAlgorithm="CRC32",
                    ContentType="application/json",
                    **self._encryption,
                )
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") != "PreconditionFailed":
                    raise
                return False
        return True

    def _keys(self, folder: str, *, start_after: str) -> Iterator[str]:
        for page in self._pages(folder, start_after=start_after):
            for found in page.get("Contents", []):
                yield found["Key"].removeprefix(self._prefix)

    def _pages(self, folder: str, *, start_after: str, delimiter: str = "") -> Iterator[dict[str, Any]]:
        grouped: dict[str, Any] = {"Delimiter": delimiter} if delimiter else {}
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket,
            Prefix=self._prefix + folder,
            StartAfter=self._prefix + start_after,
            **grouped,
        )
        iterator: Iterator[Any] = iter(pages)
        while True:
            with self._translated(f"list {folder}"):
                page = next(iterator, None)
            if page is None:
                return
            yield page

    @contextmanager
    def _translated(self, attempt: str) -> Iterator[None]:
        """boto3's errors as ours, saying what was attempted and what to do."""
        where = f"Could not {attempt} in {self.url}"
        try:
            yield
        except LakeError:
            raise
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
            raise lake_error(where, code=code, status=status) from None
        except (NoCredentialsError, PartialCredentialsError):
            remedy = "Set AWS_ACCESS_KEY and AWS_SECRET_KEY, or give the machine a role"
            msg = f"{where}: no AWS credentials. {remedy}."
            raise LakeRefused(msg) from None
        except ParamValidationError as error:
            msg = f"{where}: not a bucket or key that can be ({' '.join(str(error).split())[:200]})."
            raise LakeRefused(msg) from None
        except BotoCoreError as error:
            msg = (
                f"{where}: S3 cannot be reached ({type(error).__name__}). Check the network and the endpoint."
            )
            raise LakeUnavailable(msg) from None

"""The objects under one prefix of one bucket: S3 through boto3, whose errors never show outside.

boto3 retries throttling, 5xx and broken connections itself (its "standard" mode, a few attempts
within seconds); what comes out of here is retried, if it is transient, by the task around it.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)

from core.errors import LakeRefused, LakeUnavailable
from core.lake.failures import lake_error
from core.lake.store_uploads import checksum_field, put_in_pieces

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/upload-objects.html
LARGEST_PUT_BYTES = 5 << 30

#: How much of a larger file goes up with one request.
PIECE_BYTES = 256 << 20


class LakeObjects:
    """The objects under one prefix. Keys here are relative to it. Threads may share it.

    Every method can end so:

    Raises:
        LakeUnavailable: S3 did not answer or was busy. Transient.
        LakeRefused: Credentials, bucket or key policy. Permanent.

    Args:
        client: boto3's S3 client.
        prefix: "" or ending in "/".
        kms_key_id: The key that objects are encrypted with; None leaves it to the bucket's default.
        largest_put_bytes: A larger file goes up in pieces.
        piece_bytes: The least size of such a piece but the last; S3 takes 5 MiB to 5 GiB.
    """

    def __init__(
        self,
        client: S3Client,
        *,
        bucket: str,
        prefix: str,
        kms_key_id: str | None = None,
        largest_put_bytes: int = LARGEST_PUT_BYTES,
        piece_bytes: int = PIECE_BYTES,
    ) -> None:
        self._s3 = client
        self._bucket = bucket
        self._prefix = prefix
        self._largest_put_bytes = largest_put_bytes
        self._piece_bytes = piece_bytes
        self._encryption: dict[str, Any] = {}
        if kms_key_id:
            self._encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key_id}

    @property
    def url(self) -> str:
        """``s3://bucket/prefix/``."""
        return f"s3://{self._bucket}/{self._prefix}"

    def get(self, key: str) -> bytes | None:
        """An object's bytes; None if there is no such object."""
        with self._translated(f"read {key}"):
            try:
                return self._s3.get_object(**self._at(key))["Body"].read()
            except self._s3.exceptions.NoSuchKey:
                return None

    def create(self, key: str, body: bytes) -> bool:
        """Create a JSON object; False if there was one, which then stays as it is. Safe for two at once."""
        with self._translated(f"write {key}"):
            try:
                self._s3.put_object(
                    **self._at(key),
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

    def put_file(self, path: Path, key: str, *, crc32: int) -> None:
        """Put a file of any size, its checksum checked by S3 before the object is there.

        All or nothing, and safe to repeat. A file of more than ``largest_put_bytes`` goes up in pieces.

        Args:
            crc32: Of the file's bytes. S3 refuses a body that differs, and stores it with the object.

        Raises:
            OSError: The file cannot be read.
        """
        kind = "application/gzip" if key.endswith(".gz") else "application/x-ndjson"
        with self._translated(f"put {key}"), path.open("rb") as body:
            size_bytes = os.fstat(body.fileno()).st_size
            if size_bytes > self._largest_put_bytes:
                put_in_pieces(
                    self._s3,
                    path,
                    self._at(key),
                    crc32=crc32,
                    size_bytes=size_bytes,
                    piece_bytes=self._piece_bytes,
                    settings={"ContentType": kind, **self._encryption},
                )
            else:
                self._s3.put_object(
                    **self._at(key),
                    Body=body,
                    ContentType=kind,
                    ChecksumAlgorithm="CRC32",
                    ChecksumCRC32=checksum_field(crc32),
                    **self._encryption,
                )

    def stored_crc32(self, key: str) -> str | None:
        """The CRC-32 that S3 keeps of an object, eight hexadecimal characters; nothing is downloaded.

        Returns:
            None if there is no such object, or if it was stored without a CRC-32 of the whole of it.

        S3 does not say in its answer to a HEAD why it refused it, and may answer 403 for an object that
        is not there: then the listing is asked, which knows, or says what is wrong.

        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
        """
        with self._translated(f"look at {key}"):
            try:
                head = self._s3.head_object(**self._at(key), ChecksumMode="ENABLED")
            except ClientError as error:
                if _status(error) < HTTPStatus.INTERNAL_SERVER_ERROR and not self._is_listed(key):
                    return None
                raise
        stored = head.get("ChecksumCRC32", "")
        return None if not stored or "-" in stored else base64.b64decode(stored).hex()

    def listed(self, folder: str, *, start_after: str) -> Iterator[tuple[str, int]]:
        """Key and size in bytes of what lies in a folder, in byte order; one request for each thousand."""
        for page in self._pages(folder, start_after=start_after):
            for found in page.get("Contents", []):
                yield found["Key"].removeprefix(self._prefix), found["Size"]

    def folders(self, folder: str, *, start_after: str) -> Iterator[str]:
        """The folders right below one, each ending in "/", in byte order."""
        for page in self._pages(folder, start_after=start_after, Delimiter="/"):
            for found in page.get("CommonPrefixes", []):
                yield found["Prefix"].removeprefix(self._prefix)

    def _at(self, key: str) -> dict[str, Any]:
        return {"Bucket": self._bucket, "Key": self._prefix + key}

    def _is_listed(self, key: str) -> bool:
        whole = self._prefix + key
        page = self._s3.list_objects_v2(Bucket=self._bucket, Prefix=whole, MaxKeys=1)
        return any(found["Key"] == whole for found in page.get("Contents", []))

    def _pages(self, folder: str, *, start_after: str, **grouped: str) -> Iterator[dict[str, Any]]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket,
            Prefix=self._prefix + folder,
            StartAfter=self._prefix + start_after,
            **grouped,  # type: ignore[arg-type]
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
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            raise lake_error(where, code=code, status=_status(error)) from None
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


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))

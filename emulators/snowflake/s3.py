"""The door to the lake: what Snowflake's role does there, read and list, over boto3."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from emulators.snowflake.errors import SqlError

_MISSING = {"404", "NoSuchKey", "NotFound"}


@dataclass(frozen=True)
class S3Settings:
    """Where the lake is and who reads it. Without an endpoint it is AWS itself."""

    endpoint: str | None = None
    access_key: str | None = "emulator"
    secret_key: str | None = "emulator"
    region: str = "us-east-1"


@dataclass(frozen=True)
class RemoteFile:
    """One object."""

    bucket: str
    key: str
    size_bytes: int
    etag: str
    last_modified: datetime

    @property
    def url(self) -> str:
        """Its URL, as COPY reports it for an external stage."""
        return f"s3://{self.bucket}/{self.key}"


class Lake:
    """Reads objects. Safe to share between threads."""

    def __init__(self, settings: S3Settings) -> None:
        self._client: Any = boto3.client(
            "s3",
            endpoint_url=settings.endpoint,
            aws_access_key_id=settings.access_key,
            aws_secret_access_key=settings.secret_key,
            region_name=settings.region,
            config=Config(
                s3={"addressing_style": "path" if settings.endpoint else "auto"},
                retries={"max_attempts": 2},
                max_pool_connections=16,
                connect_timeout=5,
            ),
        )

    def find(self, bucket: str, key: str) -> RemoteFile | None:
        """An object's head, or None if it is not there.

        Raises:
            SqlError: the lake refused, or could not be reached.
        """
        try:
            head = self._client.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return None
            raise _refused(bucket, error) from error
        except BotoCoreError as error:
            raise _refused(bucket, error) from error
        return RemoteFile(bucket, key, head["ContentLength"], head["ETag"].strip('"'), head["LastModified"])

    def list(self, bucket: str, prefix: str) -> Iterator[RemoteFile]:
        """Every object under a prefix, in the order of keys."""
        try:
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                for item in page.get("Contents", []):
                    yield RemoteFile(
                        bucket, item["Key"], item["Size"], item["ETag"].strip('"'), item["LastModified"]
                    )
        except (ClientError, BotoCoreError) as error:
            raise _refused(bucket, error) from error

    def fetch(self, file: RemoteFile, target: Path) -> None:
        """Write an object's bytes to a local file."""
        try:
            body = self._client.get_object(Bucket=file.bucket, Key=file.key)["Body"]
            with target.open("wb") as out:
                for chunk in iter(lambda: body.read(1 << 20), b""):
                    out.write(chunk)
        except (ClientError, BotoCoreError) as error:
            raise _refused(file.bucket, error) from error


def _refused(bucket: str, error: Exception) -> SqlError:
    text = f"Failure using stage area. Cause: [{error} (bucket {bucket})]"
    return SqlError(91003, "22000", text)

"""Small lakes on an emulated S3, each under a prefix of its own."""

from __future__ import annotations

import gzip
import itertools
import uuid
import zlib
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from core.hours import ExportHour, ExportWindow
from core.lake.commit import LocalPart, commit_hour
from core.lake.layout import Compression, ManifestName, Status
from core.lake.manifest import Manifest
from core.lake.store import Lake
from emulators.s3 import S3Emulator
from tests.core.lake.examples import APP, DIGEST, HOST, member_of

BUCKET = "lake"


def events_of(hour: ExportHour, number: int, count: int) -> bytes:
    """JSON lines of one part, each event with a uuid of its own."""
    lines = (f'{{"uuid":"{hour}-{number}-{line}","event_type":"tap","app":{APP}}}\n' for line in range(count))
    return "".join(lines).encode()


@cache
def plain_client(s3: S3Emulator) -> Any:
    """A client that nobody counts."""
    return s3.client()


class Pond:
    """A lake that holds what a test puts there, and counts what is asked of it.

    Attributes:
        lake: The door, over a client of its own.
        s3: The emulator behind it.
        prefix: Where it lies in the bucket.
        door: What the doors are told besides.
    """

    def __init__(self, s3: S3Emulator, prefix: str | None = None, **door: Any) -> None:
        self.s3 = s3
        self.door = door
        self.prefix = f"{uuid.uuid4().hex[:12]}/" if prefix is None else prefix
        self.asked: Counter[str] = Counter()
        self.client: Any = s3.client()
        self.client.meta.events.register("before-call.s3", self._count)
        self.lake = self.again()

    def again(self, **changes: Any) -> Lake:
        """Another door to the same lake."""
        client = self.s3.client(**changes) if changes else self.client
        return Lake(client, bucket=BUCKET, prefix=self.prefix, **self.door)

    def _count(self, model: Any, **_: Any) -> None:
        self.asked[model.name] += 1

    def contents(self) -> list[str]:
        """Everything in the lake, relative to it."""
        pages = (
            plain_client(self.s3).get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=self.prefix)
        )
        found = (one["Key"] for page in pages for one in page.get("Contents", []))
        return [key.removeprefix(self.prefix) for key in found]

    def put(self, key: str, body: bytes = b"") -> None:
        """Put an object past the door."""
        plain_client(self.s3).put_object(Bucket=BUCKET, Key=self.prefix + key, Body=body)

    def get(self, key: str) -> bytes:
        """An object's bytes."""
        body: bytes = plain_client(self.s3).get_object(Bucket=BUCKET, Key=self.prefix + key)["Body"].read()
        return body

    def head(self, key: str) -> dict[str, Any]:
        """What is stored beside an object, its checksum among it."""
        answer: dict[str, Any] = plain_client(self.s3).head_object(
            Bucket=BUCKET, Key=self.prefix + key, ChecksumMode="ENABLED"
        )
        return answer

    def remove(self, key: str) -> None:
        """Remove an object, as nobody should."""
        plain_client(self.s3).delete_object(Bucket=BUCKET, Key=self.prefix + key)

    def list_hours(self, *hours: ExportHour, status: Status = Status.DATA) -> None:
        """Let hours be listed as exported; there is nothing behind the names.

        Thousands of them: so they are put straight into what the emulator keeps.
        """
        store = self.s3._store
        with store.writing(BUCKET, self.prefix):
            for hour in hours:
                key = self.prefix + ManifestName(hour, hour.complete_at, status, 1, DIGEST).key
                store.backend.put_object(BUCKET, key, b"")

    def commit(
        self,
        folder: Path,
        hour: ExportHour,
        *contents: bytes,
        exported_at: datetime | None = None,
        compression: Compression = "none",
        lake: Lake | None = None,
        restore: bool = False,
    ) -> Manifest:
        """Commit an hour that consists of these parts' JSON; none is an hour without data."""
        return commit_hour(
            lake or self.lake,
            hour,
            write_parts(folder, hour, contents, compression=compression),
            app_id=APP if contents else None,
            api_host=HOST,
            exported_at=exported_at or hour.complete_at + timedelta(minutes=15),
            window=ExportWindow(hour, hour),
            compression=compression,
            uploads_at_once=4,
            restore=restore,
        )

    def fill(self, folder: Path, hour: ExportHour, *counts: int, **changes: Any) -> Manifest:
        """Commit an hour of parts with this many events."""
        contents = [events_of(hour, number, count) for number, count in enumerate(counts)]
        return self.commit(folder, hour, *contents, **changes)


_numbers = itertools.count()


def write_parts(
    folder: Path, hour: ExportHour, contents: Sequence[bytes], *, compression: Compression = "none"
) -> list[LocalPart]:
    """Parts on disk, as an exported hour leaves them there."""
    parts = []
    for number, body in enumerate(contents):
        stored = gzip.compress(body, mtime=0) if compression == "gzip" else body
        path = folder / f"part-{next(_numbers)}"
        path.write_bytes(stored)
        parts.append(
            LocalPart(
                path=path,
                member=member_of(hour, number),
                events=body.count(b"\n"),
                json_bytes=len(body),
                json_crc32=zlib.crc32(body),
                size_bytes=len(stored),
                crc32=zlib.crc32(stored),
            )
        )
    return parts

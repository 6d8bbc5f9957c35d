"""A bucket in memory: what the lake asks of boto3's client, for tests that are about something else."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from core.lake.identity import LakeIdentity
from core.lake.manifest import Manifest
from core.lake.store import Lake
from tests.core.lake.examples import APP, HOST


class Missing(ClientError):
    """There is no such object."""


class Shelf:
    """Objects by key, strongly consistent; a listing is one page.

    Attributes:
        asked: The methods that were called, in order.
    """

    class exceptions:  # noqa: N801  # boto3 calls it so
        NoSuchKey = Missing

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.asked: list[str] = []

    def put_object(self, *, Key: str, Body: bytes, **_: Any) -> None:  # noqa: N803
        self.asked.append("put")
        self.objects.setdefault(Key, Body)

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        self.asked.append("get")
        if Key not in self.objects:
            raise Missing({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        return {"Body": io.BytesIO(self.objects[Key])}

    def get_paginator(self, _: str) -> Shelf:
        return self

    def paginate(self, *, Bucket: str, Prefix: str, StartAfter: str) -> Iterator[dict[str, Any]]:  # noqa: N803
        self.asked.append("list")
        keys = sorted(key for key in self.objects if key.startswith(Prefix) and key > StartAfter)
        yield {"Contents": [{"Key": key, "Size": len(self.objects[key])} for key in keys]}


def lake_on(shelf: Shelf, *manifests: Manifest) -> Lake:
    """A lake that is somebody's and holds these manifests, not their parts."""
    client: Any = shelf
    lake = Lake(client, bucket="lake", prefix="amplitude/")
    lake.claim(LakeIdentity(APP, HOST))
    for written in manifests:
        lake.put_manifest(written)
    return lake

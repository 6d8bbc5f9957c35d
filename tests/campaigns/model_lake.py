"""S3 in memory: what boto3's client is asked by the lake, each request at a door of an actor."""

# ruff: noqa: N803  # boto3 spells its arguments so

from __future__ import annotations

import base64
import io
import zlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from botocore.exceptions import ClientError, EndpointConnectionError

from core.lake.store import Lake
from tests.campaigns.model_actors import Actor, Place

T = TypeVar("T")

BUCKET = "lake"


class Bucket:
    """Objects by key. Strongly consistent, and a condition on a PUT holds, as S3 has it.

    Attributes:
        on_put: Told the key of every object, right after it is there.
    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.on_put: Callable[[str], None] = lambda _: None

    def put(self, key: str, body: bytes) -> None:
        """Put an object."""
        self.objects[key] = body
        self.on_put(key)

    def keys(self, prefix: str, after: str = "") -> list[str]:
        """Keys that begin so, in byte order."""
        return sorted(key for key in self.objects if key.startswith(prefix) and key > after)


class NoSuchKey(ClientError):
    """There is no such object."""


class _Exceptions:
    NoSuchKey = NoSuchKey


class S3Door:
    """boto3's client, as far as the lake uses it, for one actor.

    Args:
        page: How many keys one answer of a listing holds.
    """

    exceptions = _Exceptions

    def __init__(self, bucket: Bucket, actor: Actor, page: int = 1000) -> None:
        self._bucket = bucket
        self._actor = actor
        self._page = page

    def put_object(self, *, Key: str, Body: Any, **settings: Any) -> dict[str, Any]:
        """All or nothing; refuses a body whose checksum is not the one that came with it."""
        body = Body if isinstance(Body, bytes) else Body.read()

        def effect() -> dict[str, Any]:
            if settings.get("IfNoneMatch") == "*" and Key in self._bucket.objects:
                raise _refused(ClientError, "PreconditionFailed", 412)
            if settings.get("ChecksumCRC32") not in {None, _checksum(body)}:
                raise _refused(ClientError, "BadDigest", 400)
            self._bucket.put(Key, body)
            return {}

        return self._ask(f"put-{_kind(Key)}", effect)

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        """An object's bytes."""

        def effect() -> dict[str, Any]:
            if Key not in self._bucket.objects:
                raise _refused(NoSuchKey, "NoSuchKey", 404)
            return {"Body": io.BytesIO(self._bucket.objects[Key])}

        return self._ask("get", effect)

    def head_object(self, *, Bucket: str, Key: str, ChecksumMode: str) -> dict[str, Any]:
        """What is stored beside an object."""

        def effect() -> dict[str, Any]:
            if Key not in self._bucket.objects:
                raise _refused(ClientError, "404", 404)
            return {"ChecksumCRC32": _checksum(self._bucket.objects[Key])}

        return self._ask("head", effect)

    def list_objects_v2(self, *, Bucket: str, Prefix: str, MaxKeys: int) -> dict[str, Any]:
        """The first keys that begin so."""
        return self._ask("list", lambda: self._listing(self._bucket.keys(Prefix)[:MaxKeys]))

    def get_paginator(self, name: str) -> S3Door:
        """The one that lists."""
        assert name == "list_objects_v2"
        return self

    def paginate(
        self,
        *,
        Bucket: str,
        Prefix: str,
        StartAfter: str = "",
        Delimiter: str = "",
    ) -> Iterator[dict[str, Any]]:
        """Page by page: each shows what is there when it is asked for."""
        after = StartAfter
        while True:
            found = self._ask("list", lambda after=after: self._bucket.keys(Prefix, after))  # type: ignore[misc]
            if Delimiter:
                folders = dict.fromkeys(
                    Prefix + key.removeprefix(Prefix).partition(Delimiter)[0] + Delimiter for key in found
                )
                yield {"CommonPrefixes": [{"Prefix": one} for one in folders if one > StartAfter]}
                return
            yield self._listing(found[: self._page])
            if len(found) <= self._page:
                return
            after = found[self._page - 1]

    def _listing(self, keys: list[str]) -> dict[str, Any]:
        return {"Contents": [{"Key": key, "Size": len(self._bucket.objects[key])} for key in keys]}

    def _ask(self, kind: str, effect: Callable[[], T]) -> T:
        return self._actor.door(
            Place(kind, lambda: EndpointConnectionError(endpoint_url="https://s3.invalid")), effect
        )


def lake_of(
    bucket: Bucket, actor: Actor, prefix: str, make: Callable[..., Lake] = Lake, page: int = 1000
) -> Lake:
    """The lake under a prefix, as an actor opens it."""
    return make(S3Door(bucket, actor, page), bucket=BUCKET, prefix=prefix)


def _kind(key: str) -> str:
    for folder in ("manifests", "events", "wanted"):
        if f"{folder}/" in key:
            return folder
    return "identity"


def _checksum(body: bytes) -> str:
    return base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()


def _refused(kind: type[ClientError], code: str, status: int) -> ClientError:
    answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return kind(answer, "S3")

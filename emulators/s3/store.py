"""The objects and all settings of buckets: moto's, in an account of their own.

moto keeps its state once for the whole process. Every store takes a random account, sees nothing of
other stores, and forgets its objects when it is closed.
"""

from __future__ import annotations

import io
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import RLock
from typing import Any
from urllib.parse import unquote

from moto.core.request import (
    PRESERVED_HEADER_NAMES_ENVIRON_KEY,
    Request,
    environ_key_for_header,
    should_preserve_original_header_name,
)
from moto.s3.models import FakeKey, s3_backends
from moto.s3.responses import S3Response

from emulators.s3.errors import S3Error, no_such_bucket
from emulators.s3.messages import Answer, Message

#: What moto answers from its own bookkeeping, and S3 does not.
_UNKNOWN_TO_S3 = frozenset(
    {"x-amz-sdk-checksum-algorithm", "x-amz-checksum-algorithm", "x-amz-content-sha256", "content-md5"}
)


class _Request(Request):
    from_wsgi_server = True


class Store:
    """One account's buckets. Safe to share between threads."""

    def __init__(self, region: str, account: str | None = None) -> None:
        self.account = account or str(secrets.randbelow(9 * 10**11) + 10**11)
        self.region = region
        self._locks = [RLock() for _ in range(64)]
        self._writes: dict[str, object] = {}  # a new mark after every write
        self._names: dict[str, tuple[object, list[str]]] = {}
        self._other_services: Any = None

    @property
    def backend(self) -> Any:
        """moto's S3 of this account."""
        return s3_backends[self.account]["aws"]

    def bucket(self, name: str) -> Any:
        """moto's bucket.

        Raises:
            S3Error: 404 NoSuchBucket.
        """
        bucket = self.backend.buckets.get(name)
        if bucket is None:
            raise no_such_bucket(name)
        return bucket

    def create_bucket(self, name: str) -> None:
        """Create a bucket; does nothing if it is there."""
        if name not in self.backend.buckets:
            self.disown(name)
            self.backend.create_bucket(name, self.region)

    def disown(self, name: str) -> None:
        """Free a name that another store's bucket has: names are unique in a store, not in the world."""
        s3_backends.bucket_accounts.pop(name, None)

    def newest(self, bucket: str, key: str) -> FakeKey | None:
        """The object, or None if it never was or is deleted."""
        found = self.bucket(bucket).keys.get(key)
        return found if isinstance(found, FakeKey) else None

    @contextmanager
    def writing(self, bucket: str, key: str) -> Iterator[None]:
        """Alone with one key, so that a conditional write decides and writes in one step."""
        with self._locks[hash((bucket, key)) % len(self._locks)]:
            try:
                yield
            finally:
                self._writes[bucket] = object()

    def names(self, bucket: str) -> list[str]:
        """Every name in the bucket, sorted; deleted ones too."""
        mark = self._writes.setdefault(bucket, object())
        known = self._names.get(bucket)
        if known is None or known[0] is not mark:
            known = mark, sorted(self.bucket(bucket).keys)
            self._names[bucket] = known
        return known[1]

    def ask_s3(self, message: Message) -> Answer:
        """Let moto's S3 answer."""
        request = _Request(self._environ(message))
        respond = S3Response.key_dispatch if message.key else S3Response.bucket_dispatch
        status, headers, body = respond(request, request.raw_url, dict(request.headers))
        content = body.encode() if isinstance(body, str) else bytes(body)
        kept = {
            name.lower(): str(value) for name, value in headers.items() if name.lower() not in _UNKNOWN_TO_S3
        }
        return Answer(int(status), kept, content)

    def ask_other(self, message: Message) -> Answer:
        """Let moto's STS, KMS or IAM answer. They are loaded when they are asked for the first time."""
        from werkzeug.test import run_wsgi_app

        if self._other_services is None:
            from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

            self._other_services = DomainDispatcherApplication(create_backend_app)
        body, status, headers = run_wsgi_app(self._other_services, self._environ(message), buffered=True)
        return Answer(int(status.split()[0]), dict(headers), b"".join(body))

    def close(self) -> None:
        """Forget all objects."""
        backend = self.backend
        for bucket in backend.buckets.values():
            for versions in list(dict.values(bucket.keys)):
                for version in versions:
                    if isinstance(version, FakeKey):
                        version.dispose()
            for upload in bucket.multiparts.values():
                upload.dispose()
            if s3_backends.bucket_accounts.get(bucket.name, ("", ""))[1] == self.account:
                s3_backends.bucket_accounts.pop(bucket.name)
        backend.buckets.clear()

    def _environ(self, message: Message) -> dict[str, Any]:
        host, _, port = message.headers.get("host", "127.0.0.1:80").partition(":")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": message.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(message.raw_path, "latin-1"),
            "RAW_URI": message.target,
            "QUERY_STRING": message.raw_query,
            "SERVER_NAME": host,
            "SERVER_PORT": port or "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.input": io.BytesIO(message.body),
            "wsgi.errors": io.StringIO(),
            "wsgi.url_scheme": "http",
            "wsgi.version": (1, 0),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        headers = _without_transfer(message.headers) | {"x-moto-account-id": self.account}
        names = {}
        for name, value in headers.items():
            environ[environ_key_for_header(name)] = value
            if should_preserve_original_header_name(name):
                names[environ_key_for_header(name)] = name
        environ["CONTENT_LENGTH"] = str(len(message.body))
        environ[PRESERVED_HEADER_NAMES_ENVIRON_KEY] = names
        return environ


def _without_transfer(headers: Mapping[str, str]) -> dict[str, str]:
    """Without what concerns a body that is already decoded, or a checksum that is already compared."""
    decoded = headers.get("x-amz-content-sha256", "").startswith("STREAMING-")
    dropped = {"transfer-encoding", "content-length", "expect"}
    return {
        name: value
        for name, value in headers.items()
        if name not in dropped and not (decoded and name == "x-amz-content-sha256")
    }


def stored_key(store: Store, message: Message) -> FakeKey:
    """The object that a write has just left.

    Raises:
        S3Error: 500, it is not there.
    """
    key = store.newest(message.bucket, message.key)
    if key is None:
        raise S3Error(500, "InternalError", "The object was not stored.")
    return key

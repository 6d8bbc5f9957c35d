"""The emulator: a port, an account, and what tests want to know about it."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from emulators.gate import Gate
from emulators.s3.app import Application, Request
from emulators.s3.faults import Fault, FaultKind
from emulators.s3.kept import KeptBuckets
from emulators.s3.store import Store
from emulators.s3.wire import WireServer

#: S3's own limit for one PUT.
LARGEST_PUT_BYTES = 5 << 30


class S3Emulator:
    """S3 on 127.0.0.1, for as long as the ``with`` block lasts.

    Several may run in one process; they share nothing.

    Args:
        port: 0 for any free one.
        buckets: Created at the start.
        assume_tls: Judge ``aws:SecureTransport`` as if TLS ended in front of the emulator.
        largest_put_bytes: A longer body is refused with EntityTooLarge.
        folder: Objects and buckets are kept there, and are there again for the next one with this folder.

    Raises:
        OSError: the port is taken.
        StaleState: another release wrote the folder.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        buckets: Sequence[str] = (),
        access_key: str = "emulator",
        secret_key: str = "emulator",
        region: str = "us-east-1",
        assume_tls: bool = False,
        largest_put_bytes: int = LARGEST_PUT_BYTES,
        folder: Path | None = None,
    ) -> None:
        self.access_key = access_key
        self.secret_key = secret_key
        self.region = region
        self._kept = KeptBuckets(folder) if folder else None
        self._store = Store(region, self._kept.account if self._kept else None)
        self._app = Application(self._store, access_key, secret_key, assume_tls, kept=self._kept)
        if self._kept:
            self._kept.restore(self._store, self._app.policies)
        self._server = WireServer(port, self._app, largest_body_bytes=largest_put_bytes)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        for bucket in buckets:
            self._store.create_bucket(bucket)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._server.hang_up()
        self._thread.join()
        if self._kept:
            self._kept.close()
        self._store.close()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """The endpoint for clients."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def account(self) -> str:
        """The account's number."""
        return self._store.account

    @property
    def requests(self) -> list[Request]:
        """Every request so far, oldest first."""
        return list(self._app.requests)

    def count(self, method: str = "", key: str = "", status: int | None = None) -> int:
        """How many requests had this method, a key in which ``key`` is found, and this status."""
        return sum(
            method in {"", request.method}
            and re.search(key, request.key) is not None
            and status in {None, request.status}
            for request in self.requests
        )

    def forget_requests(self) -> None:
        """Count from here."""
        self._app.requests.clear()

    def fail(self, kind: FaultKind, *, method: str = "PUT", key: str = "", times: int = 1) -> None:
        """Let the next ``times`` requests with this method and a key in which ``key`` is found go wrong."""
        self._app.faults.add(Fault(kind, method, key, times))

    def hold(self, *, method: str = "PUT", key: str = "", skip: int = 0, answer: bool = False) -> Gate:
        """Hold a request that matches at a gate: before it is carried out, or its ``answer``."""
        fault = Fault("held-answer" if answer else "held", method, key, skip=skip)
        self._app.faults.add(fault)
        return fault.gate

    def heal(self) -> None:
        """Forget all planned faults."""
        self._app.faults.faults.clear()

    def client(self, service: str = "s3", **changes: Any) -> Any:
        """A boto3 client with this emulator's credentials; ``changes`` go to boto3 as they are."""
        import boto3
        from botocore.config import Config

        settings = {
            "endpoint_url": self.url,
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key,
            "region_name": self.region,
            "config": Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        }
        return boto3.client(service, **(settings | changes))  # type: ignore[call-overload]

"""All three emulators as one stack: started together, set up, and ended together.

    with EmbeddedStack() as stack:
        subprocess.run([...], env=os.environ | stack.environment)

Guarantees: where one of them ends the others are ended too; nothing that was started outlives the
``with`` block, a start that fails half-way, or this process, however that ends. Without a home, keys and
secrets are new every time, and lake and warehouse are in memory. With one, both are kept there, always
both together, as are keys, secrets and (where they are still free) ports.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from emulators.children import Child, StackError
from emulators.ground import BUCKET, NAMES, PREFIX, REGION, USER, KeyPair, prepare_bucket, prepare_warehouse
from emulators.identity import Identity, emptied

__all__ = ["EmbeddedStack", "StackError"]

_END_SECONDS = 5.0
_T = TypeVar("_T")


class EmbeddedStack:
    """Amplitude, S3 and Snowflake on 127.0.0.1.

    Args:
        amplitude_port: 0 for any free one; likewise the other two.
        events_per_hour: What Amplitude has exported, on average over a day.
        amplitude_flags: More flags for ``python -m emulators.amplitude``.
        start_seconds: How long a start may take.
        home: Where everything is kept for the next stack; None for nowhere. Used by one stack at a time.

    Raises:
        StackError: on entering, when one of them does not start or cannot be set up.
    """

    def __init__(
        self,
        *,
        amplitude_port: int = 0,
        s3_port: int = 0,
        snowflake_port: int = 0,
        events_per_hour: int | None = None,
        amplitude_flags: Sequence[str] = (),
        start_seconds: float = 90.0,
        home: Path | None = None,
    ) -> None:
        self._home = home
        self._ports = {"amplitude": amplitude_port, "s3": s3_port, "snowflake": snowflake_port}
        self._amplitude_flags = list(amplitude_flags)
        if events_per_hour is not None:
            self._amplitude_flags += ["--events-per-hour", str(events_per_hour)]
        self._start_seconds = start_seconds
        self._children: dict[str, Child] = {}
        self._folder: Path | None = None
        self._over = threading.Event()
        self._failure: StackError | None = None
        self._ending = threading.Lock()
        self.environment: dict[str, str] = {}

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End everything that was started. Safe to repeat."""
        self._over.set()
        self._end_children()
        if self._folder is not None and self._home is None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def wait(self, seconds: float | None = None) -> bool:
        """Stay until the stack is closed, or that long; whether it is over.

        Raises:
            StackError: one of the emulators ended, and the others were ended with it.
        """
        over = self._over.wait(seconds)
        self.check()
        return over

    def check(self) -> None:
        """See that all three are there.

        Raises:
            StackError: one of them ended, and the others were ended with it.
        """
        if self._failure is not None:
            raise self._failure

    @property
    def processes(self) -> dict[str, int]:
        """The process ids, by emulator."""
        return {name: child.process.pid for name, child in self._children.items()}

    def _start(self) -> None:
        deadline = time.monotonic() + self._start_seconds
        identity = Identity.of(self._home)
        if self._home is None:
            folder = self._folder = Path(tempfile.mkdtemp(prefix="amplitude-stack-"))
        else:
            folder = self._folder = emptied(self._home / "emulators")
        ports = {name: port or identity.port(name) for name, port in self._ports.items()}
        key_pair = KeyPair.in_folder(self._home or folder)
        amplitude, lake = identity.amplitude, identity.lake
        endpoint = f"http://127.0.0.1:{ports['s3']}"
        self._launch(
            "snowflake", ports, [*_snowflake_flags(endpoint, key_pair), *self._kept("snowflake")], lake
        )
        self._launch("s3", ports, ["--region", REGION, "--assume-tls", *self._kept("s3")], lake)
        self._launch("amplitude", ports, self._amplitude_flags, amplitude)

        def lay_lake() -> str:
            self._children["s3"].wait_until_ready(deadline)
            return identity.kms_key or prepare_bucket(
                endpoint, lake["AWS_ACCESS_KEY"], lake["AWS_SECRET_KEY"]
            )

        def build_warehouse() -> None:
            from snowflake import connector  # noqa: F401  loaded while the others load

            self._children["snowflake"].wait_until_ready(deadline)
            prepare_warehouse(ports["snowflake"], key_pair.private)

        laid, built = _begun("lake", lay_lake), _begun("warehouse", build_warehouse)
        self._children["amplitude"].wait_until_ready(deadline)
        kms_key = laid.result()
        built.result()
        self.environment = _environment(ports, amplitude, lake, kms_key, key_pair)
        if self._home is not None:
            replace(identity, ports=ports, kms_key=kms_key).keep(self._home)
        for child in self._children.values():
            child.watch(self._lost)

    def _kept(self, name: str) -> list[str]:
        return [] if self._home is None else ["--folder", str(self._home / name)]

    def _launch(
        self, name: str, ports: Mapping[str, int], flags: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        folder = self._folder or Path()
        self._children[name] = Child(name, ["--port", str(ports[name]), *flags], environment, folder)

    def _lost(self, child: Child) -> None:
        """One ended by itself: the others go with it."""
        with self._ending:
            if self._over.is_set():
                return
            code = child.process.returncode
            self._failure = child.complaint(f"ended by itself (exit code {code}), and the stack with it")
        self._end_children()
        self._over.set()

    def _end_children(self) -> None:
        children = list(self._children.values())
        for child in children:
            child.ask_to_end()
        deadline = time.monotonic() + _END_SECONDS
        for child in children:
            child.end(deadline)


def _begun(what: str, prepare: Callable[[], _T]) -> Future[_T]:
    """Prepare one of the accounts, while others are prepared; nobody has to wait for a thread that hangs.

    Returns:
        What it will return; StackError, if it fails.
    """
    outcome: Future[_T] = Future()

    def run() -> None:
        try:
            outcome.set_result(prepare())
        except StackError as error:
            outcome.set_exception(error)
        except Exception as error:  # noqa: BLE001  told to whoever waits
            outcome.set_exception(StackError(f"The {what} could not be set up: {error}"))

    threading.Thread(target=run, daemon=True).start()
    return outcome


def _snowflake_flags(endpoint: str, key_pair: KeyPair) -> list[str]:
    return [
        *("--s3-endpoint", endpoint, "--s3-region", REGION),
        *("--user", USER, "--public-key", str(key_pair.public)),
    ]


def _environment(
    ports: Mapping[str, int],
    amplitude: Mapping[str, str],
    lake: Mapping[str, str],
    kms_key: str,
    key_pair: KeyPair,
) -> dict[str, str]:
    return {
        **amplitude,
        "AMP_DATA_REGION": "us",
        "AMP_BASE_URL": f"http://127.0.0.1:{ports['amplitude']}",
        **lake,
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{ports['s3']}",
        "BUCKET_NAME": BUCKET,
        "BUCKET_PREFIX": PREFIX,
        "KMS_KEY_ID": kms_key,
        "SNOWFLAKE_ACCOUNT": "emulator",
        "SNOWFLAKE_USER": USER,
        "SNOWFLAKE_PRIVATE_KEY_PATH": str(key_pair.private),
        "SNOWFLAKE_ROLE": NAMES.role,
        "SNOWFLAKE_WAREHOUSE": NAMES.warehouse,
        "SNOWFLAKE_DATABASE": NAMES.database,
        "SNOWFLAKE_SCHEMA": NAMES.schema,
        "SNOWFLAKE_HOST": "127.0.0.1",
        "SNOWFLAKE_PORT": str(ports["snowflake"]),
        "SNOWFLAKE_PROTOCOL": "http",
    }

"""The emulator as an object: start it, use it, stop it."""

import socket
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn

from emulators.snowflake.account import Account, Statement
from emulators.snowflake.faults import Faults
from emulators.snowflake.login import KeyPair
from emulators.snowflake.protocol import CuttableProtocol
from emulators.snowflake.results import Result
from emulators.snowflake.s3 import S3Settings
from emulators.snowflake.server import Service
from emulators.snowflake.session import Session

UNBLOCKING_SECONDS = 4 * 3600.0


class SnowflakeEmulator:
    """A Snowflake account on loopback, empty at first unless its folder holds one.

    Guarantees: each object is an account of its own; leaving the context ends every session, rolls back what
    is open, and frees the port.

    Args:
        s3_endpoint: where `s3://` leads; None is AWS.
        s3_access_key, s3_secret_key, s3_region: how the emulated service reads there.
        host, port: where to listen; port 0 takes a free one.
        user, public_key: the one user that may log in, and its public key (PEM). Without them anybody may.
        roles: roles that exist beside the system's own.
        dead_session_seconds: how long a session with an open transaction may be silent while it blocks
            another, before it is ended; one that blocks nobody has four hours.
        answer_within_seconds: after which the client is told to ask again.
        folder: the account is kept there, and is there again for the next emulator with this folder.

    Raises:
        StaleState: other releases wrote the folder.
    """

    protocol = "http"

    def __init__(  # noqa: PLR0913 - the settings of a whole service
        self,
        s3_endpoint: str | None = None,
        s3_access_key: str | None = "emulator",
        s3_secret_key: str | None = "emulator",
        *,
        s3_region: str = "us-east-1",
        host: str = "127.0.0.1",
        port: int = 0,
        user: str | None = None,
        public_key: str | None = None,
        roles: tuple[str, ...] = (),
        dead_session_seconds: float = 300.0,
        answer_within_seconds: float = 45.0,
        folder: Path | None = None,
    ) -> None:
        self.host = host
        self.port = port
        settings = S3Settings(s3_endpoint, s3_access_key, s3_secret_key, s3_region)
        self.account = Account.opened(settings, folder)
        self.account.objects.roles.update(role.upper() for role in roles)
        self.dead_session_seconds = dead_session_seconds
        key_pair = KeyPair(user or "", public_key) if public_key else None
        self._service = Service(self.account, key_pair, answer_within_seconds)
        self._server: uvicorn.Server | None = None
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self._own: Session | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{self.protocol}://{self.host}:{self.port}"

    @property
    def statements(self) -> list[Statement]:
        """Every statement that arrived, in order, with its session. May be cleared."""
        return self.account.statements

    @property
    def faults(self) -> Faults:
        """What shall go wrong."""
        return self.account.faults

    def execute(self, sql: str) -> Result:
        """Run a statement without a client, in a session of its own that lasts. Not logged, no faults."""
        self._own = self._own or Session(self.account, "EMULATOR", {})
        self._own.warehouse = self._own.warehouse or next(iter(self.account.objects.warehouses), None)
        return self._own.execute(sql, logged=False)

    def kill_sessions(self) -> None:
        """End every session now, as if all clients had vanished and been given up."""
        for session in list(self.account.sessions.values()):
            session.close()

    def start(self) -> Self:
        """Listen. Returns when clients can connect.

        Raises:
            OSError: the port is taken.
        """
        # With the protocol named, asyncio sets TCP_NODELAY; without, every answer takes 40 ms more.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self.host, self.port))
        except OSError:
            listener.close()
            raise
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(
            self._service.app, log_config=None, access_log=False, lifespan="off", http=CuttableProtocol,
            timeout_graceful_shutdown=2, ws="none", timeout_keep_alive=60,
        )  # fmt: skip
        self._server = server = uvicorn.Server(config)
        self._threads = [
            threading.Thread(target=server.run, args=([listener],), name="snowflake-emulator", daemon=True),
            threading.Thread(target=self._reap, name="snowflake-reaper", daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        while not server.started and self._threads[0].is_alive():
            time.sleep(0.01)
        return self

    def stop(self) -> None:
        """End every session and stop listening. Safe to repeat."""
        self._stopped.set()
        self.kill_sessions()
        if self._own:
            self._own.close()
            self._own = None
        if self._server:
            self._server.should_exit = True
            for thread in self._threads:
                thread.join(10)
            self._server = None
            self._service.pool.shutdown(wait=False, cancel_futures=True)
            self.account.fake.duck_conn.close()

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    def _reap(self) -> None:
        while not self._stopped.wait(min(1.0, self.dead_session_seconds / 4)):
            for session in list(self.account.sessions.values()):
                transaction = session.transaction
                if transaction is None or session.running:
                    continue
                blocks = self.account.locks.blocks_others(transaction.id)
                limit = self.dead_session_seconds if blocks else UNBLOCKING_SECONDS
                if time.monotonic() - session.last_seen > limit:
                    session.close()

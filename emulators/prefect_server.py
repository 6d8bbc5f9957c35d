"""A real Prefect server on loopback, that lives as long as its ``with`` block."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from emulators.children import StackError, free_port

_END_SECONDS = 5.0

#: How variables begin that lead to somebody's accounts or to another Prefect.
_STRAYS = ("AMP_", "AWS_", "SNOWFLAKE_", "PREFECT_", "BUCKET_", "KMS_")


def private_environment(home: Path) -> dict[str, str]:
    """This process's environment, with a Prefect of its own that tells nobody, and no stray credentials.

    Args:
        home: Where Prefect keeps what it keeps.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_STRAYS)}
    return kept | {
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "AWS_EC2_METADATA_DISABLED": "true",
        # Each library knows one of the two.
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


class PrefectServer:
    """``prefect server start``, with or without its user interface.

    It is under way when the block begins, and ready after :meth:`wait_until_ready`. It has no password, and
    listens on loopback; of the pages that a browser has loaded elsewhere, none may read what it answers.

    Args:
        environment: Its whole environment; PREFECT_HOME says where its database is.
        log: What it writes goes there.
        port: 0 for any free one.
        pages: A folder for the pages of the user interface; None serves none.
    """

    def __init__(
        self, environment: Mapping[str, str], log: Path, *, port: int = 0, pages: Path | None = None
    ) -> None:
        self._log = log
        self._port = port or free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.api_url = f"{self.url}/api"
        self._flags = ["--host", "127.0.0.1", "--port", str(self._port)]
        # The pages are its own, but they ask 127.0.0.1 also where they were opened as localhost.
        origins = f"{self.url},http://localhost:{self._port}"
        self._environment = {**environment, "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": origins}
        if pages is None:
            self._flags.append("--no-ui")
        else:
            self._environment |= {
                "PREFECT_SERVER_UI_API_URL": self.api_url,
                "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(pages),
                "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
            }

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "prefect", "server", "start", *self._flags]
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                # Prefect reads .env where it starts: the project's may lead to somebody's real database.
                cwd=self._log.parent,
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches its parent alone
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=_END_SECONDS)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def check(self) -> None:
        """See that it runs.

        Raises:
            StackError: It has ended.
        """
        if (code := self._process.poll()) is not None:
            msg = f"The Prefect server ended by itself (exit code {code}). It wrote:\n{self._tail()}"
            raise StackError(msg)

    def _tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])

    def wait_until_ready(self, seconds: float = 180.0) -> None:
        """Return once it answers.

        Raises:
            StackError: It ended, or did not answer in time.
        """
        until = time.monotonic() + seconds
        while time.monotonic() < until and self._process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.api_url}/health", timeout=2).is_success:
                    return
            time.sleep(0.2)
        msg = f"The Prefect server did not start:\n{self._tail()}"
        raise StackError(msg)

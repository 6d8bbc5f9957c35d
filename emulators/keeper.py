"""``python -m emulators.keeper HOME``: what `make up` leaves running. It holds all the others.

Started by :mod:`emulators.up`, which reads what it says: lines for the user, then ``ready``, or ``failed``
and why. What runs is written down as soon as it runs, so that another process can end it if this one
is killed.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import NoReturn

from emulators.children import StackError, is_free
from emulators.identity import emptied, write_privately
from emulators.prefect_server import PrefectServer, private_environment
from emulators.processes import Process
from emulators.record import FAILED, READY, Record
from emulators.stack import EmbeddedStack
from emulators.workshop import Worker, bury_runs, prepare_pool, run_step

UI_PORT = 4200
EVENTS_PER_HOUR = 600
_PORTS_TRIED = 100
_PORTS_END = 65_536


class _ToldToEnd(BaseException):
    """A signal asked for the end."""


class Keeper:
    """Starts everything, watches over it, and ends it.

    Args:
        home: Where everything is kept.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._record = Record(Process.of(os.getpid()))
        self._over = threading.Event()

    def run(self) -> int:
        """Stay until a signal asks for the end, or something ends by itself; 0, or 1 for the latter."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._end)
        try:
            with ExitStack() as held:
                try:
                    self._keep_running(held)
                finally:
                    self._over.set()  # before anything is ended: see _end
        except _ToldToEnd:
            Record.forget(self._home)
            return 0
        except (StackError, OSError) as error:
            self._write(replace(self._record, ready=False, failure=str(error)))
            _say(f"{FAILED}{error}")
            return 1

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        # Once is enough: what is ending must not be interrupted.
        if not self._over.is_set():
            self._over.set()
            raise _ToldToEnd

    def _keep_running(self, held: ExitStack) -> NoReturn:
        home = self._home
        self._write(self._record)
        logs = emptied(home / "logs")
        environment = _environment(home)
        server = held.enter_context(
            PrefectServer(environment, logs / "prefect-server.log", port=ui_port(), pages=home / "ui")
        )
        self._started("prefect-server", server.pid, ui=server.url)
        stack = held.enter_context(EmbeddedStack(home=home, events_per_hour=EVENTS_PER_HOUR))
        for name, pid in stack.processes.items():
            self._started(name, pid)
        _say("Amplitude, S3 and Snowflake (emulators) listen.")
        server.wait_until_ready()
        _say(f"Prefect server: {server.url}")
        bury_runs(server.api_url)
        environment["PREFECT_API_URL"] = server.api_url
        lines = "".join(f"{name}={value}\n" for name, value in stack.environment.items())
        write_privately(home / "env", lines)
        register = ["blocks.register", "--env-file", str(home / "env")]
        with ThreadPoolExecutor() as threads:
            registered = threads.submit(
                run_step, "The blocks could not be registered", register, environment, logs / "register.log"
            )
            prepare_pool(server.api_url)
            # Deploying also does away with runs that were due while nothing ran: one finds what they missed.
            deploy = ["prefect", "--no-prompt", "deploy", "--all"]
            run_step("The deployments could not be applied", deploy, environment, logs / "deploy.log")
            registered.result()
        _say("Blocks are registered, deployments applied.")
        worker = held.enter_context(Worker(server.api_url, environment, logs / "worker.log"))
        self._started("worker", worker.pid)
        worker.wait_until_ready()
        self._write(replace(self._record, ready=True))
        _say(READY)
        _fall_silent()
        while True:
            stack.wait(1.0)
            server.check()
            worker.check()

    def _started(self, name: str, pid: int, ui: str = "") -> None:
        processes = {**self._record.processes, name: Process.of(pid)}
        self._write(replace(self._record, processes=processes, ui=ui or self._record.ui))

    def _write(self, record: Record) -> None:
        self._record = record
        record.write(self._home)


def ui_port(first: int = UI_PORT) -> int:
    """The first port from 4200, Prefect's own, on that nobody listens on.

    Raises:
        StackError: None of the next hundred is free.
    """
    for port in range(first, min(first + _PORTS_TRIED, _PORTS_END)):
        if is_free(port):
            return port
    msg = f"None of the {_PORTS_TRIED} ports from {first} on is free."
    raise StackError(msg)


def _environment(home: Path) -> dict[str, str]:
    return private_environment(home) | {
        "TMPDIR": str(emptied(home / "tmp")),
        # Slots of runs that were killed are free again after a restart of the server.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    }


def _say(line: str) -> None:
    with suppress(OSError):  # nobody listens any more
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def _fall_silent() -> None:
    """Let whoever reads what this process says see the end of it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


if __name__ == "__main__":
    sys.exit(Keeper(Path(sys.argv[1])).run())

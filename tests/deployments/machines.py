"""Workers as if each had a machine of its own, which can be taken from it at any moment."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

PREFECT = [sys.executable, "-m", "prefect"]
_MARK = "MACHINE_OF_THIS_TEST"


class Machine:
    """A folder, a process worker in it, and the runs that the worker has begun.

    Args:
        name: No other machine's.
        environment: Of the worker, and of its runs.
        limit: How many runs the worker does at a time.
    """

    def __init__(self, name: str, folder: Path, environment: Mapping[str, str], *, limit: int = 5) -> None:
        self.name = name
        self._limit = str(limit)
        self._folder = folder / name
        self._folder.mkdir()
        self.log = folder / f"{name}.log"
        self._environment = {**environment, _MARK: f"{os.getpid()}-{name}", "TMPDIR": str(self._folder)}

    def __enter__(self) -> Self:
        command = [*PREFECT, "worker", "start", "--pool", "amplitude", "--name", self.name]
        command += ["--limit", self._limit]
        with self.log.open("ab") as output:
            self._worker = subprocess.Popen(
                command, cwd=self._folder, env=self._environment, stdout=output, stderr=output
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._worker.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._worker.wait(timeout=15)
        self.lose()

    def lose(self) -> int:
        """SIGKILL for all of it at once; how many processes there were."""
        lost = 0
        for pid, variables in _processes():
            if variables.get(_MARK) == self._environment[_MARK]:
                _kill(pid)
                lost += 1
        self._worker.wait()
        return lost

    def runs(self) -> set[str]:
        """The ids of the flow runs that are under way on it."""
        return {
            variables["PREFECT__FLOW_RUN_ID"]
            for _, variables in _processes()
            if variables.get(_MARK) == self._environment[_MARK] and "PREFECT__FLOW_RUN_ID" in variables
        }

    def kill_run(self, run: str) -> int:
        """SIGKILL for the process of one run; the worker lives on. How many processes that were."""
        killed = 0
        for pid, variables in _processes():
            mine = variables.get(_MARK) == self._environment[_MARK]
            if mine and variables.get("PREFECT__FLOW_RUN_ID") == run and b"prefect.engine" in _command(pid):
                _kill(pid)
                killed += 1
        return killed


def _processes() -> Iterator[tuple[int, dict[str, str]]]:
    """Every process that may be looked at, and the environment that it was started with."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                pairs = (entry / "environ").read_bytes().decode("utf-8", "replace").split("\0")
                yield int(entry.name), dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def _command(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)

"""Real flow processes: started, watched through what they log, and killed."""

from __future__ import annotations

import itertools
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

#: What a run is at between planning and reconciliation.
COUNTED_PHASES = ("exporting", "committing", "loading", "counting")

_ROOT = Path(__file__).resolve().parents[2]
_READY_SECONDS = 120.0
_LOOK_SECONDS = 0.005
_PLANNED = re.compile(r"Task run 'plan' - Finished in state Completed")
_DOWNLOADED = re.compile(r"Task run 'download [^']*' - Finished in state Completed")
_COMMITTED = re.compile(r"Task run 'upload [^']*' - Finished in state Completed")
_LOADED = re.compile(r"Task run 'load [^']*' - Finished in state Completed")
_TIME = re.compile(r"^([0-9]{2}):([0-9]{2}):([0-9]{2}\.[0-9]{3}) \|", re.MULTILINE)
_RECONCILED = re.compile(r"Task run 'reconcile' - Finished in state Completed")


class RunLost(Exception):
    """A run did not begin, or did not end."""


@dataclass
class Run:
    """One flow process.

    Attributes:
        command: What it runs, as after ``python -m``.
        log: Everything it writes.
        hours: How many hours its command asks for.
        exit_code: Once it has ended; negative for the signal that ended it.
    """

    command: Sequence[str]
    log: Path
    pid: int
    hours: int
    exit_code: int | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def text(self) -> str:
        """What it has written so far."""
        return self.log.read_text("utf-8", "replace")

    @property
    def phase(self) -> str:
        """What it is at, by what it has logged."""
        text = self.text
        if not _PLANNED.search(text):
            return "planning"
        if _RECONCILED.search(text):
            return "done"
        if _LOADED.search(text):
            return "counting"
        if len(_COMMITTED.findall(text)) >= self.hours:
            return "loading"
        return "committing" if _DOWNLOADED.search(text) else "exporting"

    @property
    def work_seconds(self) -> float | None:
        """From planning to reconciliation, if it came to both and downloaded anything."""
        text = self.text
        times = []
        for mark in (_PLANNED, _RECONCILED):
            found = mark.search(text)
            if found is None or not _DOWNLOADED.search(text):
                return None
            hour, minute, second = _TIME.findall(text[: found.end()])[-1]
            times.append(timedelta(hours=int(hour), minutes=int(minute), seconds=float(second)))
        return max(0.0, (times[1] - times[0]).total_seconds())

    @property
    def is_under_way(self) -> bool:
        """Whether it is between planning and reconciliation, so that a kill counts."""
        return self.phase in COUNTED_PHASES

    def wait_until_planned(self, seconds: float) -> bool:
        """Whether it has planned and is not through."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self.ended.is_set():
            if self.phase != "planning":
                return True
            time.sleep(_LOOK_SECONDS)
        return False

    def kill(self) -> str:
        """SIGKILL it, now.

        Returns:
            The phase that it was killed in; nothing if it had ended, or the kill does not count.
        """
        if not self.ended.is_set():
            os.kill(self.pid, signal.SIGKILL)
        self.wait(30)
        return self.phase if self.exit_code == -signal.SIGKILL and self.is_under_way else ""

    def wait(self, seconds: float) -> int:
        """Its exit code, once it has ended.

        Raises:
            RunLost: It does not end.
        """
        if not self.ended.wait(seconds) or self.exit_code is None:
            msg = f"{' '.join(self.command)} (process {self.pid}) did not end in {seconds:g} s: {self.log}"
            raise RunLost(msg)
        return self.exit_code


class Nursery:
    """Starts runs; see :mod:`tests.campaigns.crash_nursery`. What still runs at the end is killed.

    Args:
        environment: The whole environment of each run.
        folder: Where their logs go.
    """

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self._folder = folder
        self._runs: dict[int, Run] = {}
        self._deaths: dict[int, int] = {}
        self._numbers = itertools.count(1)
        self._said: queue.Queue[str] = queue.Queue()
        self._guard = threading.Lock()
        with (folder / "nursery.log").open("wb") as complaints:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.campaigns.crash_nursery"],
                cwd=_ROOT,
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
                start_new_session=True,
            )
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for run in list(self._runs.values()):
            if not run.ended.is_set():
                run.kill()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(10)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def wait_until_ready(self) -> None:
        """Return once runs can be started."""
        self._expect("ready")

    def start(self, module: str, *arguments: str, hours: int) -> Run:
        """``python -m module arguments…``, under way."""
        log = self._folder / f"run-{next(self._numbers)}.log"
        log.touch()
        order = json.dumps({"module": module, "arguments": arguments, "log": str(log)})
        assert self._process.stdin is not None
        self._process.stdin.write(f"{order}\n")
        self._process.stdin.flush()
        run = Run((module, *arguments), log, int(self._expect("born").split()[1]), hours)
        with self._guard:
            self._runs[run.pid] = run
            if run.pid in self._deaths:
                self._end(run, self._deaths.pop(run.pid))
        return run

    def _expect(self, word: str) -> str:
        try:
            line = self._said.get(timeout=_READY_SECONDS)
        except queue.Empty:
            line = ""
        if not line.startswith(word):
            complaints = (self._folder / "nursery.log").read_text("utf-8", "replace")[-2000:]
            msg = f"The nursery said {line!r} instead of {word!r}:\n{complaints}"
            raise RunLost(msg)
        return line

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if not line.startswith("dead"):
                self._said.put(line.strip())
                continue
            pid, code = map(int, line.split()[1:])
            with self._guard:
                if pid in self._runs:
                    self._end(self._runs.pop(pid), code)
                else:
                    self._deaths[pid] = code
        self._said.put("")

    def _end(self, run: Run, code: int) -> None:
        self._runs.pop(run.pid, None)
        run.exit_code = code
        run.ended.set()

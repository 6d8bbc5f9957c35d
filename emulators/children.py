"""Emulators as processes that live no longer than whoever started them."""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
_READY = "listening on "
_TAIL_CHARACTERS = 2000


class StackError(Exception):
    """An emulator did not start, or ended before it was told to."""


def is_free(port: int) -> bool:
    """Whether nobody listens on this port at this moment, on loopback or on every address."""
    with socket.socket() as caller:
        if caller.connect_ex(("127.0.0.1", port)) == 0:
            return False
    with socket.socket() as probe:
        # As servers do it: what is left of connections that are over is no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Child:
    """One emulator: ``python -m emulators.<name>``.

    It has a session of its own, so that Ctrl-C in the terminal reaches its parent alone, and a pipe
    as standard input: when the parent is gone, however it went, the pipe ends and so does the child.

    Args:
        folder: Its complaints are written there, to ``<name>.log``, and so is what it puts aside.
        environment: Added to the parent's own; secrets are handed over here, not as flags.
    """

    def __init__(self, name: str, flags: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._stopping = False
        self._lines: queue.Queue[str] = queue.Queue()
        with self.log.open("wb") as complaints:
            self.process = subprocess.Popen(
                [sys.executable, "-m", f"emulators.{name}", "--exit-with-parent", *flags],
                cwd=ROOT,
                env={**os.environ, **environment, "TMPDIR": str(folder)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
                start_new_session=True,
            )
        threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True).start()

    def _read(self, stream: IO[str]) -> None:
        with suppress(ValueError):  # closed under our hands: it is over
            for line in stream:
                self._lines.put(line)
        self._lines.put("")

    def wait_until_ready(self, deadline: float) -> str:
        """Its URL, once it listens.

        Args:
            deadline: As ``time.monotonic()`` counts.

        Raises:
            StackError: it ended, said something else, or was not ready in time.
        """
        try:
            line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            what = "was not ready in time"
            raise self.complaint(what) from None
        if not line.startswith(_READY):
            what = f"said {line.strip()!r}" if line else "ended before it was ready"
            raise self.complaint(what)
        return line.removeprefix(_READY).strip()

    def complaint(self, what: str) -> StackError:
        """An error with the last lines that it wrote to standard error."""
        tail = self.log.read_text("utf-8", "replace")[-_TAIL_CHARACTERS:].strip()
        return StackError(f"The {self.name} emulator {what}." + (f" It wrote:\n{tail}" if tail else ""))

    def watch(self, ended: Callable[[Child], None]) -> None:
        """Call ``ended`` from a thread if it ends before :meth:`ask_to_end`."""

        def wait() -> None:
            self.process.wait()
            if not self._stopping:
                ended(self)

        threading.Thread(target=wait, daemon=True).start()

    def ask_to_end(self) -> None:
        """End its standard input."""
        self._stopping = True
        with suppress(OSError, ValueError):
            if self.process.stdin is not None:
                self.process.stdin.close()

    def end(self, deadline: float) -> None:
        """See it ended: it has until ``deadline``, then it and what it started are killed."""
        self.ask_to_end()
        try:
            self.process.wait(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

"""Processes of others, known by their id and the moment of their birth.

Ids are used again. A process is only ever taken for the one that was written down if it was born at the
same moment; any other is left alone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Self

from emulators.children import StackError

_PROC = Path("/proc")
_KILL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Process:
    """One process.

    Args:
        born: When, as the system says it; only good for comparing.
    """

    pid: int
    born: str

    @classmethod
    def of(cls, pid: int) -> Self:
        """The process that has this id now; one that is never alive, if there is none."""
        return cls(pid, _living().get(pid, ("", 0))[0])

    @property
    def alive(self) -> bool:
        """Whether it still runs, it and no other with its id."""
        return bool(self.born) and Process.of(self.pid) == self


def descendants(ancestors: Iterable[Process]) -> list[Process]:
    """The processes that these have started, and those that those have, and so on; parents first."""
    living = _living()
    found = [one for one in ancestors if living.get(one.pid, ("", 0))[0] == one.born]
    known = {one.pid for one in found}
    count = len(found)
    for parent in found:  # grows meanwhile
        for pid, (born, parent_pid) in living.items():
            if parent_pid == parent.pid and pid not in known:
                known.add(pid)
                found.append(Process(pid, born))
    return found[count:]


def _nothing() -> None:
    pass


def end(
    processes: Collection[Process], seconds: float, meanwhile: Callable[[], None] = _nothing
) -> list[Process]:
    """Ask them to end, and kill those that have not ended after so many seconds.

    Args:
        meanwhile: Called again and again while they end.

    Returns:
        Those that were alive.
    """
    there = _signalled(processes, signal.SIGTERM)
    if not gone(there, seconds, meanwhile):
        _signalled(there, signal.SIGKILL)
        gone(there, _KILL_SECONDS)
    return there


def gone(processes: Collection[Process], seconds: float, meanwhile: Callable[[], None] = _nothing) -> bool:
    """Wait at most that long for the end of all of them; whether they have ended."""
    until = time.monotonic() + seconds
    while any(one.alive for one in processes):
        meanwhile()
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


@contextmanager
def undisturbed(signals: Iterable[signal.Signals]) -> Iterator[None]:
    """Let these signals wait until the block is over; for the main thread.

    A process that is started in it is known to whoever has to end it, before a signal asks for the end.
    They are not blocked: the process would inherit that, and could not be told to end.
    """
    came: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        came.append(number)

    handlers = {number: signal.signal(number, note) for number in signals}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for waiting in came:
            signal.raise_signal(waiting)


def _signalled(processes: Iterable[Process], number: signal.Signals) -> list[Process]:
    there = [one for one in processes if one.alive]
    for one in there:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(one.pid, number)
    return there


def _living() -> dict[int, tuple[str, int]]:
    """Birth and parent of every process that runs, by its id; of the dead that nobody has buried, none."""
    return from_proc() if (_PROC / "self" / "stat").exists() else from_ps()


def from_proc() -> dict[int, tuple[str, int]]:
    """Birth and parent by id, where the kernel shows them as files."""
    boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    found = {}
    for folder in _PROC.iterdir():
        if not folder.name.isdigit():
            continue
        with suppress(OSError):  # ended meanwhile
            # The name comes first, in brackets, and may hold anything: brackets and spaces too.
            fields = (folder / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
            state, parent, ticks = fields[0], int(fields[1]), fields[19]
            if state not in "ZX":
                found[int(folder.name)] = (f"{boot} {ticks}", parent)
    return found


def from_ps() -> dict[int, tuple[str, int]]:
    """The same, where it does not.

    Raises:
        StackError: There is no ps, or one that is too small.
    """
    try:
        listed = subprocess.run(
            ["ps", "-axo", "pid=,ppid=,stat=,lstart="],  # noqa: S607
            env={**os.environ, "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        msg = "Which processes run is seen in /proc or by the command ps, and neither works here."
        raise StackError(msg) from None
    found = {}
    for line in listed.stdout.splitlines():
        pid, parent, state, born = line.split(None, 3)
        if state[0] != "Z":
            found[int(pid)] = (born.strip(), int(parent))
    return found

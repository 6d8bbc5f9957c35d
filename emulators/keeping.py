"""Holding processes: what is started is written down, watched, and ended, whatever happens.

What runs is written down as soon as it runs, so that another process can end it if this one is killed.
Where that note is gone, everything ends: nobody could end it any more.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TypeVar

from emulators.children import StackError
from emulators.processes import Process, undisturbed
from emulators.record import FAILED, FILE, READY, Record

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_T = TypeVar("_T")

#: Takes about a second: sees that everything runs, and returns the runs that are under way.
Look = Callable[[], Sequence[Process]]


class _ToldToEnd(BaseException):
    """A signal asked for the end."""


class _Forgotten(Exception):
    """The note of this keeper is gone, and nobody could tell it to end."""


class Keeper:
    """Holds what it is equipped with, watches over it, and ends it.

    Args:
        home: Where everything is kept.
        equip: Starts everything, and returns how to look after it; it has :meth:`hold` and :meth:`started`.
    """

    def __init__(self, home: Path, equip: Callable[[Keeper], Look]) -> None:
        self.home = home
        self._equip = equip
        self._record = Record(Process.of(os.getpid()))
        self._held = ExitStack()
        self._over = threading.Event()

    def run(self) -> int:
        """Stay until a signal asks for the end, or something ends by itself; 0, or 1 for the latter."""
        for number in _SIGNALS:
            signal.signal(number, self._end)
        try:
            with self._held:
                try:
                    self._keep_running()
                finally:
                    self._over.set()  # before anything is ended: see _end
        except _ToldToEnd:
            if self._known():
                Record.forget(self.home)
            return 0
        except _Forgotten:
            say(f"{FAILED}{self.home / FILE} was removed or damaged, and so everything has been stopped.")
        except (StackError, OSError) as error:
            with suppress(_Forgotten, OSError):
                self._write(replace(self._record, ready=False, failure=str(error)))
            say(f"{FAILED}{error}")
        return 1

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        # Once is enough: what is ending must not be interrupted.
        if not self._over.is_set():
            self._over.set()
            raise _ToldToEnd

    def hold(self, started: AbstractContextManager[_T]) -> _T:
        """Enter it, and leave it at the end. Signals wait until that is certain: for what starts at once."""
        with undisturbed(_SIGNALS):
            return self._held.enter_context(started)

    def hold_slowly(self, started: AbstractContextManager[_T]) -> _T:
        """The same for what takes long to start, and leaves nothing behind where that is interrupted."""
        return self._held.enter_context(started)

    def started(self, name: str, process: Process, ui: str = "") -> None:
        """Write down a process, and where the user interface is.

        Raises:
            _Forgotten: Somebody has removed the note of the ones before.
        """
        processes = {**self._record.processes, name: process}
        self._write(replace(self._record, processes=processes, ui=ui or self._record.ui))

    def _keep_running(self) -> None:
        self._record.write(self.home)
        look = self._equip(self)
        self._write(replace(self._record, ready=True))
        say(READY)
        _fall_silent()
        while True:
            runs = tuple(look())
            if runs != self._record.runs:
                self._write(replace(self._record, runs=runs))
            elif not self._known():
                raise _Forgotten

    def _known(self) -> bool:
        """Whether what is written down is still about this keeper."""
        try:
            found = Record.read(self.home)
        except StackError:
            return False
        return found is not None and found.keeper == self._record.keeper

    def _write(self, record: Record) -> None:
        if not self._known():
            raise _Forgotten
        self._record = record
        record.write(self.home)


def say(line: str) -> None:
    """Tell whoever has started this process, if anybody listens."""
    with suppress(OSError):  # nobody listens any more
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def _fall_silent() -> None:
    """Let whoever reads what this process says see the end of it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)

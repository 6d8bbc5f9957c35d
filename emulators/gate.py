"""A place where a request is held until somebody lets it go on: to act at just that moment."""

from __future__ import annotations

import threading


class Gate:
    """Holds one request. Safe to share between threads.

    Whoever plans the fault waits until it is ``reached``, does what is to happen meanwhile, and then
    lets the request go on, or not. A gate that was opened before holds nobody.
    """

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._opened = threading.Event()
        self._passing = True

    def reached(self, seconds: float) -> bool:
        """Wait that long for a request; whether one has come."""
        return self._reached.wait(seconds)

    def let_go(self, *, on: bool = True) -> None:
        """Open it. ``on`` says whether the request is carried on with, or dropped. The first word counts."""
        if not self._opened.is_set():
            self._passing = on
            self._opened.set()

    def hold(self) -> bool:
        """Called by the emulator: stay until it is opened. Returns whether to carry on."""
        self._reached.set()
        self._opened.wait()
        return self._passing

"""Actors that take turns: each runs real code in a thread of its own, from one door to the next.

A door is every place where that code meets the world: a request to S3 or to Amplitude, a statement, a
look at the clock. There an actor stands until it is told to pass, to fail or to die, so that one seed
gives one order of events, however threads are scheduled.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

#: Threads in which core reads many manifests or checksums at once. What they read never changes, so the
#: order of their requests makes no difference, and they do not stand at doors.
_READERS = ("manifests", "verify")


class Killed(BaseException):
    """The actor's process is no more: nothing that its code still tries has any effect."""


@dataclass(frozen=True)
class Place:
    """A door, seen by who stands before it.

    Attributes:
        kind: What is asked of the world: ``put-manifest``, ``commit``.
        failure: What the actor gets instead of an answer.
        ready: Whether it could pass now; a lock that somebody else holds is not ready.
    """

    kind: str
    failure: Callable[[], Exception]
    ready: Callable[[], bool] = lambda: True


class Actor:
    """Something that runs by itself and stops at every door.

    Attributes:
        place: Where it stands; None when it has ended.
        error: What ended it, if anything did.
    """

    def __init__(self, name: str, work: Callable[[Actor], None]) -> None:
        self.name = name
        self.place: Place | None = None
        self.error: BaseException | None = None
        self.passed = 0
        self._work = work
        self._dead = False
        self._order: Callable[[Callable[[], object]], object] = _answered
        self._go, self._parked = threading.Lock(), threading.Lock()
        self._go.acquire()
        self._parked.acquire()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        self._parked.acquire()

    def door(self, place: Place, effect: Callable[[], T]) -> T:
        """Stand at a door until told to pass; called by the code that the actor runs.

        Args:
            effect: What happens in the world, all at once, and what is answered.
        """
        if self._dead:
            raise Killed
        if threading.current_thread().name.startswith(_READERS):
            return effect()
        self.place = place
        self._parked.release()
        self._go.acquire()
        if self._dead:
            raise Killed
        return self._order(effect)  # type: ignore[return-value]

    @property
    def ended(self) -> bool:
        """Whether its code is over."""
        return self.place is None

    @property
    def dead(self) -> bool:
        """Whether it was killed."""
        return self._dead

    def step(self) -> bool:
        """Let it pass the door where it stands, and run to the next; False if it cannot pass."""
        if self.place is None or not self.place.ready():
            return False
        self._resume(_answered)
        return True

    def fail(self, *, done: bool) -> None:
        """Let it get no answer, whether what it asked for was done or not."""
        assert self.place is not None
        place, done = self.place, done and self.place.ready()

        def order(effect: Callable[[], object]) -> object:
            if done:
                effect()
            raise place.failure()

        self._resume(order)

    def kill(self) -> None:
        """End it where it stands."""
        if self.place is not None:
            self._dead = True
            self._resume(_answered)
            assert self.place is None

    def _resume(self, order: Callable[[Callable[[], object]], object]) -> None:
        self._order = order
        self.passed += 1
        self.place = None
        self._go.release()
        self._parked.acquire()
        if self.place is None:
            self._thread.join()

    def _run(self) -> None:
        try:
            self._work(self)
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001  # looked at by who started it
            self.error = error
        self.place = None
        self._parked.release()


def _answered(effect: Callable[[], object]) -> object:
    return effect()

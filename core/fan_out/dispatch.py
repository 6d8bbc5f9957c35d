"""Shares carried out by runs of their own, or here; whoever starts the runs is passed in.

At most ``at_once`` runs are out at a time. A run that nobody begins is called off, and its share done here:
so one worker that can do only one thing at a time completes a whole plan. A run whose process died, or that
says it works while the lake shows nothing of it, is replaced the same way. Two runs of one share are safe:
the lake decides between what they write.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Generic, Protocol, TypeVar

from core.errors import PipelineError, is_transient
from core.fan_out.shares import Share
from core.report import reasons_in
from core.wording import counted

R = TypeVar("R")

#: So many shares in a row that failed and brought nothing: the next one would fare no better.
_FRUITLESS = 3


class Phase(Enum):
    """How far a run is."""

    WAITING = auto()  #: nobody has begun it
    RUNNING = auto()  #: somebody says so
    COMPLETE = auto()  #: green
    FAILED = auto()  #: it has said why
    CANCELLED = auto()  #: somebody did not want it
    DIED = auto()  #: its process ended without a word


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a run, and what it said at its end."""

    phase: Phase
    message: str = ""


class Runs(Protocol[R]):
    """Who starts runs elsewhere."""

    def start(self, share: Share) -> R:
        """Ask for a run that carries out a share."""
        ...

    def look(self, run: R) -> Seen:
        """How far it is."""
        ...

    def call_off(self, run: R) -> bool:
        """Take back a run that nobody has begun; whether that was so."""
        ...


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many runs are out at once, and how long each is waited for.

    Attributes:
        start_seconds: After that a run that nobody has begun is done here.
        quiet_seconds: After that a run that works, while the lake shows no progress, is done here too.
        poll_seconds: Between two looks.
    """

    at_once: int
    start_seconds: float
    quiet_seconds: float
    poll_seconds: float


@dataclass(frozen=True, slots=True)
class Ending:
    """What became of a share.

    Attributes:
        complete: Whether its run was green.
        reason: What the run said, if it was not; or why there was none.
        here: Whether it was carried out here.
        begun: Whether there was a run at all.
    """

    complete: bool
    reason: str = ""
    here: bool = False
    begun: bool = True


@dataclass(slots=True)
class _Out(Generic[R]):
    """A run that is out."""

    share: Share
    run: R
    started_at: float
    moved_at: float
    left: int
    phase: Phase = Phase.WAITING


@dataclass(slots=True)
class Dispatch(Generic[R]):
    """Carries shares out.

    Attributes:
        runs: None if there is nobody to run anything elsewhere.
        here: Carries a share out in this process; never raises for a failure of ours.
        left: How many hours of each share the lake still lacks; may fail with a transient error.
        told: Called with the number of hours that are through.
        clock: Seconds, of any clock that only goes forward.
    """

    runs: Runs[R] | None
    here: Callable[[Share], Seen]
    left: Callable[[Collection[Share]], Mapping[Share, int]]
    told: Callable[[int], None]
    bounds: Bounds
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    endings: dict[Share, Ending] = field(default_factory=dict)
    _fruitless: int = 0

    def carry_out(self, shares: Iterable[Share]) -> dict[Share, Ending]:
        """What became of each. Returns when none is out any more, and none will be started.

        Raises:
            PipelineError: The lake refuses to say how far the runs are. They go on. Permanent.
        """
        waiting, runs = deque(shares), self.runs
        out: list[_Out[R]] = []
        for share in waiting:
            self.endings.pop(share, None)
        while waiting or out:
            if self._fruitless >= _FRUITLESS:
                self._let_be(waiting)
            if runs is None:
                if waiting:
                    self._do_here(waiting.popleft(), out)
                continue
            while waiting and len(out) < self.bounds.at_once:
                share = waiting.popleft()
                now = self.clock()
                out.append(_Out(share, runs.start(share), now, now, len(share)))
            if not (self._settled(runs, out) or self._taken_over(runs, out)) and out:
                self.sleep(self.bounds.poll_seconds)
        return self.endings

    def _settled(self, runs: Runs[R], out: list[_Out[R]]) -> bool:
        """Whether any run has ended; those that died are done here."""
        before = len(out)
        for one in list(out):
            seen = runs.look(one.run)
            if seen.phase is not one.phase:
                one.phase, one.moved_at = seen.phase, self.clock()
            if seen.phase in {Phase.WAITING, Phase.RUNNING}:
                continue
            out.remove(one)
            if seen.phase is Phase.DIED:
                self._do_here(one.share, out)
            else:
                self._end(one.share, seen, here=False)
        return len(out) < before

    def _taken_over(self, runs: Runs[R], out: list[_Out[R]]) -> bool:
        """Whether a run that does not move was replaced: one, and then the others are looked at again."""
        now = self.clock()
        self._watch(out, now)
        for one in list(out):
            waiting = one.phase is Phase.WAITING
            overdue = now - one.started_at >= self.bounds.start_seconds
            quiet = now - one.moved_at >= self.bounds.quiet_seconds
            if (waiting and overdue and runs.call_off(one.run)) or (not waiting and quiet):
                out.remove(one)
                self._do_here(one.share, out)
                return True
        return False

    def _watch(self, out: Sequence[_Out[R]], now: float) -> None:
        """Note which shares have moved, and tell how far all of them are."""
        left = self._lacking([one.share for one in out])
        if left is None:
            return
        for one in out:
            if left[one.share] != one.left:
                one.left, one.moved_at = left[one.share], now
        through = sum(len(share) for share, ending in self.endings.items() if ending.begun)
        self.told(through + sum(len(one.share) - one.left for one in out))

    def _lacking(self, shares: Collection[Share]) -> Mapping[Share, int] | None:
        """How much is left of each, or None if the lake does not say so at this moment."""
        try:
            return self.left(shares)
        except PipelineError as error:
            if not is_transient(error):
                raise
            return None

    def _do_here(self, share: Share, out: Iterable[_Out[R]]) -> None:
        began = self.clock()
        self._end(share, self.here(share), here=True)
        for one in out:  # nobody has watched them meanwhile
            one.moved_at += self.clock() - began

    def _end(self, share: Share, seen: Seen, *, here: bool) -> None:
        complete = seen.phase is Phase.COMPLETE
        reason = seen.message or f"its run ended {seen.phase.name.lower()}"
        self.endings[share] = Ending(complete, "" if complete else reason, here)
        left = self._lacking([share])
        # A part whose hours failed one by one says nothing of the next part.
        own = complete or reasons_in(reason).stopped_by is None
        came = left is None or left[share] < len(share)
        self._fruitless = 0 if own or came else self._fruitless + 1
        self._watch([], self.clock())

    def _let_be(self, waiting: deque[Share]) -> None:
        while waiting:
            self.endings[waiting.popleft()] = Ending(
                complete=False, reason=f"{_FRUITLESS} parts in a row brought nothing", begun=False
            )


def told_of(endings: Mapping[Share, Ending]) -> str:
    """``12 parts, 2 of them here``."""
    begun = [ending for ending in endings.values() if ending.begun]
    here = sum(ending.here for ending in begun)
    return counted(len(begun), "part") + (f", {here} of them here" if here else "")

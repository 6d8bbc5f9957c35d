"""Shares carried out by runs of their own, or here; whoever starts the runs is passed in.

At most ``at_once`` runs are out at a time. A run that nobody begins is called off, and its share done here:
so one worker that can do only one thing at a time completes a whole plan. A run whose process died, or that
says it works while the lake shows nothing of it, is replaced by another one, and that one by doing it here.
What dies here, as it does while nobody can note down that it runs, is tried again for a while.
Two runs of one share are safe: the lake decides between what they write.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic

from core.errors import PipelineError
from core.fan_out.runs import Ending, Phase, R, Runs, Seen
from core.fan_out.shares import Share
from core.report import reasons_in

#: So many shares in a row that failed and brought nothing: the next one would fare no better.
_FRUITLESS = 3

#: So many times a share is tried again that died here.
_DEATHS_HERE = 10


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many runs are out at once, and how long each is waited for.

    Attributes:
        start_seconds: After that a run that nobody has begun is done here.
        quiet_seconds: After that a run that works, while the lake shows no progress, is replaced.
        poll_seconds: Between two looks.
    """

    at_once: int
    start_seconds: float
    quiet_seconds: float
    poll_seconds: float


@dataclass(slots=True, eq=False)
class _Out(Generic[R]):
    """A share that is being carried out; without a run while nobody could be asked for one, or here."""

    share: Share
    started_at: float
    moved_at: float
    left: int
    run: R | None = None
    phase: Phase = Phase.WAITING


@dataclass(slots=True)
class Dispatch(Generic[R]):
    """Carries shares out.

    Attributes:
        runs: None if there is nobody to run anything elsewhere.
        here: Carries a share out in this process, and calls its second argument after each hour. It raises
            nothing but what ends this process, too.
        left: How many hours of each share the lake still lacks; may raise what the lake raises.
        told: Called with the number of hours that are through.
        clock: Seconds, of any clock that only goes forward.
    """

    runs: Runs[R] | None
    here: Callable[[Share, Callable[[], None]], Seen]
    left: Callable[[Collection[Share]], Mapping[Share, int]]
    told: Callable[[int], None]
    bounds: Bounds
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    endings: dict[Share, Ending] = field(default_factory=dict)
    _waiting: deque[Share] = field(default_factory=deque)
    _out: list[_Out[R]] = field(default_factory=list)
    _started: Counter[Share] = field(default_factory=Counter)
    _lost: set[Share] = field(default_factory=set)
    _deaths_here: Counter[Share] = field(default_factory=Counter)
    _fruitless: int = 0

    def carry_out(self, shares: Iterable[Share]) -> dict[Share, Ending]:
        """What became of each. Returns when none is out any more, and none will be started.

        If it ends early, for whatever reason, so do the runs that are out.
        """
        self._waiting.extend(shares)
        self._fruitless = 0
        self._lost.clear()
        self._deaths_here.clear()
        for share in self._waiting:
            self.endings.pop(share, None)
        try:
            while self._waiting or self._out:
                if self._fruitless >= _FRUITLESS:
                    self._let_be()
                elif self.runs is None:
                    self._do_here(self._waiting.popleft())
                else:
                    self._send(self.runs)
                if self.runs is not None and self._out:
                    self._await(self.runs)
        except BaseException:
            self._cancel()
            raise
        return self.endings

    def _send(self, runs: Runs[R]) -> None:
        """Ask for as many runs as may be out."""
        while self._waiting and len(self._out) < self.bounds.at_once:
            self._out.append(self._begun(self._waiting.popleft()))
        for one in self._out:
            if one.run is None:
                one.run = runs.start(one.share, self._started[one.share])
                if one.run is None:
                    return
                self._started[one.share] += 1
                one.started_at = self.clock()

    def _begun(self, share: Share) -> _Out[R]:
        now = self.clock()
        return _Out(share, now, now, len(share))

    def _await(self, runs: Runs[R]) -> None:
        if not (self._settled(runs) or self._taken_over(runs)):
            self.sleep(self.bounds.poll_seconds)

    def _settled(self, runs: Runs[R]) -> bool:
        """Whether any run has ended."""
        before = len(self._out)
        for one in list(self._out):
            if one.run is None:
                continue
            seen = runs.look(one.run)
            if seen.phase is not one.phase:
                one.phase = seen.phase
                one.started_at = one.moved_at = self.clock()
            if seen.phase in {Phase.WAITING, Phase.RUNNING}:
                continue
            self._out.remove(one)
            if seen.phase is Phase.DIED:
                self._do_again(one.share)
            else:
                self._end(one.share, seen, here=False)
        return len(self._out) < before

    def _taken_over(self, runs: Runs[R]) -> bool:
        """Whether a run that does not move was replaced: one, and then the others are looked at again."""
        self._watch()
        now = self.clock()
        for one in self._out:
            waiting = one.phase is Phase.WAITING
            if waiting and now - one.started_at >= self.bounds.start_seconds:
                if one.run is None:
                    self._started[one.share] += 1  # there may be one after all: the next is not to be it
                if one.run is None or runs.call_off(one.run):
                    self._out.remove(one)
                    self._do_here(one.share)
                    return True
            elif one.run is not None and not waiting and now - one.moved_at >= self.bounds.quiet_seconds:
                runs.cancel(one.run)
                self._out.remove(one)
                self._do_again(one.share)
                return True
        return False

    def _do_again(self, share: Share) -> None:
        """Replace a run: by another one elsewhere, for what it died of may be its share; then here."""
        if share in self._lost:
            self._do_here(share)
        else:
            self._lost.add(share)
            self._waiting.appendleft(share)

    def _do_here(self, share: Share) -> None:
        mine = self._begun(share)
        self._out.append(mine)
        try:
            seen = self.here(share, self._watch)
        finally:
            self._out.remove(mine)
        if seen.phase is Phase.DIED and self._deaths_here[share] < _DEATHS_HERE:
            self._deaths_here[share] += 1
            self._waiting.appendleft(share)
            self.sleep(self.bounds.poll_seconds)
        else:
            self._end(share, seen, here=True)

    def _watch(self) -> None:
        """Note which shares have moved, and tell how far all of them are."""
        left = self._lacking([one.share for one in self._out])
        if left is None:
            return
        for one in self._out:
            if left[one.share] != one.left:
                one.left, one.moved_at = left[one.share], self.clock()
        through = sum(len(share) for share, ending in self.endings.items() if ending.begun)
        self.told(through + sum(len(one.share) - one.left for one in self._out))

    def _lacking(self, shares: Collection[Share]) -> Mapping[Share, int] | None:
        """How much is left of each, or None if the lake does not say: the runs find out why."""
        try:
            return self.left(shares)
        except PipelineError:
            return None

    def _end(self, share: Share, seen: Seen, *, here: bool) -> None:
        complete = seen.phase is Phase.COMPLETE
        reason = seen.message or f"its run ended {seen.phase.name.lower()}"
        self.endings[share] = Ending(complete, "" if complete else reason, here)
        left = self._lacking([share])
        # A part whose hours failed one by one says nothing of the next part.
        own = complete or reasons_in(reason).stopped_by is None
        came = left is not None and left[share] < len(share)
        self._fruitless = 0 if own or came else self._fruitless + 1
        self._watch()

    def _let_be(self) -> None:
        while self._waiting:
            self.endings[self._waiting.popleft()] = Ending(
                complete=False, reason=f"{_FRUITLESS} parts in a row brought nothing", begun=False
            )

    def _cancel(self) -> None:
        for one in self._out:
            if self.runs is not None and one.run is not None:
                with suppress(Exception):  # the others are to be ended, too, and what has happened is told
                    self.runs.cancel(one.run)

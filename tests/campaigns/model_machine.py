"""What can happen next, for hypothesis to choose from."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition

from core.gap_wishes import GapWishes
from core.hours import ExportHour
from tests.campaigns.model_choices import (
    CHANGES,
    LOADING,
    MOST_ACTORS,
    PLACES,
    WISHES,
    movers,
    numbers,
    sizes,
)
from tests.campaigns.model_counting import counted_rule
from tests.campaigns.model_runs import Craft
from tests.campaigns.model_source import Parts
from tests.campaigns.model_world import HOURS, Mover, World


class Machine(RuleBasedStateMachine):
    """Histories of one world; the laws are looked at in each step.

    Attributes:
        craft: What the runs are made of.
        tally: What all histories together have counted.
    """

    craft: ClassVar[Craft] = Craft()
    page: ClassVar[int] = 1000
    tally: ClassVar[Counter[str]] = Counter()

    @initialize(
        counts=st.lists(sizes, min_size=len(HOURS), max_size=len(HOURS)),
        age=st.sampled_from([0, 60, 120, 180, 240]),
        filled=st.booleans(),
        stale=st.booleans(),
    )
    def begin(self, counts: list[list[int]], age: int, filled: bool, stale: bool) -> None:
        self.made = 0
        contents = dict(zip(HOURS, map(self._parts, counts), strict=True))
        if not contents[HOURS[0]]:
            contents[HOURS[0]] = self._parts([1])
        self.world = World(contents, scratch(), self.craft, page=self.page)
        self.world.hides_all = stale
        if filled:
            self.world.finish(self.world.ingest(explicit=True))
        self.world.pass_time(age)

    # Actors

    def _room(self) -> bool:
        return len(self.world.movers) < MOST_ACTORS

    def _busy(self) -> bool:
        return bool(self.world.movers)

    def _at(self, number: int) -> Mover:
        return self.world.movers[number % len(self.world.movers)]

    def _complete(self, number: int) -> ExportHour:
        complete = [hour for hour in HOURS if hour <= self.world.newest]
        return complete[number % len(complete)]

    def _begun(self, mover: Mover, *, whole: bool) -> None:
        """A run that has begun, and may go on to its end before anything else happens."""
        if whole:
            self.world.finish(mover)

    @precondition(_room)
    @counted_rule(
        kind=st.sampled_from(["explicit", "scheduled", "explicit", "of another project"]), whole=st.booleans()
    )
    def ingest(self, kind: str, whole: bool) -> None:
        site = self.world.stranger if kind == "of another project" else None
        self._begun(self.world.ingest(explicit=kind != "scheduled", site=site), whole=whole)

    @precondition(_room)
    @counted_rule(wish=st.sampled_from(WISHES), hour=numbers, whole=st.booleans())
    def gap_fill(self, wish: str, hour: int, whole: bool) -> None:
        newest, one = self.world.newest, self._complete(hour)
        match wish:
            case "accept":
                wishes = GapWishes(HOURS[0], newest, accept_smaller=True)
            case "give up":
                wishes = GapWishes(one, one, give_up=(one,), reason="no use", only_named=True)
            case "retry":
                wishes = GapWishes(HOURS[0], newest, retry=(one,))
            case _:
                wishes = GapWishes(verify=wish == "verify", settle=wish != "not settling")
        self._begun(self.world.gap_fill(wishes), whole=whole)

    @precondition(_room)
    @counted_rule(whole=st.booleans())
    def load(self, whole: bool) -> None:
        self._begun(self.world.load(), whole=whole)

    @precondition(_busy)
    @counted_rule(who=movers, doors=st.integers(1, 40), hides=st.booleans())
    def go_on(self, who: int, doors: int, hides: bool) -> None:
        mover = self._at(who)
        for _ in range(doors):
            if not self.world.step(mover, hides=hides):
                break

    @precondition(_busy)
    @counted_rule(who=movers, place=st.sampled_from(PLACES), hides=st.booleans())
    def go_on_to(self, who: int, place: str, hides: bool) -> None:
        self.world.run_to(self._at(who), place, hides=hides)

    @precondition(_busy)
    @counted_rule(who=movers, place=st.sampled_from(LOADING), hides=st.booleans())
    def go_on_to_load(self, who: int, place: str, hides: bool) -> None:
        self.world.run_to(self._at(who), place, hides=hides)

    @precondition(_busy)
    @counted_rule(who=movers, hides=st.booleans())
    def come_to_an_end(self, who: int, hides: bool) -> None:
        self.world.finish(self._at(who), hides=hides)

    @precondition(_busy)
    @counted_rule(who=movers, done=st.booleans())
    def lose_an_answer(self, who: int, done: bool) -> None:
        self.world.fail(self._at(who), done=done)

    @precondition(_busy)
    @counted_rule(who=movers)
    def crash(self, who: int) -> None:
        self.world.crash(self._at(who))

    # Snowflake

    def _sessions(self) -> bool:
        return bool(self.world.account.sessions)

    @precondition(_sessions)
    @counted_rule(what=st.sampled_from(["dead end", "dead end", "all see", "kill", "abort"]), number=numbers)
    def sessions_are_looked_after(self, what: str, number: int) -> None:
        sessions = self.world.account.sessions
        match what:
            case "dead end":
                self.world.account.end_dead_sessions()
            case "all see":
                for session in sessions:
                    session.seen = None
            case "kill":
                sessions[number % len(sessions)].kill()
            case "abort":
                sessions[number % len(sessions)].rollback()

    @counted_rule(what=st.sampled_from(["rows", "ledger", "hour of the ledger"]), hour=numbers)
    def rows_are_deleted_by_hand(self, what: str, hour: int) -> None:
        match what:
            case "rows":
                self.world.truncate()
            case "ledger":
                self.world.drop_ledger(None)
            case _:
                self.world.drop_ledger(str(self._complete(hour)))

    # Time and Amplitude

    @counted_rule(minutes=st.sampled_from([5, 20, 60, 60, 120]))
    def time_passes(self, minutes: int) -> None:
        self.world.pass_time(minutes)

    @counted_rule(hour=numbers, kind=st.sampled_from(CHANGES), counts=sizes)
    def an_hour_changes(self, hour: int, kind: str, counts: list[int]) -> None:
        self._change(HOURS[hour], kind, counts)

    @precondition(lambda self: self._room() and self._busy())
    @counted_rule(
        who=movers,
        hour=numbers,
        kind=st.sampled_from(CHANGES),
        counts=sizes,
        to=st.sampled_from([("table",), ("lake",), ("table", "lake")]),
        hides=st.booleans(),
    )
    def one_is_overtaken(
        self, who: int, hour: int, kind: str, counts: list[int], to: tuple[str, ...], hides: bool
    ) -> None:
        """While one waits to load, an hour changes and others bring it: into the table, or the lake only."""
        mover = self._at(who)
        if mover.actor.place and mover.actor.place.kind not in LOADING:
            self.world.run_to(mover, "take_lock")
        one = self.world.changing[hour % len(self.world.changing)]
        for where in to:
            self._change(one, kind, counts)
            other = self.world.gap_fill(GapWishes(HOURS[0], self.world.newest, retry=(one,)))
            if where == "table":
                self.world.finish(other, hides=hides)
            else:
                self.world.run_to(other, "connect")

    def _change(self, hour: ExportHour, kind: str, counts: list[int]) -> None:
        parts = self.world.site.source.parts(hour)
        match kind:
            case "others":
                parts = self._parts(counts)
            case "more":
                parts = (*parts[:-1], (*(parts[-1] if parts else ()), *self._parts([1])[0]))
            case "fewer":
                parts = (parts[0][1:], *parts[1:]) if parts else ()
            case "another order":
                parts = tuple(reversed(parts))
        self.world.change(hour, parts)

    def _parts(self, counts: list[int]) -> Parts:
        parts = []
        for count in counts:
            parts.append(tuple(f"event {self.made + number}" for number in range(count)))
            self.made += count
        return tuple(parts)

    def teardown(self) -> None:
        try:
            if not self.world.laws.violations:
                self.world.settle_down()
        finally:
            self.world.close()
            self.tally.update(self.world.counts)
            self.tally["examples"] += 1


@cache
def scratch() -> Path:
    """For parts' files, which are named by what they hold: one folder for all histories."""
    folder = tempfile.mkdtemp(prefix="amplitude-model-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)

"""One source, one lake, one schema, and whoever works on them; moved step by step from outside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from core.errors import PipelineError
from core.gap_report import GapReport
from core.gap_wishes import GapWishes
from core.hours import ExportHour, ExportWindow
from core.lake.verdict import settled_from
from core.planning import FIRST_HOUR
from tests.campaigns.model_actors import Actor
from tests.campaigns.model_claims import check_final, check_green
from tests.campaigns.model_lake import Bucket
from tests.campaigns.model_laws import Laws, Violation
from tests.campaigns.model_runs import RULES, Craft, Run, Site
from tests.campaigns.model_snowflake import Account
from tests.campaigns.model_source import Clock, Parts, Source

APP, STRANGER = 1001, 1002

#: The hours of a world; before them there are none that could be asked for.
HOURS = tuple(FIRST_HOUR + number for number in range(6))

#: The last moment that a history reaches by itself: one more hour is complete, and no further one.
END = HOURS[-1].complete_at + timedelta(minutes=50)


@dataclass
class Mover:
    """An actor and the run that it does."""

    run: Run
    actor: Actor


class World:
    """Where everything happens. Every method but :meth:`settle_down` leaves the actors at doors.

    Attributes:
        hides_all: Whether every commit stays hidden from the sessions that are open.

    Args:
        contents: What the hours hold at first, oldest first.
        scratch: For the parts' files; may be shared.
        craft: What the runs are made of.
        page: How many keys a page of a listing has.

    Raises:
        Violation: From every method, when a law was broken.
    """

    def __init__(
        self, contents: Mapping[ExportHour, Parts], scratch: Path, craft: Craft, *, page: int = 1000
    ) -> None:
        self.craft, self.scratch, self.page = craft, scratch, page
        self.clock = Clock(HOURS[0].complete_at + timedelta(minutes=5))
        self.bucket = Bucket()
        other = {hour: ((f"of another project {hour}",),) for hour in HOURS[:2]}
        self.site = Site(Source(APP, contents), "ours/")
        self.stranger = Site(Source(STRANGER, other), "theirs/")
        self.laws = Laws(self.bucket, (self.site, self.stranger))
        self.account = Account(self.bucket, self.laws.on_commit)
        self.account.now = lambda: self.laws.step
        self.bucket.on_put = self.laws.on_put
        self.movers: list[Mover] = []
        self.counts: Counter[str] = Counter()
        self.final: Run | None = None
        self.hides_all = False

    # Runs

    @property
    def newest(self) -> ExportHour:
        """The last hour that can be asked for."""
        return min(ExportHour.newest_complete(self.clock.now), HOURS[-1])

    @property
    def changing(self) -> list[ExportHour]:
        """Hours that can be asked for and can still become others; there is always one."""
        return [hour for hour in HOURS if hour <= self.newest and self.can_change(hour)]

    def can_change(self, hour: ExportHour) -> bool:
        """Whether the hour can still become another: what settles it sees it as it stays."""
        return self.clock.now < settled_from(hour, RULES.settle)

    def ingest(self, *, explicit: bool, site: Site | None = None) -> Mover:
        """Begin an ingest."""
        first, last = (HOURS[0], self.newest) if explicit else (None, None)
        return self._begin("ingest", site, lambda run, actor: run.ingest(actor, first, last))

    def gap_fill(self, wishes: GapWishes | None = None) -> Mover:
        """Begin a gap-fill."""
        asked = wishes or GapWishes()
        return self._begin("gap-fill", None, lambda run, actor: run.gap_fill(actor, asked))

    def load(self) -> Mover:
        """Begin a load of all hours."""
        window = ExportWindow(HOURS[0], self.newest)
        return self._begin("load", None, lambda run, actor: run.load_alone(actor, window))

    def _begin(self, kind: str, site: Site | None, work: Callable[[Run, Actor], None]) -> Mover:
        self.counts[f"{kind} begun"] += 1
        run = Run(
            name=f"{kind} {self.counts.total()}",
            site=site or self.site,
            craft=self.craft,
            bucket=self.bucket,
            account=self.account,
            clock=self.clock,
            scratch=self.scratch,
            began=self.laws.step,
            planned=self.laws.on_plan,
            page=self.page,
        )
        mover = Mover(run, Actor(run.name, lambda actor: work(run, actor)))
        self.movers.append(mover)
        self._look(mover)
        return mover

    # Steps

    def step(self, mover: Mover, *, hides: bool = False) -> bool:
        """One door further; False if the actor cannot pass.

        Args:
            hides: Whether a commit stays hidden from the sessions that are open.
        """
        self.laws.step += 1
        self.account.hides = hides or self.hides_all
        if not mover.actor.step():
            self.laws.step -= 1
            return False
        self.counts["steps"] += 1
        self._look(mover)
        return True

    def run_to(self, mover: Mover, kind: str, *, hides: bool = False, limit: int = 400) -> bool:
        """On to the next door of a kind; False if the actor ends or cannot pass before that."""
        for _ in range(limit):
            if not self.step(mover, hides=hides) or mover.actor.place is None:
                return False
            if mover.actor.place.kind == kind:
                return True
        return False

    def finish(self, mover: Mover, *, hides: bool = False) -> Mover:
        """On to the end, or to a lock that somebody holds."""
        while self.step(mover, hides=hides):
            pass
        return mover

    def fail(self, mover: Mover, *, done: bool) -> None:
        """An answer is lost."""
        self.counts["answers lost"] += 1
        self._one(mover, lambda: mover.actor.fail(done=done))

    def crash(self, mover: Mover) -> None:
        """A process ends; its sessions stay until somebody ends them."""
        self.counts["crashes"] += 1
        self._one(mover, mover.actor.kill)

    def _one(self, mover: Mover, move: Callable[[], None]) -> None:
        self.laws.step += 1
        self.counts["steps"] += 1
        self.account.hides = self.hides_all
        move()
        self._look(mover)

    def _look(self, mover: Mover) -> None:
        """What an actor's last step has brought about."""
        actor, run = mover.actor, mover.run
        if actor.ended:
            self.movers.remove(mover)
            if not (actor.dead or actor.error is None or isinstance(actor.error, PipelineError)):
                self.laws.broken(f"{run.name} ended with {actor.error!r}")
            if run.green:
                self.counts["green"] += 1
                if run.site is self.site:
                    check_green(run, self.laws)
        if self.laws.violations:
            raise Violation("\n".join(self.laws.violations))

    # The rest of the world

    def pass_time(self, minutes: int) -> None:
        """Let the clock go on, not beyond the end."""
        self.clock.now = max(self.clock.now, min(END, self.clock.now + timedelta(minutes=minutes)))

    def change(self, hour: ExportHour, parts: Parts) -> bool:
        """Let an hour hold something else: until it can be settled, and never nothing for the first."""
        if not self.can_change(hour) or (hour == HOURS[0] and not any(parts)):
            return False
        self.site.source.become(hour, parts)
        self.counts["source changes"] += 1
        return True

    def truncate(self) -> None:
        """TRUNCATE events_raw."""
        self._sabotage(rows=True, ledger=False)

    def drop_ledger(self, hour: str | None) -> None:
        """DELETE FROM load_ledger: an hour, or everything."""
        self._sabotage(rows=False, ledger=True, hour=hour)

    def _sabotage(self, *, rows: bool, ledger: bool, hour: str | None = None) -> None:
        self.laws.step += 1
        tables = self.account.tables
        gone = list(tables.rows) if rows else []
        entries = (
            [number for number, one in tables.ledger.items() if hour in {None, one.hour}] if ledger else []
        )
        hours = {tables.rows[number].hour for number in gone}
        hours |= {one.hour for number in entries if (one := tables.ledger[number]).hour}
        self.account.sabotage(lambda seen: seen.without(rows=gone, ledger=entries, metadata=rows))
        self.laws.on_sabotage({one for one in hours if one}, self.account.tables)
        self.counts["sabotage"] += 1

    # The end

    def close(self) -> None:
        """End all actors."""
        for mover in list(self.movers):
            mover.actor.kill()
        self.movers.clear()

    def settle_down(self) -> None:
        """Let everything come to rest, run one clean gap-fill, and look whether all is where it should be."""
        for mover in list(self.movers):
            self.crash(mover)
        self.account.end_dead_sessions()
        self.clock.now = settled_from(HOURS[-1], RULES.settle) + timedelta(hours=1)
        mover = self.finish(self.gap_fill(GapWishes(HOURS[0], HOURS[-1], verify=True)))
        self.final = mover.run
        if not mover.actor.ended:
            self.laws.broken("the last gap-fill waits for a lock that nobody gives back")
        report, laws = mover.run.report, self.laws
        if not isinstance(report, GapReport):
            laws.broken(f"the last gap-fill came to nothing: {mover.actor.error}")
        else:
            check_final(report, self.laws, HOURS)
        if laws.violations:
            raise Violation("\n".join(laws.violations))

"""One round of the campaign: hours are brought and replaced, and whoever does so is killed at it.

Everything in a round but the moments of the machine follows from the seed and the round's number; a
round has hours of its own, so that any can be played alone.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from emulators.amplitude.changes import Change
from tests.campaigns.crash_ground import HOURS_PER_ROUND, Ground
from tests.campaigns.crash_runs import Run
from tests.campaigns.crash_steps import STEPS, Step, clear
from tests.campaigns.crash_truth import Verdict, compare

_RUN_SECONDS = 180.0

#: Arguments after ``python -m``.
Command = tuple[str, ...]


@dataclass
class Tally:
    """What became of a round.

    Attributes:
        kills: Between planning and reconciliation, by step or, for random moments, by phase.
        uncounted: Kills while it planned, or after it had reconciled.
        missed: Steps that a run never came to.
        runs: Processes started.
        recoveries: Runs after kills, up to a green one.
        verdict: Of lake and table, added up over all comparisons.
        red: Runs that should have been green, and what they said.
    """

    kills: Counter[str] = field(default_factory=Counter)
    uncounted: int = 0
    missed: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    recoveries: int = 0
    verdict: Verdict = field(default_factory=Verdict)
    red: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether nothing was lost, doubled or red."""
        return not self.verdict and not self.red


@dataclass
class Round:
    """A round of a campaign.

    Attributes:
        ingest: The module whose runs bring new hours.
        steps: Where runs are killed.
    """

    ground: Ground
    seed: int
    number: int
    ingest: str = "flows.ingest"
    steps: Sequence[Step] = STEPS
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        self._chance = Random(f"{self.seed}:{self.number}")
        self._window = self.ground.hours_of(self.number)

    def play(self) -> Tally:
        """Bring the hours; replace them after late data; kill whoever does, and compare."""
        hours, stage = self._window, self.ground.stage
        asked = ("--pipeline", stage.name, "--start", str(hours.first), "--end", str(hours.last))
        new = (self.ingest, *asked)
        self._ordeal(new, beside=[new, ("flows.gap_fill", *asked)], turn=2 * self.number)
        if self.tally.is_good:
            late = self._chance.sample(list(hours), self._chance.randint(1, HOURS_PER_ROUND))
            gone = self._chance.randint(0, 3)
            self.ground.changes.append(
                Change(hours=frozenset(late), drop=gone, add=gone + self._chance.randint(1, 9))
            )
            again = [argument for hour in late for argument in ("--retry", str(hour))]
            replace = ("flows.gap_fill", *asked, *again)
            self._ordeal(replace, beside=[replace, new], turn=2 * self.number + 1)
        return self.tally

    def _ordeal(self, command: Command, *, beside: Sequence[Command], turn: int) -> None:
        """Kill runs of a command: at the step whose turn it is, then at random moments; recover; compare."""
        self._strike(command, beside, self.steps[turn % len(self.steps)])
        for _ in range(self._chance.choice((0, 1, 1, 2))):
            self._strike(command, beside, None)
        clear(self.ground.stage)
        run = self._start(command)
        self.tally.recoveries += 1
        self._must_be_green(run)
        self.ground.learn(run)
        self.tally.verdict += compare(self.ground.stage, self._window)
        if litter := list(self.ground.scratch.glob("amplitude-run-*")):
            self.tally.red.append(f"{len(litter)} scratch folders are left in {self.ground.scratch}")

    def _strike(self, command: Command, beside: Sequence[Command], step: Step | None) -> None:
        """Start a run, sometimes two, and kill: at the step, or at a random moment if there is none."""
        chance, stage = self._chance, self.ground.stage
        clear(stage)
        let_go: Callable[[bool], None] | None = None
        trap = step.lay(stage, self.ground.scratch, chance) if step else None
        runs = [self._start(command)]
        if chance.random() < 0.25:
            runs.append(self._start(chance.choice(beside)))
        both = chance.random() < 0.5
        victims = runs if both or len(runs) == 1 else [chance.choice(runs)]
        moment = chance.random()
        if trap and step:
            let_go = trap.let_go
            there = trap.wait(runs, _RUN_SECONDS)
            if not there:
                self.tally.missed[step.name] += 1
            elif moment < 0.5:
                time.sleep(moment * self.ground.work_seconds)  # what is not held goes on meanwhile
        else:
            there = victims[0].wait_until_planned(_RUN_SECONDS)
            time.sleep(moment * self.ground.work_seconds)
        if there:
            phases = [phase for victim in victims if (phase := victim.kill())]
            self.tally.uncounted += len(victims) - len(phases)
            if step and phases and len(victims) == len(runs):
                phases[0] = step.name  # where one of those killed was held
            self.tally.kills.update(phases)
        if let_go:
            let_go(chance.random() < 0.5)
        for run in runs:
            if run not in victims or not there:
                self._must_be_green(run)

    def _start(self, command: Command) -> Run:
        self.tally.runs += 1
        return self.ground.nursery.start(*command, hours=HOURS_PER_ROUND)

    def _must_be_green(self, run: Run) -> None:
        if run.wait(_RUN_SECONDS):
            self.tally.red.append(f"{' '.join(run.command)} ended with {run.exit_code}: {run.log}")

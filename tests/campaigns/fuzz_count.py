"""What a campaign has seen: how far its inputs came, how they were refused, and what failed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Self

from tests.campaigns.fuzz_judge import Failure, Verdict
from tests.campaigns.fuzz_reading import Stage

#: The share of all inputs that must reach gzip: less, and the campaign would try the zip alone.
LEAST_AT_GZIP = 0.2

_REACHED = (Stage.DIRECTORY, Stage.MEMBER, Stage.GZIP, Stage.COUNT)


@dataclass
class Count:
    """Sums over verdicts; of several workers they can be added.

    Attributes:
        stages: How many archives came so far and no further.
        failures: The first of each kind.
        slowest: Seconds of CPU, and the number of that input.
        peak_mib: The most memory that one worker had.
    """

    inputs: int = 0
    lake_inputs: int = 0
    accepted: int = 0
    stages: Counter[Stage] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    failures: dict[str, Failure] = field(default_factory=dict)
    slowest: tuple[float, int] = (0.0, 0)
    peak_mib: float = 0.0

    def add(self, verdict: Verdict) -> None:
        """Take a verdict in."""
        self.inputs += 1
        if verdict.stage is None:
            self.lake_inputs += 1
        else:
            self.stages[verdict.stage] += 1
        if verdict.refused is None:
            self.accepted += 1
        else:
            self.refused[verdict.refused] += 1
        for failure in verdict.failures:
            self.failed[failure.kind] += 1
            self.failures.setdefault(failure.kind, failure)
        self.slowest = max(self.slowest, (verdict.cpu_seconds, verdict.number))

    def __iadd__(self, other: Count) -> Self:
        self.inputs += other.inputs
        self.lake_inputs += other.lake_inputs
        self.accepted += other.accepted
        self.stages += other.stages
        self.refused += other.refused
        self.failed += other.failed
        self.failures = other.failures | self.failures
        self.slowest = max(self.slowest, other.slowest)
        self.peak_mib = max(self.peak_mib, other.peak_mib)
        return self

    def reached(self, stage: Stage) -> int:
        """How many archives came so far, or further."""
        return sum(times for at, times in self.stages.items() if at >= stage)

    @property
    def is_good(self) -> bool:
        """Whether nothing failed, and enough inputs came as far as gzip."""
        return not self.failed and self.reached(Stage.GZIP) >= LEAST_AT_GZIP * self.inputs

    def summary(self, seconds: float) -> list[str]:
        """The table, and the last line."""
        lines = [f"{self.reached(stage):12,}  reached {stage.name.lower()}" for stage in _REACHED]
        lines.append(f"{self.lake_inputs:12,}  manifests, their names, and lake.json")
        lines.append(
            f"{self.accepted:12,}  accepted, and compared with what the standard library makes of them"
        )
        lines += [f"{times:12,}  refused with {name}" for name, times in self.refused.most_common()]
        pace = self.inputs / seconds if seconds else 0.0
        slowest, number = self.slowest
        lines.append(
            f"{pace:,.0f} inputs a second; {self.peak_mib:,.0f} MiB at most in one process; "
            f"the slowest took {slowest:.2f} s of CPU (input {number})."
        )
        told = " ".join(f"{stage.name.lower()}={self.reached(stage)}" for stage in _REACHED)
        share = self.reached(Stage.GZIP) / self.inputs if self.inputs else 0.0
        lines.append(
            f"inputs={self.inputs} {told} manifests={self.lake_inputs} accepted={self.accepted} "
            f"failures={self.failed.total()} at_gzip={share:.0%} seconds={seconds:.0f}"
        )
        return lines

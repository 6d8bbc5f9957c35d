"""What a campaign has done so far: kept in a file, so that it can go on where it was."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.campaigns.crash_round import Tally

#: What must not be, added up over all rounds.
FAULTS = ("lost", "duplicated", "strangers", "red")


@dataclass
class Journal:
    """One JSON object for each round.

    Args:
        path: The file; None to keep nothing.

    Attributes:
        rounds: The number of the next one.
        kills: Those that count, by step or phase.
        missed: Steps that a run never came to.
        sums: What else was counted.
    """

    path: Path | None
    rounds: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    sums: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        if self.path is not None and self.path.exists():
            for line in self.path.read_text("utf-8").splitlines():
                self._count(json.loads(line))

    @property
    def is_good(self) -> bool:
        """Whether nothing was ever lost, doubled or red."""
        return not any(self.sums[fault] for fault in FAULTS)

    def note(self, number: int, tally: Tally, seconds: float) -> None:
        """Add a round."""
        noted = {
            "round": number,
            "kills": tally.kills,
            "missed": tally.missed,
            "sums": {
                "lost": tally.verdict.lost,
                "duplicated": tally.verdict.duplicated,
                "strangers": tally.verdict.strangers,
                "red": len(tally.red),
                "recoveries": tally.recoveries,
                "runs": tally.runs,
                "uncounted": tally.uncounted,
                "seconds": round(seconds, 1),
            },
        }
        self._count(noted)
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(noted) + "\n")

    def _count(self, noted: dict[str, Any]) -> None:
        self.rounds = noted["round"] + 1
        self.kills.update(noted["kills"])
        self.missed.update(noted["missed"])
        self.sums.update(noted["sums"])

    def summary(self, seed: int, steps: Sequence[str], phases: Sequence[str]) -> list[str]:
        """Kills by step and by phase, and the last line."""
        lines = ["Kills at each step, and at random moments:"]
        lines += [f"{self.kills[name]:6,}  {name}" for name in steps]
        lines += [f"{self.kills[name]:6,}  at random, while {name}" for name in phases]
        faults = " ".join(f"{fault}={self.sums[fault]}" for fault in FAULTS)
        told = f"recoveries={self.sums['recoveries']} runs={self.sums['runs']} rounds={self.rounds}"
        seconds = f"uncounted={self.sums['uncounted']} seed={seed} seconds={self.sums['seconds']:.0f}"
        return [*lines, f"kills={self.kills.total()} {faults} {told} {seconds}"]

"""Survivors that somebody has looked at, and why no test kills them."""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.campaigns.mutation_score import Mutant

_FILE = Path(__file__).with_suffix(".toml")


@dataclass(frozen=True, slots=True)
class Survivors:
    """The list, by module and changed lines: mutmut's numbers move with every edit, the lines do not.

    Attributes:
        reasons: Why a change makes no difference, or none that a test should hold on to.
    """

    reasons: dict[tuple[str, str], str]

    @classmethod
    def read(cls, path: Path = _FILE) -> Self:
        """Read the list: a table for each reason, whose ``changes`` are ``module: - line + line``."""
        tables = tomllib.loads(path.read_text("utf-8"))["survivor"]
        return cls(
            {(table["module"], change): table["why"] for table in tables for change in table["changes"]}
        )

    def reason(self, mutant: Mutant) -> str:
        """Why a mutant lives."""
        return self.reasons.get(_key(mutant), "nobody has looked at it yet")

    def wrong(self, mutants: Collection[Mutant]) -> list[str]:
        """Entries of the mutated modules that name no survivor: killed since, or changed."""
        modules = {mutant.module for mutant in mutants}
        alive = {_key(mutant) for mutant in mutants if not mutant.is_dead}
        return [
            f"{module}: {change}"
            for module, change in self.reasons
            if module in modules and (module, change) not in alive
        ]


def _key(mutant: Mutant) -> tuple[str, str]:
    return mutant.module, " ".join(" ".join(line.split()) for line in mutant.change)

"""What became of the mutants: counted by module, and shown so that survivors can be looked at."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_KILLED = {1, 3}
_SURVIVED = {0}
_TIMED_OUT = {24, -24, 36, 152, 255}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one function.

    Attributes:
        name: mutmut's.
        fate: killed, survived, timeout, or skipped: no test reaches it, or nothing was found out.
        change: The lines that differ, each behind ``-`` or ``+``.
    """

    module: str
    name: str
    fate: str
    change: tuple[str, ...]

    @property
    def is_dead(self) -> bool:
        """Whether a test failed, or never came to its end."""
        return self.fate in {"killed", "timeout"}


@dataclass(frozen=True, slots=True)
class Score:
    """What became of some mutants.

    Attributes:
        share: Of all that were generated, how many a test has killed, in percent; 0 if there are none.
    """

    mutants: int
    killed: int
    survived: int
    timeouts: int
    skipped: int

    @property
    def share(self) -> float:
        """See the class."""
        return 100 * (self.killed + self.timeouts) / self.mutants if self.mutants else 0.0


def read_mutants(folder: Path, module: str) -> list[Mutant]:
    """What mutmut has written of one module.

    Args:
        folder: Where mutmut has worked.
    """
    mutated = folder / "mutants" / module
    fates = json.loads(Path(f"{mutated}.meta").read_text("utf-8"))["exit_code_by_key"]
    spans = json.loads(Path(f"{mutated}.spans").read_text("utf-8"))["spans"]
    lines = mutated.read_text("utf-8").splitlines()

    def body_of(function: str) -> list[str]:
        first, last = spans[function]
        return [line for line in lines[first - 1 : last] if f"def {function}" not in line]

    found = []
    for name, code in fates.items():
        function = name.rpartition(".")[2]
        original = body_of(f"{function.partition('__mutmut_')[0]}__mutmut_orig")
        difference = difflib.unified_diff(original, body_of(function), lineterm="", n=0)
        change = tuple(line for line in difference if not line.startswith(("---", "+++", "@@")))
        found.append(Mutant(module, name, _fate(code), change))
    return found


def score_of(mutants: Iterable[Mutant]) -> Score:
    """Count them."""
    fates = Counter(mutant.fate for mutant in mutants)
    return Score(fates.total(), fates["killed"], fates["survived"], fates["timeout"], fates["skipped"])


def _fate(code: int | None) -> str:
    if code in _KILLED:
        return "killed"
    if code in _SURVIVED:
        return "survived"
    return "timeout" if code in _TIMED_OUT else "skipped"

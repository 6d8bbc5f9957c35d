"""The long run: ``python -m tests.campaigns.model --steps 10000 --seed 1``.

Plays histories of runs, loaders, source changes and crashes against a lake and a warehouse in memory until
so many doors were passed, and prints what happened. Ends with 1 if a law was broken, after the shortest
history that breaks it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence

from tests.campaigns.model_laws import Violation
from tests.campaigns.model_play import run_machine
from tests.campaigns.model_runs import Craft

_EXAMPLES_AT_ONCE = 25
_RULES = 50


def main(arguments: Sequence[str] | None = None, *, craft: Craft | None = None, shrink: bool = True) -> int:
    """Run, and say what was done.

    Args:
        craft: What the runs are made of; the real core unless a test says otherwise.
        shrink: Whether the shortest history that breaks a law is looked for.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--steps", type=int, default=10_000, help="doors to pass, at least")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same histories")
    parser.add_argument("--page", type=int, default=1000, help="keys on a page of a listing; S3 gives 1,000")
    asked = parser.parse_args(arguments)
    tally: Counter[str] = Counter()
    began, violations, batch = time.perf_counter(), 0, 0
    while tally["steps"] < asked.steps and not violations:
        try:
            run_machine(
                craft=craft or Craft(),
                number=asked.seed * 1_000_000 + batch,
                examples=_EXAMPLES_AT_ONCE,
                rules=_RULES,
                shrink=shrink,
                tally=tally,
                page=asked.page,
            )
        except Violation as violation:
            violations += 1
            print("\n".join([str(violation), *getattr(violation, "__notes__", [])]))  # noqa: T201
        batch += 1
    seconds = time.perf_counter() - began
    for what, count in sorted(tally.items()):
        print(f"{what:32}{count:>12,}")  # noqa: T201
    print(f"{tally['steps'] / seconds:,.0f} steps a second, seed {asked.seed}")  # noqa: T201
    figures = {what: tally[what] for what in ("steps", "examples", "crashes")} | {"violations": violations}
    print(" ".join(f"{what}={count}" for what, count in figures.items()))  # noqa: T201
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())

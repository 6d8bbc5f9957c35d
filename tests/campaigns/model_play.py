"""Plays many histories from one seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.campaigns.model_machine import Machine
from tests.campaigns.model_runs import Craft


def run_machine(  # settings have names
    *,
    craft: Craft,
    number: int,
    examples: int,
    rules: int,
    shrink: bool,
    tally: Counter[str],
    page: int = 1000,
    without: Collection[str] = (),
) -> None:
    """Play histories, the same ones for the same number.

    Args:
        number: The seed.
        examples: How many histories.
        rules: How many rules each of them has, at most.
        shrink: Whether the shortest history that breaks a law is looked for.
        tally: Counts what happened.
        without: Rules that are left out, so that what is rare comes sooner.

    Raises:
        Violation: A law was broken.
    """
    changed = {"craft": craft, "page": page, "tally": tally, **dict.fromkeys(without)}
    made: Any = type("Machine", (Machine,), changed)
    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
    run_state_machine_as_test(
        seed(number)(made),
        settings=settings(
            max_examples=examples,
            stateful_step_count=rules,
            deadline=None,
            database=None,
            phases=phases,
            verbosity=Verbosity.normal if shrink else Verbosity.quiet,
            suppress_health_check=list(HealthCheck),
            print_blob=False,
            report_multiple_bugs=False,
        ),
    )

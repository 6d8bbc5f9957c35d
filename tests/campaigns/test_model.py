"""Histories that hypothesis draws: the real core breaks no law, and each broken one is caught."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.campaigns import model
from tests.campaigns.model_broken import CONTROLS, SOUND
from tests.campaigns.model_choices import DISTRACTIONS
from tests.campaigns.model_laws import Violation
from tests.campaigns.model_play import run_machine
from tests.campaigns.model_runs import Craft

pytestmark = pytest.mark.slow

#: Two guards fail only when three runs meet; without what distracts from that, they meet sooner.
RARE = {
    "loader that trusts what it read before the lock",
    "reading in one session and deleting in another",
}


@pytest.mark.parametrize(("craft", "examples"), [(Craft(), 60), (SOUND, 20)], ids=["real", "cut into pieces"])
def test_no_history_breaks_a_law(craft: Craft, examples: int) -> None:
    tally: Counter[str] = Counter()
    run_machine(craft=craft, number=2026, examples=examples, rules=50, shrink=True, tally=tally)
    assert tally["examples"] >= examples
    assert min(tally[what] for what in ("crashes", "answers lost", "green", "sabotage", "source changes")) > 0


@pytest.mark.parametrize("name", CONTROLS)
def test_a_broken_core_is_caught_within_500_histories(name: str) -> None:
    rare = name in RARE
    with pytest.raises(Violation):
        run_machine(
            craft=CONTROLS[name],
            number=1,
            examples=500,
            rules=20 if rare else 50,
            shrink=False,
            tally=Counter(),
            without=DISTRACTIONS if rare else (),
        )


def test_the_long_run_says_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    assert model.main(["--steps", "300", "--seed", "7"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    figures = dict(figure.split("=") for figure in last.split())
    assert int(figures["steps"]) >= 300
    assert int(figures["crashes"]) > 0
    assert figures["violations"] == "0"


def test_the_long_run_fails_when_a_law_is_broken(capsys: pytest.CaptureFixture[str]) -> None:
    broken = CONTROLS["ledger before COPY"]
    assert model.main(["--steps", "300", "--seed", "7"], craft=broken, shrink=False) == 1
    shown = capsys.readouterr().out
    assert "its rows are None" in shown
    assert shown.splitlines()[-1].endswith("violations=1")

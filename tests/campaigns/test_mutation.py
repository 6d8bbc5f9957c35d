"""The mutation campaign: one module of it in earnest, and what it does where tests see nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.campaigns.mutation import ROOT
from tests.campaigns.mutation_groups import CAMPAIGN, VERDICT, Group
from tests.campaigns.mutation_score import Mutant, Score, score_of
from tests.campaigns.mutation_survivors import Survivors
from tests.campaigns.mutation_tree import undecorated

HALF = """
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pair:
    left: int
    right: int

    @property
    def total(self) -> int:
        return self.left + self.right
"""

NOTHING = """
from core.pair import Pair


def test_nothing():
    Pair(1, 2).total
"""

RUN = """
import sys
from pathlib import Path

from tests.campaigns.mutation import campaign
from tests.campaigns.mutation_groups import Group

group = Group("pair", ("core/pair.py",), ("tests/test_pair.py",))
sys.exit(campaign([group], Path(sys.argv[1]), Path(sys.argv[2]), workers=1))
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=110
    )


def with_test(folder: Path, test: str) -> subprocess.CompletedProcess[str]:
    """The campaign over a project of one module and one test."""
    project = folder / "project"
    for name, text in (("core/__init__.py", ""), ("core/pair.py", HALF), ("tests/test_pair.py", test)):
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    (project / "tests/__init__.py").touch()
    (project / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\nmarkers = ["slow", "live"]\n', "utf-8"
    )
    return run("-c", RUN, str(project), str(folder / "work"))


@pytest.mark.slow
def test_every_change_of_the_rule_that_says_which_manifest_counts_is_noticed(tmp_path: Path) -> None:
    ended = run("-m", "tests.campaigns.mutation", "--modules", "verdict", "--folder", str(tmp_path))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "nobody has looked at it yet" not in ended.stdout
    assert ended.stdout.splitlines()[-1].startswith("mutants=")


@pytest.mark.slow
def test_negative_control_a_test_that_asserts_nothing_lets_mutants_live(tmp_path: Path) -> None:
    blind = with_test(tmp_path, NOTHING)
    assert (blind.returncode, blind.stderr) == (1, "")
    assert "below 90 %: pair" in blind.stdout
    assert "-        return self.left + self.right" in blind.stdout
    assert blind.stdout.splitlines()[-1] == "mutants=1 killed=0 survived=1 (0.0%)"


@pytest.mark.slow
def test_a_test_that_asserts_kills_them(tmp_path: Path) -> None:
    seeing = with_test(tmp_path, NOTHING.replace("Pair(1, 2).total", "assert Pair(1, 2).total == 3"))
    assert (seeing.returncode, seeing.stderr) == (0, "")
    assert seeing.stdout.splitlines()[-1] == "mutants=1 killed=1 survived=0 (100.0%)"


def mutant(fate: str, *change: str) -> Mutant:
    return Mutant("core/pair.py", "core.pair.x_total__mutmut_1", fate, change)


def test_what_never_ends_counts_as_killed_and_what_no_test_reaches_does_not() -> None:
    fates = ["killed"] * 6 + ["timeout"] * 2 + ["survived", "skipped"]
    score = score_of(mutant(fate) for fate in fates)
    assert score == Score(10, 6, 1, 2, 1)
    assert score.share == 80.0
    assert score_of([]).share == 0.0


def test_the_list_of_survivors_names_nothing_but_survivors() -> None:
    looked_at = Survivors({("core/pair.py", "- a + b"): "it is the same"})
    alive = mutant("survived", "-    a", "+    b")
    assert looked_at.reason(alive) == "it is the same"
    assert looked_at.wrong([alive]) == []
    assert looked_at.wrong([mutant("killed", "-    a", "+    b")]) == ["core/pair.py: - a + b"]
    assert looked_at.wrong([mutant("survived", "-    a", "+    c")]) == ["core/pair.py: - a + b"]
    assert looked_at.wrong([Mutant("core/other.py", "x", "killed", ())]) == []
    assert looked_at.reason(mutant("survived", "-    a", "+    c")) == "nobody has looked at it yet"


def test_properties_and_context_managers_are_made_behind_their_functions() -> None:
    assert undecorated(HALF).endswith(
        "    def total(self) -> int:\n        return self.left + self.right\n    total = property(total)\n"
    )
    once = "@cache\ndef kept():\n    return 1\n"
    assert undecorated(once) == once


@pytest.mark.parametrize("group", [*CAMPAIGN, VERDICT], ids=lambda group: group.name)
def test_every_module_and_every_test_of_a_group_is_there(group: Group) -> None:
    assert group.modules
    assert all((ROOT / path).exists() for path in (*group.modules, *group.tests))
    listed = {module for module, _ in Survivors.read().reasons}
    assert listed <= {module for one in CAMPAIGN for module in one.modules}

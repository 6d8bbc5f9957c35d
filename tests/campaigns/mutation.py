"""Change the code a little, and see that a test notices: mutmut over the four rooms that must not be wrong.

``python -m tests.campaigns.mutation [--modules planning manifest archive loader] [--workers 2] [--folder F]``

Exits with 1 if of any group less than 90 % of all mutants are killed, or if the list of survivors that were
looked at, ``mutation_survivors.toml``, names one that is none. That list changes no figure.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.campaigns.mutation_groups import CAMPAIGN, GROUPS, Group
from tests.campaigns.mutation_score import Mutant, Score, read_mutants, score_of
from tests.campaigns.mutation_survivors import Survivors
from tests.campaigns.mutation_tree import lay_out

ROOT = Path(__file__).parents[2]
WORK = ROOT / "mutants"
LEAST_PERCENT = 90.0

#: A mutant that counts without end is stopped by this before it fills the machine.
_MOST_BYTES = 6 << 30


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the groups that are asked for; see the module."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.mutation", description=__doc__)
    parser.add_argument("--modules", nargs="+", choices=GROUPS, default=[group.name for group in CAMPAIGN])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=WORK, help="where the copies are made")
    asked = parser.parse_args(arguments)
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))
    return campaign([GROUPS[name] for name in asked.modules], ROOT, asked.folder, workers=asked.workers)


def campaign(groups: Iterable[Group], root: Path, work: Path, *, workers: int) -> int:
    """Mutate the groups one after the other, and print what became of the mutants.

    Args:
        root: Where the project lies; nothing in it is changed.
        work: Where copies are made, a folder for each group; they stay, so that mutmut's own commands can
            be run in them.

    Returns:
        0 if every group reached 90 % and every listed survivor is one, 1 otherwise.
    """
    survivors = Survivors.read()
    everything: list[Mutant] = []
    poor: list[str] = []
    for group in groups:
        started = time.monotonic()
        mutants = run_mutmut(group, root, work / group.name, workers=workers)
        everything += mutants
        for module in group.modules:
            say(_line(module, score_of(one for one in mutants if one.module == module)))
        score = score_of(mutants)
        say(f"{_line(f'= {group.name}', score)} in {time.monotonic() - started:.0f} s")
        if score.share < LEAST_PERCENT:
            poor.append(group.name)
    for mutant in everything:
        if mutant.fate != "killed":
            why = () if mutant.is_dead else (f"because: {survivors.reason(mutant)}",)
            say(f"\n{mutant.fate}: {mutant.name}", *mutant.change, *why)
    wrong = survivors.wrong(everything)
    for one in wrong:
        say(f"no survivor: {one}")
    for name in poor:
        say(f"below 90 %: {name}")
    total = score_of(everything)
    dead = total.killed + total.timeouts
    say(f"\nmutants={total.mutants} killed={dead} survived={total.mutants - dead} ({total.share:.1f}%)")
    return 1 if poor or wrong else 0


def run_mutmut(group: Group, root: Path, folder: Path, *, workers: int) -> list[Mutant]:
    """Make a group's mutants in a copy of the project, and run the tests of each."""
    lay_out(group, root, folder)
    log = folder / "mutmut.log"
    command = [str(Path(sys.executable).with_name("mutmut")), "run", "--max-children", str(workers)]
    with log.open("wb") as output:
        done = subprocess.run(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        said = log.read_text("utf-8", errors="replace").replace("\r", "\n").splitlines()
        sys.exit("\n".join([*said[-30:], f"mutmut ended with {done.returncode}; all it said is in {log}"]))
    return [mutant for module in group.modules for mutant in read_mutants(folder, module)]


def say(*lines: str) -> None:
    """Print at once, what follows the first line indented."""
    sys.stdout.write("\n    ".join(lines) + "\n")
    sys.stdout.flush()


def _line(name: str, score: Score) -> str:
    return (
        f"{name:32} generated={score.mutants:4} killed={score.killed:4} survived={score.survived:3} "
        f"timeouts={score.timeouts:2} skipped={score.skipped:2} ({score.share:.1f}%)"
    )


if __name__ == "__main__":
    sys.exit(main())

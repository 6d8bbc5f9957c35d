"""The kill campaign in short, and whether it would notice."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from emulators.amplitude.truth import Truth
from tests.campaigns.crash_journal import Journal
from tests.campaigns.crash_round import Tally
from tests.campaigns.crash_runs import Nursery, Run
from tests.campaigns.crash_truth import Verdict, judge

_PROJECT = Path(__file__).resolve().parents[2]
_PLANNED = "06:36:56.650 | INFO    | Task run 'plan' - Finished in state Completed()\n"
_DOWNLOADED = "06:36:56.695 | INFO    | Task run 'download 2026-11-24T16' - Finished in state Completed()\n"
_COMMITTED = "06:36:56.851 | INFO    | Task run 'upload 2026-11-24T16' - Finished in state Completed()\n"
_LOADED = "06:36:57.231 | INFO    | Task run 'load 2026-11-24T16' - Finished in state Completed()\n"
_RECONCILED = "06:36:57.346 | INFO    | Task run 'reconcile' - Finished in state Completed()\n"


def _event(number: int, hour: str = "2026-11-24T16") -> Truth:
    return Truth(f"uuid-{number}", hour, f"{number:064x}")


def test_the_judge_counts_what_is_lost_there_twice_or_strange() -> None:
    truth = [_event(1), _event(2), _event(3)]
    assert not judge(truth, reversed(truth))
    assert judge(truth, truth[1:]) == Verdict(lost=1)
    assert judge(truth, [*truth, _event(1), _event(1)]) == Verdict(duplicated=2)
    moved = _event(1, "2026-11-24T17")
    assert judge(truth, [moved, *truth[1:]]) == Verdict(lost=1, strangers=1)
    changed = _event(1)._replace(sha256="0" * 64)
    assert judge(truth, [changed, *truth]) == Verdict(strangers=1)


def test_a_run_says_what_it_is_at(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.touch()
    run = Run(("flows.ingest",), log, pid=0, hours=2)
    phases = [run.phase]
    for line in (_PLANNED, _DOWNLOADED, _COMMITTED, _COMMITTED, _LOADED, _RECONCILED):
        log.write_text(log.read_text() + line)
        phases.append(run.phase)
    assert phases == ["planning", "exporting", "committing", "committing", "loading", "counting", "done"]
    assert run.work_seconds == pytest.approx(0.696)


def test_a_journal_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "journal" / "seed-1.jsonl"
    first = Journal(path)
    first.note(0, Tally(Counter({"rows copied": 2}), runs=5), 1.25)
    first.note(1, Tally(Counter({"rows copied": 1, "loading": 1}), uncounted=1, runs=4), 2.0)
    again = Journal(path)
    assert (again.rounds, again.kills, again.is_good) == (2, {"rows copied": 3, "loading": 1}, True)
    assert again.summary(1, ["rows copied"], ["loading"]) == first.summary(1, ["rows copied"], ["loading"])
    assert "kills=4 lost=0 duplicated=0 strangers=0 red=0 recoveries=0 runs=9" in again.summary(1, [], [])[-1]
    again.note(2, Tally(verdict=Verdict(lost=1)), 1.0)
    assert not Journal(path).is_good


@pytest.mark.slow
def test_runs_are_processes_that_can_be_killed(tmp_path: Path) -> None:
    with Nursery(dict(os.environ), tmp_path) as nursery:
        nursery.wait_until_ready()
        sound, wrong = nursery.start("this", hours=1), nursery.start("flows.ingest", "--bad", hours=1)
        assert (sound.wait(60), wrong.wait(60)) == (0, 2)
        assert "unrecognized arguments: --bad" in wrong.text
        idle = nursery.start("http.server", "0", "--bind", "127.0.0.1", hours=1)
        assert not idle.ended.wait(0.5)
        assert idle.kill() == ""  # it never planned anything
        assert idle.exit_code == -signal.SIGKILL
        assert not idle.wait_until_planned(1)


def _campaign(tmp_path: Path, *flags: str) -> tuple[int, str]:
    from prefect.settings import PREFECT_API_URL

    command = [sys.executable, "-m", "tests.campaigns.crash", "--journal", str(tmp_path), *flags]
    done = subprocess.run(
        [*command, "--prefect-api", str(PREFECT_API_URL.value())],
        cwd=_PROJECT,
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("prefect_server")
def test_whoever_is_killed_nothing_is_lost_and_nothing_loaded_twice(tmp_path: Path) -> None:
    code, said = _campaign(tmp_path, "--kills", "16", "--seed", "20")
    last = said.splitlines()[-1]
    assert code == 0, said
    assert "lost=0 duplicated=0 strangers=0 red=0" in last
    assert int(re.findall("kills=([0-9]+)", last)[0]) >= 16


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("prefect_server")
def test_a_manifest_that_is_written_first_is_found_out(tmp_path: Path) -> None:
    careless = ("--ingest", "tests.campaigns.crash_careless", "--step", "between parts")
    code, said = _campaign(tmp_path, "--kills", "20", "--seed", "5", *careless)
    assert code == 1, said
    assert "NOT GOOD: Verdict(lost=" in said
    assert "Again: python -m tests.campaigns.crash --seed 5 --only" in said

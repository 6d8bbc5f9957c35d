"""The process that `make up` leaves running: it loses nothing that it has started, and never stays alone."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from emulators.processes import Process, end, gone, undisturbed
from emulators.record import ROOT, Record

pytestmark = pytest.mark.slow

#: A real keeper of one other process, which starts one more: its run.
KEEPER = """
import os, signal, subprocess, sys, time
from pathlib import Path
from emulators.keeping import Keeper
from emulators.processes import Process, descendants

home, how = Path(sys.argv[1]), sys.argv[2]
SLEEP = "import time; time.sleep(60)"
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEP!r}])"

class Other:
    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, "-c", SLEEP if how else PARENT])
        if how:
            (home / "pid").write_text(str(self.process.pid))
            os.kill(os.getpid(), signal.SIGTERM)
        return self.process
    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

def equip(keeper):
    other = Process.of((keeper.hold if how != "hold_slowly" else keeper.hold_slowly)(Other()).pid)
    keeper.started("other", other)
    def look():
        time.sleep(0.05)
        return descendants([other])
    return look

sys.exit(Keeper(home, equip).run())
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / ".stack"
    folder.mkdir()
    return folder


@pytest.fixture
def start(home: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the keeper; whatever is left of it is killed."""
    started: list[subprocess.Popen[str]] = []

    def begin(how: str = "") -> subprocess.Popen[str]:
        command = [sys.executable, "-c", KEEPER, str(home), how]
        started.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def running(home: Path) -> Record:
    record = Record.read(home)
    assert record is not None
    return record


def another_keeper(home: Path) -> None:
    Record(Process(2**22 + 1, "just now")).write(home)


@pytest.mark.parametrize(
    "lose",
    [
        lambda home: (home / "running.json").unlink(),
        lambda home: (home / "running.json").write_text("{"),
        another_keeper,
        shutil.rmtree,
    ],
    ids=["removed", "damaged", "another's", "with its folder"],
)
def test_a_keeper_whose_note_is_lost_ends_with_all_that_it_holds(
    home: Path, start: Callable[..., subprocess.Popen[str]], lose: Callable[[Path], object]
) -> None:
    keeper = start()
    assert keeper.stdout is not None
    assert keeper.stdout.readline() == "ready\n"
    until(lambda: running(home).runs)
    record = running(home)
    (run,) = record.runs
    note = home / "running.json"
    try:
        assert not record.lost
        lose(home)
        lost = note.read_bytes() if note.exists() else None
        assert keeper.wait(5) == 1
        assert gone(list(record.processes.values()), 5)
        assert (note.read_bytes() if note.exists() else None) == lost, "nothing of another one is overwritten"
    finally:
        end([run], 5)


@pytest.mark.parametrize(("how", "survives"), [("hold", False), ("hold_slowly", True)])
def test_a_signal_while_something_starts_leaves_nothing_behind(
    home: Path, start: Callable[..., subprocess.Popen[str]], how: str, survives: bool
) -> None:
    """The second case is the control: there the signal comes between the start and the note of it."""
    assert start(how).wait(20) == 0
    other = Process.of(int((home / "pid").read_text()))
    assert bool(end([other], 5)) is survives
    assert not (home / "running.json").exists()


def test_a_signal_waits_and_is_not_lost() -> None:
    came: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _frame: came.append(number))
    try:
        with undisturbed([signal.SIGUSR1]):
            signal.raise_signal(signal.SIGUSR1)
            assert came == []
        assert came == [signal.SIGUSR1]
        signal.raise_signal(signal.SIGUSR1)
        assert came == [signal.SIGUSR1] * 2
    finally:
        signal.signal(signal.SIGUSR1, before)

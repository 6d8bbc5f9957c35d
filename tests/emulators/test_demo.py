"""``make run``: the whole way on one machine, without a network, and nothing left of it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PROJECT = Path(__file__).resolve().parents[2]
ALL = 5  # processes: itself, a Prefect server, three emulators
DEMO = [sys.executable, "-m", "emulators.demo", "--events-per-hour", "30"]


class Play:
    """The demonstration in a temporary folder of its own, with a mark that all its processes carry."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = f"PLAY={uuid.uuid4().hex}"
        name, _, value = self.mark.partition("=")
        self.environment = {**os.environ, "TMPDIR": str(folder), name: value}

    def start(self, command: list[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=PROJECT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def processes(self) -> list[str]:
        listed = subprocess.run(
            ["ps", "axeww", "-o", "pid=,command="], capture_output=True, text=True, check=True
        )
        return [line for line in listed.stdout.splitlines() if self.mark in line]

    def nothing_is_left(self) -> bool:
        until = time.monotonic() + 10
        while (left := self.processes()) and time.monotonic() < until:
            time.sleep(0.1)
        return left == [] and list(self.folder.iterdir()) == []


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    played = Play(tmp_path)
    yield played
    for line in played.processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(line.split()[0]), signal.SIGKILL)


#: In a network of its own: switch its loopback on (SIOCSIFFLAGS: IFF_UP, IFF_RUNNING), go on as the command.
ALONE = """
import fcntl, os, socket, struct, sys
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh14x", b"lo", 0x41))
os.execv(sys.argv[1], sys.argv[1:])
"""


def without_a_network(command: list[str]) -> list[str]:
    """The command with loopback and nothing else."""
    enclosed = ["unshare", "--net", "--map-root-user", sys.executable, "-c", ALONE]
    try:
        subprocess.run([*enclosed, sys.executable, "-c", ""], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        if os.environ.get("CI") and sys.platform == "linux":
            raise  # where root runs the tests, see ci.yml
        pytest.skip("this user may not make a network of its own")
    return [*enclosed, *command]


def test_it_ends_with_lake_and_warehouse_reconciled_and_needs_no_network(play: Play) -> None:
    process = play.start(without_a_network(DEMO))
    said, _ = process.communicate(timeout=280)
    assert process.returncode == 0, said
    assert "Nothing to fetch, nothing to load" in said
    assert "in events_unique" in said
    last = said.rstrip().splitlines()[-1]
    assert last.startswith("Lake and warehouse reconcile: 24 hours, ")
    assert play.nothing_is_left()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_interrupted_it_stops_everything_that_it_started(
    play: Play, number: signal.Signals, code: int
) -> None:
    process = play.start(DEMO)
    until = time.monotonic() + 60
    while len(play.processes()) < ALL and time.monotonic() < until:
        time.sleep(0.1)
    assert len(play.processes()) >= ALL
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == code
    assert play.nothing_is_left()

"""python -m emulators.snowflake, as a process."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import snowflake.connector

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


def _start(*arguments: str, **options: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "emulators.snowflake", *arguments]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, **options)  # type: ignore[call-overload,no-any-return]


def test_it_says_where_it_listens_and_stops_when_its_parent_goes() -> None:
    process = _start("--sql", "CREATE DATABASE house", "--exit-with-parent", stdin=subprocess.PIPE)
    assert process.stdout
    assert process.stdin
    found = re.fullmatch(r"listening on http://127\.0\.0\.1:(\d+)\n", process.stdout.readline())
    assert found
    login = {"user": "any", "password": "any", "account": "any", "protocol": "http", "host": "127.0.0.1"}
    with snowflake.connector.connect(port=int(found[1]), database="house", **login) as connection:
        assert connection.database == "HOUSE"
        process.stdin.close()
        assert process.wait(15) == 0
    assert process.stdout.read() == ""
    process.stdout.close()


def test_it_stops_cleanly_when_asked() -> None:
    process = _start()
    assert process.stdout
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0
    process.stdout.close()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--user", "loader"], "--user and --public-key belong together"),
        (["--user", "loader", "--public-key", "/no/such/key.pub"], "No such file"),
        (["--sql", "CREATE NONSENSE"], "--sql"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(arguments: list[str], words: str) -> None:
    process = _start(*arguments, stderr=subprocess.PIPE)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 2
    assert words in told.splitlines()[0]
    assert len(told.splitlines()) == 1

"""python -m emulators.snowflake, as a process."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import snowflake.connector

from emulators.s3 import S3Emulator

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
INTEGRATION = (
    "CREATE STORAGE INTEGRATION lake TYPE = EXTERNAL_STAGE STORAGE_PROVIDER = 'S3' ENABLED = TRUE "
    "STORAGE_AWS_ROLE_ARN = 'arn:aws:iam::1:role/r' STORAGE_ALLOWED_LOCATIONS = ('s3://lake/')"
)


def _start(*arguments: str, **options: Any) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "emulators.snowflake", *arguments]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, **options)


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_stops_cleanly_when_asked_and_leaves_no_file(number: signal.Signals, tmp_path: Path) -> None:
    process = _start(env={**os.environ, "TMPDIR": str(tmp_path)})
    assert process.stdout
    process.stdout.readline()
    assert list(tmp_path.iterdir())  # fakesnow's folder
    process.send_signal(number)
    assert process.wait(15) == 0
    process.stdout.close()
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_leaves_no_file_either(tmp_path: Path) -> None:
    process = _start("--user", "loader", env={**os.environ, "TMPDIR": str(tmp_path)})
    process.communicate(timeout=30)
    assert list(tmp_path.iterdir()) == []


def test_it_reads_the_lake_with_the_keys_of_its_environment() -> None:
    keys = {"AWS_ACCESS_KEY": "AKIALAKE", "AWS_SECRET_KEY": "lake-secret"}
    with S3Emulator(buckets=["lake"], access_key=keys["AWS_ACCESS_KEY"], secret_key="lake-secret") as lake:
        for environment in (keys, keys | {"AWS_SECRET_KEY": "wrong"}):
            setup = [
                "CREATE DATABASE house",
                INTEGRATION,
                "CREATE STAGE house.public.lake URL = 's3://lake/' STORAGE_INTEGRATION = lake",
                "LIST @house.public.lake",
            ]
            flags = [word for statement in setup for word in ("--sql", statement)]
            process = _start(
                *flags, "--s3-endpoint", lake.url, "--exit-with-parent",
                env={**os.environ, **environment}, stdin=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
            told, complaint = process.communicate(timeout=30)
            assert told.startswith("listening") is (environment is keys), complaint
            assert process.returncode == (0 if environment is keys else 2)


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

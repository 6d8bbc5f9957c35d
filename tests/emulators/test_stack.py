"""The three emulators as one stack."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from snowflake import connector

from emulators.stack import EmbeddedStack, StackError

pytestmark = pytest.mark.slow

#: .env.example's names, without the two other ways to hand over a private key.
NAMES = {
    "AMP_API_KEY",
    "AMP_SECRET_KEY",
    "AMP_DATA_REGION",
    "AMP_BASE_URL",
    "AWS_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AWS_REGION",
    "AWS_ENDPOINT_URL_S3",
    "BUCKET_NAME",
    "BUCKET_PREFIX",
    "KMS_KEY_ID",
    "SNOWFLAKE_ACCOUNT",
    "SNOWFLAKE_USER",
    "SNOWFLAKE_PRIVATE_KEY_PATH",
    "SNOWFLAKE_ROLE",
    "SNOWFLAKE_WAREHOUSE",
    "SNOWFLAKE_DATABASE",
    "SNOWFLAKE_SCHEMA",
    "SNOWFLAKE_HOST",
    "SNOWFLAKE_PORT",
    "SNOWFLAKE_PROTOCOL",
}


@pytest.fixture(scope="module")
def stack() -> Iterator[EmbeddedStack]:
    with EmbeddedStack(events_per_hour=10) as running:
        yield running


def lake_of(values: dict[str, str]) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=values["AWS_ENDPOINT_URL_S3"],
        aws_access_key_id=values["AWS_ACCESS_KEY"],
        aws_secret_access_key=values["AWS_SECRET_KEY"],
        region_name=values["AWS_REGION"],
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )


def warehouse_of(values: dict[str, str]) -> connector.SnowflakeConnection:
    return connector.connect(
        account=values["SNOWFLAKE_ACCOUNT"],
        user=values["SNOWFLAKE_USER"],
        private_key_file=values["SNOWFLAKE_PRIVATE_KEY_PATH"],
        role=values["SNOWFLAKE_ROLE"],
        warehouse=values["SNOWFLAKE_WAREHOUSE"],
        database=values["SNOWFLAKE_DATABASE"],
        schema=values["SNOWFLAKE_SCHEMA"],
        host=values["SNOWFLAKE_HOST"],
        port=int(values["SNOWFLAKE_PORT"]),
        protocol=values["SNOWFLAKE_PROTOCOL"],
        login_timeout=10,
    )


def gone(pids: list[int], seconds: float = 10.0) -> bool:
    """Whether all these processes end in time (a zombie has ended)."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(alive(pid) for pid in pids):
            return True
        time.sleep(0.02)
    return False


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = subprocess.run(
        ["ps", "-o", "state=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return state.stdout.strip()[:1] not in {"", "Z"}


def test_the_environment_is_whole_and_its_key_is_private(stack: EmbeddedStack) -> None:
    assert set(stack.environment) == NAMES
    key = Path(stack.environment["SNOWFLAKE_PRIVATE_KEY_PATH"])
    assert key.stat().st_mode & 0o777 == 0o600


def test_no_secret_stands_on_a_command_line(stack: EmbeddedStack) -> None:
    pids = [str(pid) for pid in stack.processes.values()]
    shown = subprocess.run(
        ["ps", "-ww", "-o", "args=", "-p", ",".join(pids)], capture_output=True, text=True, check=True
    ).stdout
    assert shown.count("-m emulators.") == len(pids)
    assert [name for name in ("AMP_SECRET_KEY", "AWS_SECRET_KEY") if stack.environment[name] in shown] == []


def test_amplitude_answers_with_its_key_only(stack: EmbeddedStack) -> None:
    values = stack.environment
    url = f"{values['AMP_BASE_URL']}/api/2/export"
    window = {"start": "20250601T00", "end": "20250601T00"}
    good = httpx.get(url, params=window, auth=(values["AMP_API_KEY"], values["AMP_SECRET_KEY"]))
    assert (good.status_code, good.content[:2]) == (200, b"PK")
    assert httpx.get(url, params=window, auth=(values["AMP_API_KEY"], "wrong")).status_code in {401, 403}


def test_the_bucket_is_that_of_a_real_lake(stack: EmbeddedStack) -> None:
    values = stack.environment
    lake, bucket = lake_of(values), {"Bucket": values["BUCKET_NAME"]}
    assert lake.get_bucket_versioning(**bucket)["Status"] == "Enabled"
    assert all(lake.get_public_access_block(**bucket)["PublicAccessBlockConfiguration"].values())
    lake.put_object(**bucket, Key="a", Body=b"x")
    head = lake.head_object(**bucket, Key="a")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", values["KMS_KEY_ID"])
    lake.put_object(
        **bucket, Key="b", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=values["KMS_KEY_ID"]
    )
    for other in (
        {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "another"},
        {"ServerSideEncryption": "aws:kms"},  # the account's managed key
        {"ServerSideEncryption": "AES256"},
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            lake.put_object(**bucket, Key="c", Body=b"x", **other)


def test_the_loader_finds_stage_tables_and_views(stack: EmbeddedStack) -> None:
    with warehouse_of(stack.environment) as connection:
        cursor: Any = connection.cursor()
        for name in ("events_raw", "events_rejected", "load_ledger", "events", "events_unique"):
            assert cursor.execute(f"SELECT COUNT(*) FROM {name}").fetchone() == (0,)
        assert cursor.execute("SELECT generation, lake, app_id FROM load_lock").fetchall() == [
            (0, None, None)
        ]
        cursor.execute("LIST @amplitude_lake")
        row = cursor.execute("DESC INTEGRATION AMPLITUDE_LAKE").fetchall()
        assert "STORAGE_AWS_EXTERNAL_ID" in {line[0] for line in row}


def test_a_stranger_s_key_does_not_log_in(stack: EmbeddedStack, tmp_path: Path) -> None:
    from emulators.ground import KeyPair

    strange = stack.environment | {"SNOWFLAKE_PRIVATE_KEY_PATH": str(KeyPair.in_folder(tmp_path).private)}
    with pytest.raises(connector.errors.Error):
        warehouse_of(strange)


def test_when_one_emulator_ends_the_others_end_with_it() -> None:
    with EmbeddedStack() as stack:
        pids, key = stack.processes, Path(stack.environment["SNOWFLAKE_PRIVATE_KEY_PATH"])
        os.kill(pids["s3"], signal.SIGKILL)
        with pytest.raises(StackError, match="The s3 emulator ended by itself"):
            stack.wait(20)
        assert gone(list(pids.values()))
    assert not key.exists()


def test_a_start_that_fails_half_way_leaves_nothing_behind() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        stack = EmbeddedStack(snowflake_port=taken.getsockname()[1])
        with pytest.raises(StackError, match="snowflake emulator ended before it was ready"):
            stack.__enter__()
    assert gone(list(stack.processes.values()))


def test_a_start_that_takes_too_long_is_given_up() -> None:
    stack = EmbeddedStack(start_seconds=0.01)
    with pytest.raises(StackError, match="was not ready in time"):
        stack.__enter__()
    assert gone(list(stack.processes.values()))


def start(folder: Path, *flags: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "emulators", *flags],
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def children_of(pid: int) -> list[int]:
    listed = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in listed.stdout.split()]


def values_from(process: subprocess.Popen[str]) -> dict[str, str]:
    assert process.stdout is not None
    values: dict[str, str] = {}
    while len(values) < len(NAMES):
        assert values or select.select([process.stdout], [], [], 60)[0]
        name, _, value = process.stdout.readline().rstrip("\n").partition("=")
        values[name] = value
    return values


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_however_the_supervisor_ends_its_children_end(number: signal.Signals, tmp_path: Path) -> None:
    process = start(tmp_path, "--events-per-hour", "5")
    assert set(values_from(process)) == NAMES
    pids = children_of(process.pid)
    assert len(pids) == 3
    process.send_signal(number)
    _, complaints = process.communicate(timeout=20)
    assert process.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 0)
    assert complaints == ""
    assert gone(pids)


def test_an_interrupt_in_the_middle_of_a_start_leaves_nothing_behind(tmp_path: Path) -> None:
    process = start(tmp_path)
    deadline = time.monotonic() + 20
    while len(pids := children_of(process.pid)) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert gone(pids)
    assert list(tmp_path.iterdir()) == []


def test_an_env_file_is_written_removed_and_never_overwritten(tmp_path: Path) -> None:
    own, written = tmp_path / "own", tmp_path / "stack.env"
    own.write_text("AMP_API_KEY=mine\n")
    refused = start(tmp_path, "--env-file", str(own))
    _, complaint = refused.communicate(timeout=20)
    assert (refused.returncode, complaint.count("\n")) == (2, 1)
    assert own.read_text() == "AMP_API_KEY=mine\n"
    process = start(tmp_path, "--env-file", str(written))
    assert process.stdout is not None
    assert str(written) in process.stdout.readline()
    assert {line.partition("=")[0] for line in written.read_text().splitlines()} == NAMES
    assert written.stat().st_mode & 0o777 == 0o600
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert not written.exists()

"""What a user can get wrong: each gives one clear message, an exit code, and commits nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from emulators.amplitude import AmplitudeEmulator
from flows.command_line import run_ingest
from flows.ingest import ingest
from tests.rehearsal import BUCKET, Rehearsal, hours_ago, rehearsal

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]

FAILED, INVALID = 1, 2


@pytest.fixture(scope="module")
def stage() -> Iterator[Rehearsal]:
    """One stage for all: none of these runs may change anything."""
    with rehearsal("bad-input") as ready:
        yield ready


@pytest.fixture(scope="module")
def warehouse_stage() -> Iterator[Rehearsal]:
    """Another one, for runs that get as far as the lake."""
    with rehearsal("bad-warehouse") as ready:
        yield ready


def complaint(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit code, and what stands on standard error besides Prefect's log lines."""
    try:
        code = run_ingest(ingest, list(arguments))
    except SystemExit as stop:  # argparse
        code = int(stop.code or 0)
    err = capfd.readouterr().err
    assert "Traceback" not in err
    said = [line for line in err.splitlines() if not re.match(r"\d\d:\d\d:\d\d\.\d{3} \|", line)]
    return code, "\n".join(said)


def assert_nothing_was_committed(stage: Rehearsal) -> None:
    listed = stage.s3.client().list_objects_v2(Bucket=BUCKET, Prefix="amplitude/")
    keys = [found["Key"] for found in listed.get("Contents", [])]
    assert [key for key in keys if "/wanted/" not in key] == []
    assert stage.query("SELECT COUNT(*) FROM events_raw") == [(0,)]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--start", "{2}", "--end", "{5}"), "The end lies before the start"),
        (("--end", "2999-01-01T00"), "lies in the future"),
        (("--end", "{-1}"), "is complete at"),
        (("--start", "2025-12-23 19:00"), "Not an export hour"),
        (("--start", "2025-12-23T19:30Z"), "Not an export hour"),
        (("--start", "2025-02-30T00"), "Not an export hour"),
        (("--start", "2010-01-01T00", "--end", "2010-01-02T00"), "hold whole days"),
    ],
)
def test_hours_that_cannot_be_are_refused_in_one_sentence(
    stage: Rehearsal, capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    given = [re.sub(r"\{(-?\d+)\}", lambda match: hours_ago(int(match[1])), text) for text in arguments]
    before = len(stage.amplitude.requests)
    code, said = complaint(capfd, "--pipeline", stage.name, *given)
    assert code == INVALID
    assert words in said
    assert len(stage.amplitude.requests) == before
    assert_nothing_was_committed(stage)


def test_an_unknown_pipeline_is_named_with_what_makes_it(capfd: pytest.CaptureFixture[str]) -> None:
    code, said = complaint(capfd, "--pipeline", "nobody")
    assert code == INVALID
    assert "python -m blocks.register --name nobody" in said


def test_a_prefect_server_that_does_not_answer_is_told_with_what_to_check() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flows.ingest"],
        env={**os.environ, "PREFECT_API_URL": "http://127.0.0.1:9/api"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == FAILED
    assert "Traceback" not in done.stderr
    assert "The Prefect server (http://127.0.0.1:9/api) cannot be reached" in done.stderr
    assert "check PREFECT_API_URL, and whether it is running." in done.stderr


def test_a_prefect_server_that_refuses_is_told_with_what_to_check() -> None:
    class Refusing(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.send_response(401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST = answer  # noqa: N815  # as http.server names them

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = subprocess.run(
            [sys.executable, "-m", "flows.ingest"],
            env={**os.environ, "PREFECT_API_URL": f"http://127.0.0.1:{server.server_port}/api"},
            capture_output=True,
            text=True,
            check=False,
        )
        server.shutdown()
    assert done.returncode == FAILED
    assert "Traceback" not in done.stderr
    assert (
        "answered 401: check PREFECT_API_KEY or PREFECT_API_AUTH_STRING, and PREFECT_API_URL." in done.stderr
    )


def test_missing_and_contradictory_variables_are_all_named_at_once() -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("AMP_", "AWS_A"))}
    environment |= {"AWS_ACCESS_KEY": "only-half", "SNOWFLAKE_USER": "LOADER", "AMP_DATA_REGION": "asia"}
    done = subprocess.run(
        [sys.executable, "-m", "blocks.register", "--env-file", os.devnull],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == INVALID
    assert "Traceback" not in done.stderr
    for name in (
        "AMP_API_KEY",
        "AMP_SECRET_KEY",
        "AMP_DATA_REGION",
        "AWS_SECRET_KEY",
        "BUCKET_NAME",
        "SNOWFLAKE_ACCOUNT",
    ):
        assert name in done.stderr


def test_wrong_keys_say_where_to_look(stage: Rehearsal, capfd: pytest.CaptureFixture[str]) -> None:
    name = stage.register("wrong-keys", AMP_SECRET_KEY="not-the-secret")
    code, said = complaint(capfd, "--pipeline", name)
    assert code == FAILED
    assert "403" in said
    assert "Check both" in said
    assert "not-the-secret" not in said
    assert_nothing_was_committed(stage)


def test_a_key_of_another_region_is_told_to_check_the_region(
    stage: Rehearsal, capfd: pytest.CaptureFixture[str]
) -> None:
    with AmplitudeEmulator(api_key="eu-key", secret_key="eu-secret") as europe:
        name = stage.register("wrong-region", AMP_BASE_URL=europe.url)
        code, said = complaint(capfd, "--pipeline", name)
    assert code == FAILED
    assert "the region" in said
    assert "analytics.eu.amplitude.com" in said
    assert_nothing_was_committed(stage)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"BUCKET_NAME": "no-such-bucket"}, "check BUCKET_NAME"),
        ({"AWS_SECRET_KEY": "not-the-secret"}, "check AWS_SECRET_KEY"),
        ({"AWS_ACCESS_KEY": "AKIANOBODY"}, "check AWS_ACCESS_KEY"),
        ({"KMS_KEY_ID": "arn:aws:kms:us-east-1:123456789012:key/another"}, "the bucket policy"),
        ({"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}, "S3 cannot be reached"),
    ],
)
def test_a_bucket_that_cannot_be_used_is_told_with_the_remedy(
    stage: Rehearsal, capfd: pytest.CaptureFixture[str], variables: dict[str, str], words: str
) -> None:
    name = stage.register("wrong-bucket", None, **variables)
    with denied_other_keys(stage):
        code, said = complaint(capfd, "--pipeline", name)
    assert code == FAILED
    assert words in said
    assert "not-the-secret" not in said
    assert_nothing_was_committed(stage)


@pytest.mark.parametrize(
    ("ago", "variables", "words"),
    [
        (1, {"SNOWFLAKE_PORT": "9"}, "Check host, account and network"),
        (2, {"SNOWFLAKE_DATABASE": "NOWHERE"}, "Check SNOWFLAKE_DATABASE"),
        (3, {"SNOWFLAKE_SCHEMA": "NOWHERE"}, "Check SNOWFLAKE_DATABASE"),
        (4, {"SNOWFLAKE_ROLE": "NOBODY"}, "Check SNOWFLAKE_ACCOUNT, SNOWFLAKE_USER, SNOWFLAKE_ROLE"),
    ],
)
def test_a_warehouse_that_cannot_be_used_is_told_and_the_lake_is_kept(
    warehouse_stage: Rehearsal,
    capfd: pytest.CaptureFixture[str],
    ago: int,
    variables: dict[str, str],
    words: str,
) -> None:
    hour = hours_ago(ago)
    stage = warehouse_stage
    name = stage.register("wrong-warehouse", None, **variables)
    code, said = complaint(capfd, "--pipeline", name, "--start", hour, "--end", hour)
    assert code == FAILED
    assert words in said
    # What was exported stays in the lake: the next run loads it, and asks Amplitude for nothing.
    requests = len(stage.amplitude.requests)
    assert complaint(capfd, "--pipeline", stage.name, "--start", hour, "--end", hour)[0] == 0
    assert len(stage.amplitude.requests) == requests
    assert [row for row in stage.rows() if row[1] == hour] == stage.truth(hour, hour)


def test_a_full_disk_is_told_and_commits_nothing(
    stage: Rehearsal, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with tiny_disk(tmp_path / "tiny") as disk:
        name = stage.register("full-disk", {"scratch_folder": disk})
        code, said = complaint(capfd, "--pipeline", name)
        assert [path for path in disk.iterdir() if path.name.startswith("amplitude-run-")] == []
    assert code == FAILED
    assert "The disk is full" in said
    assert "scratch_folder" in said
    assert_nothing_was_committed(stage)


@contextmanager
def denied_other_keys(stage: Rehearsal) -> Iterator[None]:
    """The bucket refuses every KMS key but one."""
    import json

    from infra.policies import bucket_policy

    policy = bucket_policy(BUCKET, "arn:aws:kms:us-east-1:123456789012:key/ours")
    policy["Statement"] = [one for one in policy["Statement"] if "aws:SecureTransport" not in json.dumps(one)]
    client = stage.s3.client()
    client.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))
    try:
        yield
    finally:
        client.delete_bucket_policy(Bucket=BUCKET)


@contextmanager
def tiny_disk(folder: Path) -> Iterator[Path]:
    """A file system of 64 KB; mounting one takes root, which continuous integration has."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        if os.environ.get("CI") and sys.platform == "linux":  # where root runs the tests, see ci.yml
            pytest.fail(f"cannot mount a small disk: {mounted.stderr.decode()}")
        pytest.skip("mounting a small disk takes root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)

"""The way it runs in earnest: a Prefect server, deployments and a process worker, all of them processes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulators.prefect_server import PrefectServer
from tests.rehearsal import hours_ago, rehearsal

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

PROJECT = Path(__file__).resolve().parents[2]
PREFECT = [sys.executable, "-m", "prefect"]


@contextlib.contextmanager
def running(command: list[str], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process and all that it starts, ended with the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=PROJECT, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_a_deployment_on_a_process_worker_completes_and_the_table_holds_the_truth(tmp_path: Path) -> None:
    with rehearsal("amplitude", save=False) as stage:
        environment = {**os.environ, **stage.variables, "PREFECT_HOME": str(tmp_path / "prefect")}
        server_log, worker_log = tmp_path / "server.log", tmp_path / "worker.log"
        with PrefectServer(environment, server_log) as server:
            server.wait_until_ready()
            environment["PREFECT_API_URL"] = server.api_url
            run([sys.executable, "-m", "blocks.register", "--set", "initial_days=1"], environment)
            run([*PREFECT, "work-pool", "create", "amplitude", "--type", "process"], environment)
            run([*PREFECT, "--no-prompt", "deploy", "--all"], environment)
            with running([*PREFECT, "worker", "start", "--pool", "amplitude"], environment, worker_log):
                watched = [*PREFECT, "deployment", "run", "amplitude-ingest/hourly", "--watch"]
                said = run(watched, environment)
        assert "Completed" in said, worker_log.read_text()
        first = hours_ago(23)
        assert [row for row in stage.rows() if row[1] >= first] == stage.truth(first, hours_ago(0))
        for log in (server_log, worker_log):
            assert stage.variables["AMP_SECRET_KEY"] not in log.read_text()

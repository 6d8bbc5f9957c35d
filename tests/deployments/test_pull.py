"""The way it runs in earnest: a Prefect server, deployments, and a worker that clones the code.

All of them are processes. The worker's folder is empty, so the code can only come from the clone.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prefect.blocks.system import Secret
from prefect.deployments.steps.pull import git_clone
from prefect.settings import PREFECT_API_URL, temporary_settings

from emulators.prefect_server import PrefectServer
from tests.deployments.prefect_file import (
    GIT_CLONE,
    OUR_NAMES,
    ROOT,
    cloned_from,
    secrets_in,
    switched_to,
)
from tests.needs import need_program
from tests.rehearsal import hours_ago, rehearsal

PREFECT = [sys.executable, "-m", "prefect"]
TOKEN = "made-up-token-of-a-private-repository"
_LONGEST_TEST_SECONDS = 90


@contextlib.contextmanager
def running(command: list[str], folder: Path, environment: dict[str, str], log: Path) -> Iterator[None]:
    """A process and all that it starts, ended with the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def run(command: list[str], environment: dict[str, str], folder: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def repository_of_the_tree(folder: Path, mark: Path) -> str:
    """A bare repository with the code as it is now, and a line that notes where it was imported from."""
    tree, bare = folder / "tree", folder / "amplitude-to-snowflake.git"
    for package in ("flows", "tasks", "infra", "blocks", "core"):
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tree)
    with (tree / "flows" / "__init__.py").open("a", encoding="utf-8") as module:
        module.write(f"\nimport pathlib\npathlib.Path({str(mark)!r}).write_text(__file__)\n")
    nobody = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    as_somebody = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
    for words in (
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "--all"],
        [*as_somebody, "commit", "--quiet", "--message=The code as it is now"],
        ["clone", "--quiet", "--bare", ".", str(bare)],
    ):
        run(["git", *words], nobody, tree)
    return bare.as_uri()


@pytest.fixture
def _within_one_hour() -> None:
    """Flows read the real clock: which hours are complete must not change in the middle of a test."""
    left_seconds = 3600 - time.time() % 3600
    if left_seconds < _LONGEST_TEST_SECONDS:
        time.sleep(left_seconds)


def answered(api_url: str, what: str) -> Any:
    response = httpx.post(f"{api_url}/{what}/filter", json={"limit": 200})
    response.raise_for_status()
    return response.json()


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.usefixtures("_within_one_hour")
def test_a_worker_elsewhere_clones_the_code_and_the_table_holds_the_truth(tmp_path: Path) -> None:
    need_program("git", "to clone the code as a worker does")
    empty, mark = tmp_path / "elsewhere", tmp_path / "imported-from"
    empty.mkdir()
    cloning = tmp_path / "prefect.yaml"
    with_git = switched_to("git", cloned_from(repository_of_the_tree(tmp_path, mark), "main"))
    cloning.write_text(with_git, "utf-8")
    pool = yaml.safe_load(with_git)["definitions"]["pools"]["git"]["work_pool"]["name"]

    with rehearsal("amplitude", save=False) as stage:
        environment = {**os.environ, **stage.variables, "PREFECT_HOME": str(tmp_path / "prefect")}
        server_log, worker_log = tmp_path / "server.log", tmp_path / "worker.log"
        with PrefectServer(environment, server_log) as server:
            server.wait_until_ready()
            environment["PREFECT_API_URL"] = server.api_url
            run([sys.executable, "-m", "blocks.register", "--set", "initial_days=1"], environment)
            with temporary_settings({PREFECT_API_URL: server.api_url}):
                for name in secrets_in(with_git):
                    Secret(value=TOKEN).save(name)
            run([*PREFECT, "work-pool", "create", pool, "--type", "process"], environment)
            run([*PREFECT, "--no-prompt", "deploy", "--all", "--prefect-file", str(cloning)], environment)
            worker = [*PREFECT, "worker", "start", "--pool", pool]
            with running(worker, empty, environment, worker_log):
                watched = [*PREFECT, "deployment", "run", "amplitude-ingest/hourly", "--watch"]
                said = run(watched, environment, empty)
            deployed = {one["name"]: one["pull_steps"] for one in answered(server.api_url, "deployments")}
            logged = json.dumps(answered(server.api_url, "logs"))

        assert "Completed" in said, worker_log.read_text()
        first = hours_ago(23)
        assert [row for row in stage.rows() if row[1] >= first] == stage.truth(first, hours_ago(0))
        for text in (server_log.read_text(), worker_log.read_text(), logged, json.dumps(deployed)):
            assert stage.variables["AMP_SECRET_KEY"] not in text
            assert TOKEN not in text

    # The clone has run, and nothing else could have: it was in a folder of the run, and is gone.
    imported_from = Path(mark.read_text("utf-8"))
    assert imported_from.parts[-3:] == ("amplitude-to-snowflake-main", "flows", "__init__.py")
    assert not imported_from.is_relative_to(ROOT)
    assert not imported_from.exists()
    assert "git_clone" in logged
    # Git is given the token when a run begins; until then it is a name.
    assert deployed.keys() >= OUR_NAMES
    tokens = {f"{{{{ prefect.blocks.secret.{name} }}}}" for name in secrets_in(with_git)}
    for (step,) in (deployed[name] for name in OUR_NAMES):
        assert {step[GIT_CLONE].get("access_token", "")} == (tokens or {""})


def test_git_is_given_the_repository_the_branch_and_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over https; a token means nothing to the local repository above, and Prefect leaves it out there."""
    git, asked = tmp_path / "git", tmp_path / "asked"
    git.write_text(f'#!/bin/sh\necho "$@" >>{asked}\n')
    git.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    file = yaml.safe_load(cloned_from("https://git.example.com/data/events.git", "main"))
    (step,) = file["definitions"]["pools"]["git"]["pull"]
    told = step[GIT_CLONE] | {"access_token": TOKEN, "branch": "main"}
    assert git_clone(**told) == {"directory": "events-main"}
    assert f"clone https://{TOKEN}@git.example.com/" in asked.read_text()
    assert "--branch main" in asked.read_text()

"""A Prefect server takes the deployments for every kind of pool, and a container's command runs them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import yaml
from prefect.blocks.system import Secret
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
from prefect.client.schemas.objects import State, StateType
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Pending

from emulators.prefect_server import PrefectServer, private_environment
from tests.deployments.prefect_file import (
    OUR_NAMES,
    POOLS,
    ROOT,
    TEXT,
    secrets_in,
    switched_to,
    variables_in,
)
from tests.deployments.test_work_pools import KIND_OF

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(600)]

PREFECT = [sys.executable, "-m", "prefect"]
WANTED = yaml.safe_load(TEXT)["definitions"]["pools"]
KINDS = {WANTED[pool]["work_pool"]["name"]: KIND_OF[pool] for pool in POOLS}


def said_by(command: list[str], environment: dict[str, str], folder: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def working_in(folder: Path) -> list[dict[str, Any]]:
    return [{"prefect.deployments.steps.set_working_directory": {"directory": str(folder)}}]


def deployed(api_url: str) -> dict[str, dict[str, Any]]:
    response = httpx.post(f"{api_url}/deployments/filter", json={})
    response.raise_for_status()
    return {one["name"]: one for one in response.json()}


def test_one_word_and_one_command_move_everything_to_another_pool(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    environment = private_environment(tmp_path) | variables_in(TEXT)
    with PrefectServer(environment, log) as server:
        server.wait_until_ready()
        environment["PREFECT_API_URL"] = server.api_url
        with temporary_settings({PREFECT_API_URL: server.api_url}):
            for name in secrets_in(TEXT):
                Secret(value="made-up").save(name)
        for name, kind in KINDS.items():
            said_by([*PREFECT, "work-pool", "create", "--type", kind, name], environment)
        for pool in POOLS:
            file = tmp_path / f"{pool}.yaml"
            file.write_text(switched_to(pool), "utf-8")
            said_by([*PREFECT, "--no-prompt", "deploy", "--all", "--prefect-file", str(file)], environment)
            wanted, found = WANTED[pool], deployed(server.api_url)
            assert found.keys() >= OUR_NAMES
            for one in (found[name] for name in OUR_NAMES):
                assert one["work_pool_name"] == wanted["work_pool"]["name"]
                assert set(one["job_variables"]) == set(wanted["work_pool"].get("job_variables", {}))
                assert "{{" not in str(one["job_variables"])
                # The quick start names no step: then the folder that is deployed from is recorded.
                assert one["pull_steps"] == wanted.get("pull", working_in(ROOT))
        run_as_a_container_does(deployed(server.api_url)["hourly"]["id"], environment, tmp_path)


def run_as_a_container_does(deployment: str, environment: dict[str, str], folder: Path) -> None:
    """What docker, ecs and kubernetes start, where the image has /app: the code is found there, and runs."""
    app, scratch = folder / "app", folder / "scratch"
    scratch.mkdir()
    for package in ("flows", "tasks", "infra", "blocks", "core"):
        shutil.copytree(ROOT / package, app / package, ignore=shutil.ignore_patterns("__pycache__"))
    inside = environment | {
        "PYTHONPATH": str(app),
        "TMPDIR": str(scratch),
        "PREFECT_HOME": str(scratch / ".prefect"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}",
    }
    copied: dict[bool, bool] = {}
    for named in (True, False):
        state, log = executed(deployment, working_in(app) if named else [], inside, app)
        # No block is registered here: our own sentence says that our own code has run.
        assert state.type == StateType.FAILED, log
        assert "python -m blocks.register --name" in str(state.message)
        copied[named] = "Downloading flow code from storage" in log
    assert copied == {True: False, False: True}, "a step that names the folder spares the copy"


def executed(
    deployment: str, pull: list[dict[str, Any]], inside: dict[str, str], app: Path
) -> tuple[State[Any], str]:
    """The state and the log of one run of this deployment, with these pull steps."""
    of_its_own = {PREFECT_API_URL: inside["PREFECT_API_URL"]}
    # Prefect's client asks again where SQLite was busy with what the run before left to write.
    with temporary_settings(of_its_own), get_client(sync_client=True) as api:
        api.update_deployment(UUID(deployment), DeploymentUpdate(pull_steps=pull))
        run = api.create_flow_run_from_deployment(UUID(deployment), state=Pending())
        command, its_own = ["prefect", "flow-run", "execute"], {"PREFECT__FLOW_RUN_ID": str(run.id)}
        subprocess.run(command, cwd=app, env=inside | its_own, capture_output=True, check=False)
        logs = api.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run.id])))
        state = api.read_flow_run(run.id).state
    assert state is not None
    return state, "\n".join(one.message for one in logs)

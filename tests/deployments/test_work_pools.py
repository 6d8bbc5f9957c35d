"""What each deployment tells its work pool is what that pool's worker takes.

The schemas are those that Prefect publishes with its server: a work pool begins with one of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any, TypeVar, cast

import boto3
import botocore.session
import prefect
import pytest
from botocore.validate import ParamValidator
from prefect.settings import PREFECT_HOME, temporary_settings
from prefect.utilities.schema_tools.validation import ValidationError, validate
from prefect.workers.base import BaseJobConfiguration
from prefect.workers.process import ProcessJobConfiguration

from tests.deployments.prefect_file import (
    CONTAINERS,
    POOLS,
    ROOT,
    TEXT,
    deployments_in,
    edited,
    flow_run,
    job_variables_of,
    ours_in,
    switched_to,
    variables_in,
)

_Configuration = TypeVar("_Configuration", bound=BaseJobConfiguration)

_VIEWS = Path(prefect.__file__).parent / "server" / "api" / "collections_data" / "views"
_PUBLISHED = _VIEWS / "aggregate-worker-metadata.json"
_WORKERS = {
    "process": ("prefect", "process"),
    "git": ("prefect", "process"),
    "docker": ("prefect-docker", "docker"),
    "ecs": ("prefect-aws", "ecs"),
    "kubernetes": ("prefect-kubernetes", "kubernetes"),
}
#: The type of each pool, as ``prefect work-pool create --type`` takes it.
KIND_OF = {pool: kind for pool, (_, kind) in _WORKERS.items()}


def template_of(pool: str) -> dict[str, Any]:
    """The base job template with which a work pool of this kind is made."""
    package, kind = _WORKERS[pool]
    found: dict[str, Any] = json.loads(_PUBLISHED.read_text("utf-8"))[package][kind]
    return cast("dict[str, Any]", found["default_base_job_configuration"])


def refusals(pool: str, job_variables: dict[str, Any]) -> str:
    """What the work pool has against these variables; it would let unknown names pass, and ignore them."""
    schema = template_of(pool)["variables"] | {"additionalProperties": False}
    try:
        validate(job_variables, schema, raise_on_error=True)
    except ValidationError as error:
        return str(error)
    return ""


def configured(kind: type[_Configuration], pool: str, job_variables: dict[str, Any]) -> _Configuration:
    """What a worker makes of them for one run."""
    nobody = cast("Any", object())  # nothing is to be asked of a server
    made: Any = asyncio.run(kind.from_template_and_values(template_of(pool), job_variables, client=nobody))
    assert isinstance(made, kind)
    made.prepare_for_flow_run(flow_run())
    return made


@pytest.fixture(autouse=True)
def _variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shell that deploys."""
    for name, value in variables_in(TEXT).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def given(tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, Any]:
    """The job variables of the first of our deployments on the pool that the test is about."""
    return job_variables_of(ours_in(switched_to(request.param), tmp_path)[0])


@pytest.mark.parametrize("text", [TEXT, edited()], ids=["as it is", "edited"])
@pytest.mark.parametrize("pool", POOLS)
def test_job_variables_are_what_the_work_pool_takes(pool: str, text: str, tmp_path: Path) -> None:
    switched = switched_to(pool, text)
    (name,) = {one["work_pool"]["name"] for one in ours_in(switched, tmp_path)}
    on_the_pool = [one for one in deployments_in(switched, tmp_path) if one["work_pool"]["name"] == name]
    for one in on_the_pool:
        assert refusals(pool, job_variables_of(one)) == ""


@pytest.mark.parametrize(
    ("pool", "wrong"),
    [
        ("process", {"image": "x"}),
        ("docker", {"image_pull_policy": "Sometimes"}),
        ("docker", {"image_pull_polcy": "Never"}),
        ("ecs", {"memory": "4 GB"}),
        ("ecs", {"task_role": "x"}),
        ("kubernetes", {"finished_job_ttl": "1h"}),
        ("kubernetes", {"env": {"A": 1}}),
        ("kubernetes", {"serviceAccountName": "x"}),
    ],
)
def test_a_job_variable_that_the_worker_would_not_take_is_noticed(pool: str, wrong: dict[str, Any]) -> None:
    assert refusals(pool, wrong)


def test_every_pool_is_of_a_kind_and_has_a_name_of_its_own(tmp_path: Path) -> None:
    assert set(_WORKERS) == set(POOLS)
    named = {pool: ours_in(switched_to(pool), tmp_path)[0]["work_pool"]["name"] for pool in POOLS}
    kinds = {named[pool]: _WORKERS[pool] for pool in POOLS}
    assert all(kinds[named[pool]] == _WORKERS[pool] for pool in POOLS), "one pool is of one kind"


@pytest.mark.parametrize("given", CONTAINERS, indirect=True)
def test_containers_run_our_image_and_hold_no_secret(given: dict[str, Any]) -> None:
    assert given["image"]
    assert "PREFECT_HOME" in given["env"]
    told = json.dumps(given).lower()
    assert "prefect.blocks" not in told  # it would be resolved when deploying, and recorded in clear
    assert not [word for word in ("password", "secret", "token", "api_key", "private") if word in told]


@pytest.mark.parametrize("pool", CONTAINERS)
def test_containers_use_the_folders_that_the_image_has(pool: str, tmp_path: Path) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    for one in ours_in(switched_to(pool), tmp_path):
        (step,) = one["pull"]
        (folder,) = step.values()
        assert dockerfile.rstrip().rpartition("WORKDIR ")[2].splitlines()[0] == folder["directory"]
        assert f"PREFECT_HOME={one['work_pool']['job_variables']['env']['PREFECT_HOME']}" in dockerfile


def test_a_variable_that_is_not_set_is_noticed_when_deploying(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("FLOWS_IMAGE", raising=False)
    given = job_variables_of({"work_pool": {"job_variables": {"image": "{{ $FLOWS_IMAGE }}"}}})
    assert given["image"] == ""  # an empty image is refused; another one would not be
    assert "FLOWS_IMAGE" in caplog.text


@pytest.mark.parametrize("given", ["process"], indirect=True)
def test_a_process_worker_runs_its_own_python_in_a_folder_of_the_run(given: dict[str, Any]) -> None:
    made = configured(ProcessJobConfiguration, "process", given)
    assert made.working_dir is None
    assert made.command is not None
    assert made.command.endswith("-m prefect.engine")


@pytest.mark.slow
@pytest.mark.parametrize("given", ["ecs"], indirect=True)
def test_ecs_is_asked_for_what_its_api_takes(
    given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from moto import mock_aws
    from prefect_aws.workers.ecs_worker import ECSJobConfiguration, ECSWorker

    with contextlib.ExitStack() as cleanup:
        account = mock_aws()
        account.start(reset=False)  # the buckets of an emulator in this process live in moto, too
        cleanup.callback(account.stop, remove_data=False)
        cleanup.enter_context(temporary_settings({PREFECT_HOME: tmp_path / "of-the-worker"}))
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        vpc = boto3.client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
        made = configured(ECSJobConfiguration, "ecs", given | {"vpc_id": vpc})
        worker, run = ECSWorker(work_pool_name="amplitude-ecs"), flow_run()
        definition = worker._prepare_task_definition(made, "eu-west-1", run)
        request = worker._prepare_task_run_request(
            made, definition, "arn:aws:ecs:x", new_task_definition_registered=True
        )

    api = botocore.session.get_session().get_service_model("ecs")
    for operation, parameters in (("RegisterTaskDefinition", definition), ("RunTask", request)):
        shape = api.operation_model(operation).input_shape
        assert shape is not None
        problems = ParamValidator().validate(parameters, shape)
        assert not problems.has_errors(), problems.generate_report()

    (container,) = definition["containerDefinitions"]
    assert container["image"] == given["image"]
    prefix = container["logConfiguration"]["options"]["awslogs-stream-prefix"]
    assert prefix == given["cloudwatch_logs_prefix"]
    for name in ("family", "cpu", "memory"):
        assert definition[name] == str(given[name])
    assert definition["executionRoleArn"] == given["execution_role_arn"]
    assert request["cluster"] == given["cluster"]
    assert request["launchType"] == given["launch_type"]
    assert request["networkConfiguration"]["awsvpcConfiguration"]["subnets"]
    overrides = request["overrides"]
    assert overrides["taskRoleArn"] == given["task_role_arn"]
    (override,) = overrides["containerOverrides"]
    assert override["command"] == ["prefect", "flow-run", "execute"]
    # The worker's own home is handed on like each of its settings, and must not win.
    assert {"name": "PREFECT_HOME", "value": "/scratch/.prefect"} in override["environment"]
    assert [one["name"] for one in override["environment"]].count("PREFECT_HOME") == 1

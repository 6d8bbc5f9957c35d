"""prefect.yaml is what Prefect can deploy, and each deployment fits its flow.

Each check holds for the file as it is here, and as a user has made it who followed the README.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.client.schemas.schedules import CronSchedule
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import ValidationError, validate

from tests import laws
from tests.deployments.prefect_file import (
    GIT_CLONE,
    OURS,
    POOLS,
    TEXT,
    Refused,
    cloned_from,
    deployments_in,
    edited,
    ours_in,
    secrets_in,
    switched_to,
)

#: Its runs are started by a gap-fill, which says which hours.
STARTED_BY_ANOTHER = "amplitude-gap-fill/part"

#: The file as it is, and as a user has made it.
FILES = {"as it is": TEXT, "edited": edited()}


def misfits(name: str, flow: Flow[..., Any], given: dict[str, Any], *, starts_alone: bool) -> list[str]:
    """What a deployment gives that its flow does not take so, and what a run of it would lack."""
    taken = inspect.signature(flow.fn).parameters
    required = [one for one, parameter in taken.items() if parameter.default is parameter.empty]
    found = list(laws.parameters_fit(name, taken, required if starts_alone else (), given))
    try:
        schema = parameter_schema(flow).model_dump()
        validate(given, schema, raise_on_error=True, ignore_required=True)
    except ValidationError as error:
        found.append(f"{name}: {error}")
    return found


def flow_of(deployment: dict[str, Any]) -> Flow[..., Any]:
    return load_flow_from_entrypoint(deployment["entrypoint"], use_placeholder_flow=False)


@pytest.fixture(params=FILES.values(), ids=list(FILES))
def text(request: pytest.FixtureRequest) -> str:
    """The file, as it is and as a user has made it."""
    return str(request.param)


def misfits_in(text: str, folder: Path) -> list[str]:
    """What is wrong with each deployment of a file, and which of ours are not there."""
    found, there = [], {}
    for one in deployments_in(text, folder):
        flow = flow_of(one)
        name = f"{flow.name}/{one['name']}"
        there[name] = one["entrypoint"]
        given = one.get("parameters", {})
        found += misfits(name, flow, given, starts_alone=name != STARTED_BY_ANOTHER)
    return found + [
        f"{name} is not there, or another flow's" for name in OURS if there.get(name) != OURS[name]
    ]


@pytest.mark.slow
def test_our_deployments_are_there_and_each_one_gives_what_its_flow_takes(text: str, tmp_path: Path) -> None:
    assert misfits_in(text, tmp_path) == []


@pytest.mark.slow
def test_a_deployment_that_is_gone_or_that_a_user_has_added_wrongly_is_noticed(tmp_path: Path) -> None:
    assert misfits_in(TEXT.replace("- name: backfill", "- name: backfil"), tmp_path) == [
        "amplitude-gap-fill/backfill is not there, or another flow's"
    ]
    assert misfits_in(edited().replace("pipeline: second-shop", "pipelin: second-shop", 1), tmp_path) == [
        "amplitude-ingest/second-shop-hourly gives pipelin, which its flow does not take"
    ]


@pytest.mark.slow
def test_a_deployment_that_does_not_fit_its_flow_is_noticed() -> None:
    flow = flow_of({"entrypoint": "flows.gap_fill.gap_fill"})
    assert misfits("x", flow, {"pipeline": "amplitude", "strat": "2025"}, starts_alone=True) == [
        "x gives strat, which its flow does not take"
    ]
    (wrong,) = misfits("x", flow, {"settle": "perhaps"}, starts_alone=True)
    assert "settle" in wrong
    assert list(laws.parameters_fit("x", ["start", "pipeline"], ["pipeline"], ["strat"])) == [
        "x gives strat, which its flow does not take",
        "x does not give pipeline, which its flow needs",
    ]


def test_the_edits_of_a_user_are_in_the_file_that_is_checked(tmp_path: Path) -> None:
    found = {one["name"]: one for one in deployments_in(FILES["edited"], tmp_path)}
    assert {"second-shop-hourly", "second-shop-nightly", "second-shop-daily"} < found.keys()
    assert "description" not in found["second-shop-daily"]
    assert found["hourly"]["work_pool"]["name"].endswith("-of-mine")
    assert found["hourly"]["schedules"][0]["cron"] == "*/15 * * * *"
    (step,) = found["hourly"]["pull"]
    assert step[GIT_CLONE]["repository"] == "git@github.com:acme/events.git"
    again = ours_in(switched_to("git", cloned_from("x", "y", FILES["edited"])), tmp_path)
    assert {one["pull"][0][GIT_CLONE]["repository"] for one in again} == {"x"}


def test_entrypoints_are_modules(text: str, tmp_path: Path) -> None:
    for one in deployments_in(text, tmp_path):
        assert ":" not in one["entrypoint"], "a file entrypoint puts its folder first on sys.path"


def test_hourly_and_nightly_have_valid_schedules_and_parts_have_none(text: str, tmp_path: Path) -> None:
    scheduled = {one["name"]: one.get("schedules", []) for one in ours_in(text, tmp_path)}
    for name in ("hourly", "nightly"):
        for schedule in scheduled[name]:
            CronSchedule(cron=schedule["cron"], timezone=schedule["timezone"])
        assert scheduled[name]
    assert not scheduled["part"]


def test_each_of_ours_says_what_it_is_for_and_limits_nothing(text: str, tmp_path: Path) -> None:
    for one in ours_in(text, tmp_path):
        assert one["description"].endswith(".")
        assert one["tags"][0] == "amplitude"
        assert "concurrency_limit" not in one  # a leaked slot would hold the schedule for ever


@pytest.mark.parametrize("pool", POOLS)
def test_one_word_moves_all_deployments_to_another_pool(pool: str, text: str, tmp_path: Path) -> None:
    wanted = yaml.safe_load(text)["definitions"]["pools"][pool]
    for one in ours_in(switched_to(pool, text), tmp_path):
        assert one["work_pool"] == wanted["work_pool"]
        assert one.get("pull") == wanted.get("pull")


def test_the_quick_start_needs_no_variable_no_block_and_no_pull_step(text: str, tmp_path: Path) -> None:
    for one in ours_in(switched_to("process", text), tmp_path):
        assert "{{" not in str(one)
        assert "pull" not in one  # then the folder that is deployed from is recorded


def test_the_token_of_the_repository_is_in_a_block_if_there_is_one(text: str) -> None:
    (step,) = yaml.safe_load(text)["definitions"]["pools"]["git"]["pull"]
    token = step[GIT_CLONE].get("access_token")
    assert token is None or {token} == {
        f"{{{{ prefect.blocks.secret.{name} }}}}" for name in secrets_in(text)
    }


#: A file of its own, so that what is noticed does not depend on what a user has written.
SMALL = """\
definitions:
  pools:
    process: &process
      work_pool: {name: amplitude}
deployments:
  - name: hourly
    <<: *process
    tags: [amplitude, scheduled]
    entrypoint: flows.ingest.ingest
    schedules:
      - cron: "7 * * * *"
        active: true
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    tags: [amplitude, scheduled]", "    tags: {amplitude: scheduled}"),
        ('      - cron: "7 * * * *"', '      - cron: "7 * * * *"\n        interval: 3600'),
        ("        active: true", "        activ: true"),
        ("    <<: *process", "    <<: *proces"),
    ],
)
def test_a_file_that_prefect_would_skip_is_noticed(old: str, new: str, tmp_path: Path) -> None:
    assert len(deployments_in(SMALL, tmp_path)) == 1
    assert old in SMALL
    with pytest.raises(Refused):
        deployments_in(SMALL.replace(old, new), tmp_path)

"""prefect.yaml is what Prefect can deploy, and each deployment fits its flow."""

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
from tests.deployments.prefect_file import POOLS, TEXT, Refused, deployments_in, switched_to

#: flow/deployment, its entrypoint, and its schedule.
EXPECTED = {
    "amplitude-ingest/hourly": ("flows.ingest.ingest", "7 * * * *"),
    "amplitude-gap-fill/nightly": ("flows.gap_fill.gap_fill", "37 3 * * *"),
    "amplitude-gap-fill/backfill": ("flows.gap_fill.gap_fill", None),
    "amplitude-gap-fill/part": ("flows.gap_fill_part.gap_fill_part", None),
    "amplitude-extract/manual": ("flows.extract.extract", None),
}
#: Its runs are started by a gap-fill, which says which hours.
STARTED_BY_ANOTHER = "amplitude-gap-fill/part"


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


@pytest.mark.slow
def test_every_deployment_has_its_flow_and_its_name(tmp_path: Path) -> None:
    deployments = deployments_in(TEXT, tmp_path)
    found = {
        f"{flow_of(one).name}/{one['name']}": (
            one["entrypoint"],
            next((schedule["cron"] for schedule in one.get("schedules", [])), None),
        )
        for one in deployments
    }
    assert found == EXPECTED


@pytest.mark.slow
def test_every_deployment_gives_what_its_flow_takes(tmp_path: Path) -> None:
    found: list[str] = []
    for one in deployments_in(TEXT, tmp_path):
        flow = flow_of(one)
        name = f"{flow.name}/{one['name']}"
        found += misfits(name, flow, one["parameters"], starts_alone=name != STARTED_BY_ANOTHER)
    assert found == []


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


def test_entrypoints_are_modules(tmp_path: Path) -> None:
    for one in deployments_in(TEXT, tmp_path):
        assert ":" not in one["entrypoint"], "a file entrypoint puts its folder first on sys.path"


def test_schedules_are_valid_active_and_in_utc(tmp_path: Path) -> None:
    schedules = [schedule for one in deployments_in(TEXT, tmp_path) for schedule in one.get("schedules", [])]
    assert len(schedules) == 2
    for schedule in schedules:
        assert schedule["active"] is True
        cron = CronSchedule(cron=schedule["cron"], timezone=schedule["timezone"])
        assert cron.timezone == "UTC"
        assert 5 <= int(schedule["cron"].split()[0]) <= 50, "a few minutes past the hour, for slow clocks"


def test_every_deployment_says_what_it_is_for_and_limits_nothing(tmp_path: Path) -> None:
    for one in deployments_in(TEXT, tmp_path):
        assert one["description"].endswith(".")
        assert one["tags"][0] == "amplitude"
        assert "concurrency_limit" not in one  # a leaked slot would hold the schedule for ever


@pytest.mark.parametrize("pool", POOLS)
def test_one_word_moves_all_deployments_to_another_pool(pool: str, tmp_path: Path) -> None:
    wanted = yaml.safe_load(TEXT)["definitions"]["pools"][pool]
    deployments = deployments_in(switched_to(pool), tmp_path)
    assert len(deployments) == len(EXPECTED)
    for one in deployments:
        assert one["work_pool"] == wanted["work_pool"]
        assert one.get("pull") == wanted.get("pull")


def test_the_quick_start_needs_no_variable_no_block_and_no_pull_step(tmp_path: Path) -> None:
    for one in deployments_in(TEXT, tmp_path):
        assert "{{" not in str(one)
        assert "pull" not in one  # then the folder that is deployed from is recorded


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    tags: [amplitude, part]", "    tags: {amplitude: part}"),
        ('      - cron: "7 * * * *"', '      - cron: "7 * * * *"\n        interval: 3600'),
        ("        active: true", "        activ: true"),
        ("    <<: *process", "    <<: *proces"),
    ],
)
def test_a_file_that_prefect_would_skip_is_noticed(old: str, new: str, tmp_path: Path) -> None:
    assert old in TEXT
    with pytest.raises(Refused):
        deployments_in(TEXT.replace(old, new), tmp_path)

"""prefect.yaml as Prefect reads it, for each of the work pools that it describes."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml
from prefect.cli.deploy._config import _load_deploy_configs_and_actions
from prefect.client.schemas.objects import FlowRun
from prefect.utilities.templating import apply_values
from rich.console import Console

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "prefect.yaml").read_text("utf-8")
POOLS: tuple[str, ...] = tuple(yaml.safe_load(TEXT)["definitions"]["pools"])
CONTAINERS = ("docker", "ecs", "kubernetes")

_THE_ONE_WORD = re.compile(r"^(  runs_on: &runs_on\n    <<: \*)\w+$", re.MULTILINE)
_VARIABLE = re.compile(r"{{ \$(\w+) }}")


class Refused(Exception):
    """Prefect's loader had something to say."""


def switched_to(pool: str, text: str = TEXT) -> str:
    """The file after a user has changed the one word."""
    switched, count = _THE_ONE_WORD.subn(rf"\g<1>{pool}", text)
    assert count == 1
    return switched


def variables_in(text: str) -> dict[str, str]:
    """Every variable of the shell that the file asks for, with a made-up value."""
    return {name: f"value-of-{name.lower().replace('_', '-')}" for name in _VARIABLE.findall(text)}


def deployments_in(text: str, folder: Path) -> list[dict[str, Any]]:
    """The deployments, merged and validated by the loader of ``prefect deploy``.

    Raises:
        Refused: it complained. Prefect itself would only print that, and deploy nothing.
    """
    file, said = folder / "prefect.yaml", io.StringIO()
    file.write_text(text, "utf-8")
    deployments, actions = _load_deploy_configs_and_actions(file, console=Console(file=said, width=200))
    if said.getvalue():
        raise Refused(said.getvalue())
    assert actions == {"build": [], "push": [], "pull": None}, "steps are given for each pool, not for all"
    return deployments


def job_variables_of(deployment: dict[str, Any]) -> dict[str, Any]:
    """What the work pool is told, with the shell's variables in place, as ``prefect deploy`` puts them."""
    given: dict[str, Any] = deployment["work_pool"].get("job_variables", {})
    return apply_values(given, {}, warn_on_notset=True)


def flow_run() -> FlowRun:
    """A run as a worker gets it."""
    return FlowRun(id=uuid4(), flow_id=uuid4(), deployment_id=uuid4(), name="quiet-hour")

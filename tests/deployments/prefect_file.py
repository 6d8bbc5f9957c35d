"""prefect.yaml as Prefect reads it, for each of the work pools that it describes.

The file is its user's to edit: repository, branch, pool, schedules, deployments of further projects. What
is checked holds for every such file; :func:`edited` makes one, with the edits that the README shows.
"""

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
GIT_CLONE = "prefect.deployments.steps.git_clone"

#: The deployments that must be there: flow/deployment, and its entrypoint.
OURS = {
    "amplitude-ingest/hourly": "flows.ingest.ingest",
    "amplitude-gap-fill/nightly": "flows.gap_fill.gap_fill",
    "amplitude-gap-fill/backfill": "flows.gap_fill.gap_fill",
    "amplitude-gap-fill/part": "flows.gap_fill_part.gap_fill_part",
    "amplitude-extract/manual": "flows.extract.extract",
}
#: Their own names, without the flow's.
OUR_NAMES = {name.partition("/")[2] for name in OURS}

_THE_ONE_WORD = re.compile(r"^(  runs_on: &runs_on\n    <<: \*)\w+$", re.MULTILINE)
_REPOSITORY = re.compile(r"^( +repository: ).*$", re.MULTILINE)
_BRANCH = re.compile(r"^( +branch: ).*$", re.MULTILINE)
_POOL = re.compile(r"^( +work_pool:\n +name: )(\S+)$", re.MULTILINE)
_FENCED = re.compile(r"^```yaml\n(.*?)^```", re.DOTALL | re.MULTILINE)
_VARIABLE = re.compile(r"{{ \$(\w+) }}")
_SECRET = re.compile(r"{{ prefect\.blocks\.secret\.([\w-]+) }}")


class Refused(Exception):
    """Prefect's loader had something to say."""


def switched_to(pool: str, text: str = TEXT) -> str:
    """The file after a user has changed the one word."""
    switched, count = _THE_ONE_WORD.subn(rf"\g<1>{pool}", text)
    assert count == 1
    return switched


def cloned_from(repository: str, branch: str, text: str = TEXT) -> str:
    """The file after a user has put in a repository, whichever there was; without a branch, it is git's."""
    told, count = _REPOSITORY.subn(rf"\g<1>{repository}", text)
    assert count == 1
    return _BRANCH.sub(rf"\g<1>{branch}", told)


def edited(text: str = TEXT) -> str:
    """The file after a user has followed the README in everything at once, and then done as users do."""
    readme = (ROOT / "README.md").read_text("utf-8")
    (of_shop,) = (one for one in _FENCED.findall(readme) if "shop" in one)
    text = switched_to("git", cloned_from("git@github.com:acme/events.git", "release-1", text))
    text = _POOL.sub(r"\g<1>\g<2>-of-mine", text)
    text = re.sub(r'- cron: ".*"', '- cron: "*/15 * * * *"', text)
    text = re.sub(r"timezone: \S+", "timezone: Europe/Berlin", text)
    text = text.replace("active: true", "active: false", 1)
    return f"{text.rstrip()}\n\n{of_shop.replace('shop', 'second-shop')}\n{_ANOTHER_POOL}"


#: A deployment that shares nothing with ours.
_ANOTHER_POOL = """\
  - name: second-shop-daily
    entrypoint: flows.ingest.ingest
    work_pool: {name: elsewhere, job_variables: {of_another_kind: true}}
    schedules: [{interval: 86400}]
"""


def variables_in(text: str) -> dict[str, str]:
    """Every variable of the shell that the file asks for, with a made-up value."""
    return {name: f"value-of-{name.lower().replace('_', '-')}" for name in _VARIABLE.findall(text)}


def secrets_in(text: str) -> set[str]:
    """The names of the Secret blocks that it refers to."""
    return set(_SECRET.findall(text))


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


def ours_in(text: str, folder: Path) -> list[dict[str, Any]]:
    """Those of the deployments that must be there, in the order of the file."""
    found = [one for one in deployments_in(text, folder) if one["name"] in OUR_NAMES]
    assert {one["name"] for one in found} == OUR_NAMES
    return found


def job_variables_of(deployment: dict[str, Any]) -> dict[str, Any]:
    """What the work pool is told, with the shell's variables in place, as ``prefect deploy`` puts them."""
    given: dict[str, Any] = deployment["work_pool"].get("job_variables", {})
    return apply_values(given, {}, warn_on_notset=True)


def flow_run() -> FlowRun:
    """A run as a worker gets it."""
    return FlowRun(id=uuid4(), flow_id=uuid4(), deployment_id=uuid4(), name="quiet-hour")

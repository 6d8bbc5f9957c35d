"""Everything that is set up for the deployments' long tests, as its users set it up.

Prefect's server on PostgreSQL, the work pool, `prefect deploy --all`, and two machines for workers. Each test
finds what the ones before it have left, and runs by itself as well.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from core.hours import ExportHour, ExportWindow
from core.lake.verdict import verdicts_of
from emulators.amplitude import EventSource
from emulators.prefect_server import PrefectServer
from tests.deployments.machines import PREFECT, Machine
from tests.deployments.postgres import PostgreSQL
from tests.deployments.prefect_file import ROOT
from tests.rehearsal import Rehearsal, rehearsal

EXPORTS_AT_ONCE = 3
INGEST, BACKFILL, PART = "amplitude-ingest/hourly", "amplitude-gap-fill/backfill", "amplitude-gap-fill/part"

_ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
_TUNED = (
    *("part_hours=72", "part_quiet_seconds=60", "part_start_seconds=45", "retry_seconds=1"),
    *("settle_hours=0", "initial_days=1"),
)


@dataclass
class Site:
    """What the tests act on, and what they look at.

    Attributes:
        environment: Of server and workers, who read secrets from blocks alone.
    """

    folder: Path
    stage: Rehearsal
    database: PostgreSQL
    environment: dict[str, str]
    api: httpx.Client
    machines: list[Machine] = field(default_factory=list)

    @property
    def shell(self) -> dict[str, str]:
        """Of whoever registers and deploys, with every secret in it: none may come along."""
        return {**self.environment, **self.stage.variables}

    def machine(self, name: str, *, limit: int = 5, **variables: str) -> Machine:
        """One more machine; its worker does ``limit`` runs at a time."""
        made = Machine(name, self.folder, {**self.environment, **variables}, limit=limit)
        self.machines.append(made)
        return made

    def prefect(self, *words: str) -> str:
        """What a command said; it must succeed."""
        done = subprocess.run(
            [*PREFECT, *words], cwd=ROOT, env=self.shell, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def trigger(self, deployment: str, **parameters: str) -> str:
        """Ask for a run; its id."""
        said = self.prefect("deployment", "run", deployment, *_as_options(parameters))
        (line,) = [line for line in said.splitlines() if "UUID" in line]
        return str(uuid.UUID(line.split()[-1]))

    def watch(self, deployment: str, **parameters: str) -> None:
        """Ask for a run, and see that it ends green."""
        self.prefect("deployment", "run", deployment, "--watch", *_as_options(parameters))

    def run(self, run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.get(f"/flow_runs/{run_id}").raise_for_status().json()
        return found

    def runs_of(self, deployment: str) -> list[dict[str, Any]]:
        found = self.api.get(f"/deployments/name/{deployment}").raise_for_status().json()
        chosen = {"deployments": {"id": {"any_": [found["id"]]}}, "limit": 200}
        runs: list[dict[str, Any]] = self.api.post("/flow_runs/filter", json=chosen).raise_for_status().json()
        return runs

    def states_of(self, run_id: str) -> list[str]:
        """The types of all states that a run has been in."""
        found = self.api.get("/flow_run_states/", params={"flow_run_id": run_id}).raise_for_status().json()
        return [state["type"] for state in found]

    def end_of(self, run_id: str, *, seconds: float = 900) -> dict[str, Any]:
        """The state that a run ends in."""
        wait_for(lambda: self.run(run_id)["state_type"] in _ENDED, seconds, f"run {run_id}")
        state: dict[str, Any] = self.run(run_id)["state"]
        return state

    def forget(self, first: str, last: str | None = None) -> None:
        """Take these hours' manifests out of the lake, if they are there."""
        client = self.stage.s3.client()
        for hour in hours_of(first, last or first):
            folder = f"amplitude/manifests/date={hour[:10]}/hour={hour[11:]}/"
            for one in client.list_objects_v2(Bucket="lake", Prefix=folder).get("Contents", []):
                client.delete_object(Bucket="lake", Key=one["Key"])

    def hours_asked(self, since: int, first: str, last: str) -> list[str]:
        """Each hour of this range in each request from that one on, sorted."""
        windows = [request.window for request in self.stage.amplitude.requests[since:]]
        asked = [
            hour for window in windows if window for hour in hours_of(str(window.first), str(window.last))
        ]
        return sorted(hour for hour in asked if first <= hour <= last)

    def assert_table_holds_the_truth(self, first: str, last: str | None = None) -> None:
        """Each event of the range once; without an end: of all hours from then on, and of at least one."""
        rows = [row for row in self.stage.rows() if first <= row[1] <= (last or row[1])]
        assert rows == self.stage.truth(first, last or max(hour for _, hour, _ in rows))

    def assert_lake_holds_the_truth(self, first: str, last: str) -> None:
        """Each event of the range once, in the objects that the manifests name."""
        lake, client = self.stage.lake, self.stage.s3.client()
        found = []
        verdicts = verdicts_of(lake.manifest_names(ExportHour.parse(first), ExportHour.parse(last)))
        for hour, verdict in verdicts.items():
            assert verdict.content is not None
            for part in lake.read_manifest(verdict.content).parts:
                body = client.get_object(Bucket="lake", Key=f"amplitude/{part.key}")["Body"].read()
                found += [(json.loads(line)["uuid"], str(hour)) for line in body.splitlines()]
        assert sorted(found) == [(event, hour) for event, hour, _ in self.stage.truth(first, last)]


def _as_options(parameters: dict[str, str]) -> list[str]:
    return [word for name, value in parameters.items() for word in ("--param", f"{name}={value}")]


def hours_of(first: str, last: str) -> list[str]:
    return [str(hour) for hour in ExportWindow(ExportHour.parse(first), ExportHour.parse(last))]


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: nothing within {seconds:.0f} s"
        time.sleep(1)


def tell(figure: str) -> None:
    """For whoever reads what `make test-deploy` prints."""
    sys.stdout.write(f"\n{figure}\n")


@contextlib.contextmanager
def built(folder: Path) -> Iterator[Site]:
    """Set everything up, and take it down. No worker is started."""
    with contextlib.ExitStack() as cleanup:
        source = EventSource(events_per_hour=20)
        stage = cleanup.enter_context(
            rehearsal("amplitude", source=source, save=False, dead_session_seconds=2)
        )
        database = cleanup.enter_context(PostgreSQL())
        environment = {
            **os.environ,
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
            "PREFECT_LOCAL_STORAGE_PATH": str(folder / "results"),
        }
        url = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": database.url}
        server = cleanup.enter_context(PrefectServer({**environment, **url}, folder / "server.log"))
        server.wait_until_ready()
        environment["PREFECT_API_URL"] = server.api_url
        api = cleanup.enter_context(httpx.Client(base_url=server.api_url, timeout=60))
        site = Site(folder, stage, database, environment, api)
        for name in ("first", "second"):
            site.machine(name)
        settings = [word for one in _TUNED for word in ("--set", one)]
        register = [sys.executable, "-m", "blocks.register", *settings]
        subprocess.run(register, cwd=ROOT, env=site.shell, check=True, capture_output=True)
        site.prefect("gcl", "create", "amplitude-exports-amplitude", "--limit", str(EXPORTS_AT_ONCE))
        site.prefect("work-pool", "create", "amplitude", "--type", "process")
        site.prefect("--no-prompt", "deploy", "--all")
        yield site

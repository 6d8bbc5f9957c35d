"""A month over two machines, one of which is lost on the way; everything as its users run it.

Prefect's server on PostgreSQL, two process workers in folders of their own, `prefect deploy --all`. What is
found at the end is compared with what Amplitude holds, event by event, in lake and table.
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
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.hours import ExportHour
from core.lake.verdict import verdicts_of
from emulators.amplitude import EventSource, Fault
from emulators.prefect_server import PrefectServer
from tests.deployments.machines import PREFECT, Machine
from tests.deployments.postgres import PostgreSQL
from tests.deployments.prefect_file import ROOT
from tests.rehearsal import Rehearsal, hours_ago, rehearsal

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(1800)]

EXPORTS_AT_ONCE = 3
MONTH_HOURS = 720


@dataclass
class Site:
    """Everything that is set up for these tests."""

    stage: Rehearsal
    database: PostgreSQL
    environment: dict[str, str]
    api: httpx.Client
    machines: list[Machine]
    logs: list[Path]
    first: str
    last: str

    def prefect(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PREFECT, *words], cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False
        )

    def trigger(self, deployment: str, **parameters: str) -> str:
        """Ask for a run; its id."""
        asked = [word for name, value in parameters.items() for word in ("--param", f"{name}={value}")]
        done = self.prefect("deployment", "run", deployment, *asked)
        assert done.returncode == 0, done.stderr
        (line,) = [line for line in done.stdout.splitlines() if "UUID" in line]
        return str(uuid.UUID(line.split()[-1]))

    def run(self, run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.get(f"/flow_runs/{run_id}").raise_for_status().json()
        return found

    def runs_of(self, deployment: str) -> list[dict[str, Any]]:
        found = self.api.get(f"/deployments/name/{deployment}").raise_for_status().json()
        chosen = {"deployments": {"id": {"any_": [found["id"]]}}, "limit": 200}
        runs: list[dict[str, Any]] = self.api.post("/flow_runs/filter", json=chosen).raise_for_status().json()
        return runs

    def end_of(self, run_id: str, *, seconds: float = 900) -> dict[str, Any]:
        """The state that a run ends in."""
        ended = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
        wait_for(lambda: self.run(run_id)["state_type"] in ended, seconds, f"run {run_id}")
        state: dict[str, Any] = self.run(run_id)["state"]
        return state

    def forget(self, hour: str) -> None:
        """Take an hour's manifests out of the lake."""
        client, folder = self.stage.s3.client(), f"amplitude/manifests/date={hour[:10]}/hour={hour[11:]}/"
        for one in client.list_objects_v2(Bucket="lake", Prefix=folder)["Contents"]:
            client.delete_object(Bucket="lake", Key=one["Key"])

    def assert_table_holds_the_truth(self) -> None:
        """Each event once, from the first hour to the last one that was there, or a newer one."""
        rows = self.stage.rows()
        newest = max(hour for _, hour, _ in rows)
        assert newest >= self.last
        assert rows == self.stage.truth(self.first, newest)

    def lake_events(self, first: str, last: str) -> list[tuple[str, str]]:
        """(uuid, export hour) of every event in the objects that the manifests name, sorted."""
        lake, client = self.stage.lake, self.stage.s3.client()
        found = []
        verdicts = verdicts_of(lake.manifest_names(ExportHour.parse(first), ExportHour.parse(last)))
        for hour, verdict in verdicts.items():
            assert verdict.content is not None
            for part in lake.read_manifest(verdict.content).parts:
                body = client.get_object(Bucket="lake", Key=f"amplitude/{part.key}")["Body"].read()
                found += [(json.loads(line)["uuid"], str(hour)) for line in body.splitlines()]
        return sorted(found)


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: nothing within {seconds:.0f} s"
        time.sleep(1)


def tell(figure: str) -> None:
    """For whoever reads what `make test-deploy` prints."""
    sys.stdout.write(f"\n{figure}\n")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with contextlib.ExitStack() as cleanup:
        source = EventSource(events_per_hour=20)
        stage = cleanup.enter_context(
            rehearsal("amplitude", source=source, save=False, dead_session_seconds=2)
        )
        database = cleanup.enter_context(PostgreSQL())
        environment = {
            **os.environ,
            **stage.variables,
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
            "PREFECT_LOCAL_STORAGE_PATH": str(folder / "results"),
        }
        server_log = folder / "server.log"
        url = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": database.url}
        server = cleanup.enter_context(PrefectServer({**environment, **url}, server_log))
        server.wait_until_ready()
        environment["PREFECT_API_URL"] = server.api_url
        machines = [Machine(name, folder, environment) for name in ("first", "second")]
        logs = [server_log, *(machine.log for machine in machines)]
        api = cleanup.enter_context(httpx.Client(base_url=server.api_url, timeout=60))
        first, last = hours_ago(MONTH_HOURS - 1), hours_ago(0)
        made = Site(stage, database, environment, api, machines, logs, first, last)
        tuned = ["part_hours=72", "part_quiet_seconds=60", "part_start_seconds=45", "retry_seconds=1"]
        settings = [word for one in (*tuned, "settle_hours=0", "initial_days=1") for word in ("--set", one)]
        register = [sys.executable, "-m", "blocks.register", *settings]
        subprocess.run(register, cwd=ROOT, env=environment, check=True, capture_output=True)
        limit = f"amplitude-exports-amplitude --limit {EXPORTS_AT_ONCE}".split()
        for words in (
            ["gcl", "create", *limit],
            ["work-pool", "create", "amplitude", "--type", "process"],
            ["--no-prompt", "deploy", "--all"],
        ):
            done = made.prefect(*words)
            assert done.returncode == 0, done.stdout + done.stderr
        with temporary_api(server.api_url):
            yield made


@contextlib.contextmanager
def temporary_api(url: str) -> Iterator[None]:
    """Blocks are loaded from this server for the length of the block."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: url}):
        yield


def secrets_of(site: Site) -> list[str]:
    names = ("AMP_API_KEY", "AMP_SECRET_KEY", "AWS_SECRET_KEY")
    key = site.stage.variables["SNOWFLAKE_PRIVATE_KEY"].split("\\n")
    return [*(site.stage.variables[name] for name in names), *(line for line in key if len(line) > 60)]


def test_a_month_over_two_machines_ends_complete_though_one_is_lost_on_the_way(site: Site) -> None:
    stage, (first_machine, second_machine) = site.stage, site.machines
    stage.amplitude.faults.add(Fault("slow", times=None, seconds=1.5))
    first, last = site.first, site.last
    began = time.monotonic()
    with first_machine, second_machine:
        backfill = site.trigger("amplitude-gap-fill/backfill", start=first, end=last)
        wait_for(
            lambda: bool(second_machine.runs()) and len(stage.amplitude.requests) >= 4, 180, "parts under way"
        )
        parts = {run["id"] for run in site.runs_of("amplitude-gap-fill/part")}
        assert len(parts) == 8
        survivor = next(machine for machine in site.machines if backfill in machine.runs())
        other = next(machine for machine in site.machines if machine is not survivor)
        assert other.lose() > 1
        wait_for(lambda: bool(survivor.runs() & parts), 120, "a part beside its gap-fill")
        assert survivor.kill_run(min(survivor.runs() & parts)) == 1
        ended = site.end_of(backfill)
        tell(f"backfill: {ended['type']} after {time.monotonic() - began:.0f} s")
        assert ended["type"] == "COMPLETED", ended
        truth, asked = stage.truth(first, last), len(stage.amplitude.requests)
        assert stage.rows() == truth
        assert site.lake_events(first, last) == sorted((event, hour) for event, hour, _ in truth)
        again = site.prefect(
            *("deployment", "run", "amplitude-gap-fill/backfill", "--watch"),
            *("--param", f"start={first}", "--param", f"end={last}"),
        )
        assert again.returncode == 0, again.stdout + again.stderr
    stage.amplitude.faults.clear()
    assert len(stage.amplitude.requests) == asked
    assert stage.rows() == truth
    assert 1 < stage.amplitude.busiest <= EXPORTS_AT_ONCE
    states = {run["state_type"] for run in site.runs_of("amplitude-gap-fill/part")}
    assert "COMPLETED" in states
    tell(f"parts ended {sorted(states)}; exports at once, at most: {stage.amplitude.busiest}")


def test_the_schedule_fires_by_itself_and_two_runs_at_once_both_end_well(site: Site) -> None:
    with site.machines[0]:
        added = site.prefect(
            *("deployment", "schedule", "create", "amplitude-ingest/hourly"), *("--interval", "30")
        )
        assert added.returncode == 0, added.stderr

        def fired() -> bool:
            runs = site.runs_of("amplitude-ingest/hourly")
            return any(run["auto_scheduled"] and run["state_type"] == "COMPLETED" for run in runs)

        wait_for(fired, 240, "a run by schedule")
        site.prefect("deployment", "schedule", "pause", "--all", "--no-prompt")
        site.forget(site.last)  # so that there is something to fetch
        words = [*PREFECT, "deployment", "run", "amplitude-ingest/hourly", "--watch"]
        both = [
            subprocess.Popen(words, cwd=ROOT, env=site.environment, stdout=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        said = [process.communicate(timeout=300)[0] for process in both]
        assert [process.returncode for process in both] == [0, 0], said
    site.assert_table_holds_the_truth()


def test_after_a_killed_ingest_the_next_one_starts_unaided(site: Site) -> None:
    site.stage.amplitude.faults.add(Fault("slow", times=1, seconds=30))
    site.forget(site.last)
    asked = len(site.stage.amplitude.requests)
    with site.machines[0] as machine:
        site.trigger("amplitude-ingest/hourly")
        wait_for(lambda: site.stage.amplitude.busy > 0, 120, "an export under way")
        machine.lose()
    with site.machines[1]:
        began = time.monotonic()
        next_run = site.trigger("amplitude-ingest/hourly")
        assert site.end_of(next_run)["type"] == "COMPLETED"
        seconds = time.monotonic() - began
    tell(f"after a killed ingest the next one was complete in {seconds:.0f} s")
    assert seconds < timedelta(minutes=15).total_seconds()
    assert len(site.stage.amplitude.requests) > asked
    site.assert_table_holds_the_truth()


def test_no_secret_is_in_the_database_or_in_a_log(site: Site) -> None:
    dump = site.database.dump()
    assert "amplitude-lake" in dump or "gap-fill part" in dump  # it is the right database
    logs = "".join(log.read_text("utf-8", "replace") for log in site.logs)
    assert "amplitude" in logs
    found = [number for number, secret in enumerate(secrets_of(site)) if secret in dump or secret in logs]
    assert found == []
    assert len(secrets_of(site)) > 10

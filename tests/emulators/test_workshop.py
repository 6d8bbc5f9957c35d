"""What `make up` finds on its Prefect server, what it makes of prefect.yaml, and how its worker ends."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import yaml

from emulators.children import StackError, free_port
from emulators.processes import Process, end
from emulators.workshop import bury_runs, end_with_runs, on_this_machine, run_step
from tests.deployments.prefect_file import switched_to

TEXT = switched_to("process")


@pytest.mark.parametrize("pool", sorted(yaml.safe_load(TEXT)["definitions"]["pools"]))
def test_whatever_pool_is_chosen_make_up_deploys_to_this_machine(pool: str) -> None:
    chosen = switched_to(pool)
    assert (chosen == TEXT) is (pool == "process")
    assert on_this_machine(chosen) == TEXT
    assert yaml.safe_load(chosen)["deployments"][0]["work_pool"]["name"].startswith("amplitude")


def test_a_remark_beside_the_word_stays() -> None:
    remarked = TEXT.replace("    <<: *process\n", "    <<: *ecs  # ours\n")
    assert on_this_machine(remarked) == TEXT.replace("<<: *process\n", "<<: *process  # ours\n")


def test_a_file_without_the_word_is_refused_in_one_sentence() -> None:
    with pytest.raises(StackError, match=r"prefect\.yaml has no `<<: \*process`"):
        on_this_machine(TEXT.replace("  runs_on: &runs_on\n", "  runs_on: &elsewhere\n"))


@pytest.fixture
def refusing() -> Iterator[str]:
    """A server that answers 500 to everything."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_error(500, "no disk")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/api"
        server.shutdown()
        thread.join()


@pytest.mark.slow
def test_a_server_that_refuses_or_is_gone_is_told_in_one_sentence(refusing: str) -> None:
    with pytest.raises(StackError, match=r"The Prefect server answered 500 to POST .*/flow_runs/filter"):
        bury_runs(refusing)
    with pytest.raises(StackError, match="The Prefect server does not answer"):
        bury_runs(f"http://127.0.0.1:{free_port()}/api")


@pytest.mark.slow
def test_only_what_is_dead_or_missed_its_hour_is_buried(prefect_server: None) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.objects import State
    from prefect.client.schemas.schedules import CronSchedule
    from prefect.settings import PREFECT_API_URL
    from prefect.states import Cancelling, Completed, Pending, Running, Scheduled

    api = str(PREFECT_API_URL.value())
    now = datetime.now(UTC)
    hourly = DeploymentScheduleCreate(schedule=CronSchedule(cron="7 * * * *"), active=True)
    with get_client(sync_client=True) as client:
        flow = client.create_flow_from_name("buried")
        deployment = client.create_deployment(flow, "buried", schedules=[hourly], paused=False)
        asked_for: State[Any] = Scheduled(scheduled_time=now - timedelta(hours=2))
        states = [Running(), Running(), Pending(), Running(), Cancelling(), Completed(), asked_for]
        runs = [client.create_flow_run_from_deployment(deployment, state=one).id for one in states]

    def planned(first: datetime, last: datetime) -> int:
        """Let the schedule plan what is due in this time, and count it."""
        span = {"start_time": first.isoformat(), "end_time": last.isoformat(), "min_runs": 10}
        httpx.post(f"{api}/deployments/{deployment}/schedule", json=span).raise_for_status()
        return counted(first, last)

    def counted(first: datetime, last: datetime) -> int:
        found = filtered(deployment)
        due = [datetime.fromisoformat(one["expected_start_time"]) for one in found if one["auto_scheduled"]]
        return sum(first <= one <= last for one in due)

    def filtered(deployment: UUID) -> list[dict[str, Any]]:
        which = {"deployments": {"id": {"any_": [str(deployment)]}}, "limit": 200}
        return list(httpx.post(f"{api}/flow_runs/filter", json=which).raise_for_status().json())

    missed = (now - timedelta(hours=5), now - timedelta(hours=1))
    to_come = (now + timedelta(hours=50), now + timedelta(hours=54))
    assert planned(*missed) == planned(*to_come) == 4
    bury_runs(api, runs_per_page=2)
    states_now = {UUID(one["id"]): one["state_type"] for one in filtered(deployment)}
    assert [states_now[run] for run in runs] == ["CRASHED"] * 5 + ["COMPLETED", "SCHEDULED"]
    assert counted(*missed) == 0
    assert counted(*to_come) == 4
    httpx.delete(f"{api}/deployments/{deployment}").raise_for_status()


#: A worker that begins another run after it was told to end, and then takes a moment to do so.
WORKER = """
import signal, subprocess, sys, threading, time
told = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: told.set())
def run():
    script = "import time; time.sleep(60)"
    print(subprocess.Popen([sys.executable, "-c", script], start_new_session=True).pid, flush=True)
run()
told.wait()
run()
time.sleep(0.5)
"""


@pytest.mark.slow
def test_a_run_that_a_worker_begins_while_it_ends_is_ended_too() -> None:
    with subprocess.Popen([sys.executable, "-c", WORKER], stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        first = Process.of(int(worker.stdout.readline()))
        known = Process.of(worker.pid)
        ended = end_with_runs([known])
        second = Process.of(int(worker.stdout.readline()))
    assert ended[:2] == [first, known]
    assert ended[2:] != [], "the second has begun"
    assert not second.alive
    end([second], 1)


@pytest.mark.slow
def test_no_env_file_of_the_project_leads_a_step_elsewhere(tmp_path: Path) -> None:
    """The second case is the control: in the project's folder its file would be read."""
    project, work = tmp_path / "project", tmp_path / "work"
    for folder in (project, work):
        folder.mkdir()
    (project / ".env").write_text("PREFECT_API_KEY=somebody-s\n")
    script = "from prefect.settings import PREFECT_API_KEY as key; print(key.value())"
    (tmp_path / "step.py").write_text(script)
    log = tmp_path / "step.log"
    environment = {"PYTHONPATH": str(tmp_path), "PREFECT_HOME": str(tmp_path / "home")}
    for folder, found in ((work, "None\n"), (project, "somebody-s\n")):
        run_step("It could not be run", ["step"], environment, folder, log)
        assert log.read_text() == found
    (tmp_path / "step.py").write_text("raise SystemExit('no')")
    with pytest.raises(StackError, match=r"It could not be run \(exit code 1\)\. It wrote:\nno"):
        run_step("It could not be run", ["step"], environment, work, log)

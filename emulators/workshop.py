"""A Prefect server that is set up for this project: blocks, deployments, a work pool and its worker."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from emulators.children import StackError
from emulators.processes import Process, descendants, end

ROOT = Path(__file__).resolve().parent.parent
POOL = "amplitude"
WORKER = "this-machine"
_START_SECONDS = 60.0
_END_SECONDS = 15.0
_TAIL_LINES = 15


def prepare_pool(api_url: str) -> None:
    """See that there is a work pool for processes.

    Raises:
        StackError: The server refused.
    """
    if _ask("GET", f"{api_url}/work_pools/{POOL}").status_code != httpx.codes.NOT_FOUND:
        return
    from prefect.workers.process import ProcessWorker  # seconds to load, and needed once only

    template = ProcessWorker.get_default_base_job_template()
    pool = {"name": POOL, "type": ProcessWorker.type, "base_job_template": template}
    answer = _ask("POST", f"{api_url}/work_pools/", pool)
    if answer.is_error:
        msg = f"The work pool {POOL} could not be made: {answer.text}"
        raise StackError(msg)


def bury_runs(api_url: str) -> None:
    """Call every run crashed that the server believes to be under way: no worker has started yet.

    A run that was killed with its worker, or after the server, could not say so itself.

    Raises:
        StackError: The server does not answer.
    """
    under_way = {"flow_runs": {"state": {"type": {"any_": ["RUNNING", "PENDING", "CANCELLING"]}}}}
    state = {"type": "CRASHED", "name": "Crashed", "message": "The stack ended, and its runs with it."}
    for run in _ask("POST", f"{api_url}/flow_runs/filter", under_way).json():
        _ask("POST", f"{api_url}/flow_runs/{run['id']}/set_state", {"state": state, "force": True})


def run_step(what: str, command: list[str], environment: Mapping[str, str], log: Path) -> None:
    """Run one command of the project in its folder, with its words in a log.

    Args:
        what: For an error: "The blocks could not be registered".

    Raises:
        StackError: It did not end with 0. The message has its last words.
    """
    with log.open("wb") as output:
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        msg = f"{what} (exit code {done.returncode}). It wrote:\n{_tail(log)}"
        raise StackError(msg)


class Worker:
    """A worker for the pool, that lives as long as its ``with`` block, with the runs that it has started.

    Runs that are under way at the end are asked to end first, so that they can tell the server.

    Args:
        api_url: Of a server that answers until the block is left.
        environment: Its whole environment, and that of its runs.
        log: What it and its runs write goes there.
    """

    def __init__(self, api_url: str, environment: Mapping[str, str], log: Path) -> None:
        self._api_url = api_url
        self._environment = dict(environment)
        self._log = log

    def __enter__(self) -> Self:
        self._began = datetime.now(UTC)
        command = ["worker", "start", "--pool", POOL, "--type", "process", "--name", WORKER]
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "prefect", "--no-prompt", *command],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        end_with_runs([Process.of(self._process.pid)])
        self._process.wait()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def wait_until_ready(self, seconds: float = _START_SECONDS) -> None:
        """Return once the server has heard of it.

        Raises:
            StackError: It ended, or was not heard of in time.
        """
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.check()
            answer = _ask("POST", f"{self._api_url}/work_pools/{POOL}/workers/filter", {})
            beats = [one["last_heartbeat_time"] for one in answer.json() if one["name"] == WORKER]
            if any(beat and datetime.fromisoformat(beat) >= self._began for beat in beats):
                return
            time.sleep(0.3)
        msg = f"The worker was not ready in time. It wrote:\n{_tail(self._log)}"
        raise StackError(msg)

    def check(self) -> None:
        """See that it runs.

        Raises:
            StackError: It has ended.
        """
        if (code := self._process.poll()) is not None:
            msg = f"The worker ended by itself (exit code {code}). It wrote:\n{_tail(self._log)}"
            raise StackError(msg)


def end_with_runs(workers: list[Process]) -> list[Process]:
    """End workers and the runs that they have started: runs first, while they can still say so.

    Returns:
        Those that were alive.
    """
    runs = descendants(workers)
    return [*end(runs, _END_SECONDS), *end(workers, _END_SECONDS), *end(descendants(workers), 0)]


def _ask(method: str, url: str, body: object = None) -> httpx.Response:
    try:
        return httpx.request(method, url, json=body, timeout=30, trust_env=False)
    except httpx.TransportError as error:
        msg = f"The Prefect server does not answer: {error}"
        raise StackError(msg) from None


def _tail(log: Path) -> str:
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-_TAIL_LINES:])

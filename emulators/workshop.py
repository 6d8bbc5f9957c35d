"""A Prefect server that is set up for this project: blocks, deployments, a work pool and its worker."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from emulators.children import StackError
from emulators.processes import Process, descendants, end

POOL = "amplitude"
WORKER = "this-machine"
_START_SECONDS = 60.0
_END_SECONDS = 15.0
_TAIL_LINES = 15
_RUNS_PER_PAGE = 200
_MORE_TRIES = 4
_BUSY = {httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE}
_RUNS_ON = re.compile(r"^([ \t]*runs_on: &runs_on[^\n]*\n[ \t]*<<: \*)[\w-]+", re.MULTILINE)


def on_this_machine(deployments: str) -> str:
    """The text of prefect.yaml with ``runs_on`` as *process, whatever its user has chosen.

    Raises:
        StackError: It has no such line.
    """
    switched, count = _RUNS_ON.subn(r"\g<1>process", deployments)
    if count != 1:
        msg = "prefect.yaml has no `<<: *process` below `runs_on: &runs_on`: make up needs it to deploy here."
        raise StackError(msg)
    return switched


def prepare_pool(api_url: str) -> None:
    """See that there is a work pool for processes.

    Raises:
        StackError: The server refused.
    """
    found = _ask("POST", f"{api_url}/work_pools/filter", {"work_pools": {"name": {"any_": [POOL]}}})
    if found.json():
        return
    from prefect.workers.process import ProcessWorker  # seconds to load, and needed once only

    template = ProcessWorker.get_default_base_job_template()
    pool = {"name": POOL, "type": ProcessWorker.type, "base_job_template": template}
    _ask("POST", f"{api_url}/work_pools/", pool)


def bury_runs(api_url: str, *, runs_per_page: int = _RUNS_PER_PAGE) -> None:
    """Tidy up what the end of the last stack left, before a worker starts.

    Runs that were under way are called crashed: whoever was killed could not say so itself. Runs that a
    schedule had planned for a time when nothing ran are removed: the next one takes what they missed.
    Runs that somebody asked for, and that have not begun, are left for the worker.

    Raises:
        StackError: The server does not answer, or refuses.
    """
    under_way = {"state": {"type": {"any_": ["RUNNING", "PENDING", "CANCELLING"]}}}
    state = {"type": "CRASHED", "name": "Crashed", "message": "The stack ended, and its runs with it."}
    for run in _runs(api_url, under_way, runs_per_page):
        _ask("POST", f"{api_url}/flow_runs/{run['id']}/set_state", {"state": state, "force": True})
    late = {
        "state": {"name": {"any_": ["Scheduled", "Late"]}},
        "next_scheduled_start_time": {"before_": datetime.now(UTC).isoformat()},
    }
    for run in _runs(api_url, late, runs_per_page):
        if run["auto_scheduled"] and not run["run_count"]:
            _ask("DELETE", f"{api_url}/flow_runs/{run['id']}")


def _runs(api_url: str, which: Mapping[str, object], per_page: int) -> list[dict[str, Any]]:
    """All of them, before one is changed: a change would move the others to other pages."""

    def pages() -> Iterator[list[dict[str, Any]]]:
        asked: dict[str, object] = {"flow_runs": which, "sort": "ID_DESC", "limit": per_page}
        offset = 0
        while page := _ask("POST", f"{api_url}/flow_runs/filter", {**asked, "offset": offset}).json():
            yield page
            offset += len(page)

    return [run for page in pages() for run in page]


def run_step(what: str, command: list[str], environment: Mapping[str, str], folder: Path, log: Path) -> None:
    """Run one command of the project, with its words in a log.

    Args:
        what: For an error: "The blocks could not be registered".
        folder: Where it runs.

    Raises:
        StackError: It did not end with 0. The message has its last words.
    """
    with log.open("wb") as output:
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=folder,
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
        folder: Where it runs.
        log: What it and its runs write goes there.
    """

    def __init__(self, api_url: str, environment: Mapping[str, str], folder: Path, log: Path) -> None:
        self._api_url = api_url
        self._environment = dict(environment)
        self._folder = folder
        self._log = log
        self.runs: list[Process] = []

    def __enter__(self) -> Self:
        self._began = datetime.now(UTC)
        command = ["worker", "start", "--pool", POOL, "--type", "process", "--name", WORKER]
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "prefect", "--no-prompt", *command],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.known = Process.of(self._process.pid)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        end_with_runs([self.known], self.runs)
        self._process.wait()

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
        """See that it runs, and what it has started: its ``runs``, to be found also when it is gone.

        Raises:
            StackError: It has ended.
        """
        if (code := self._process.poll()) is not None:
            msg = f"The worker ended by itself (exit code {code}). It wrote:\n{_tail(self._log)}"
            raise StackError(msg)
        self.runs = descendants([self.known])


def end_with_runs(workers: Sequence[Process], runs: Sequence[Process] = ()) -> list[Process]:
    """End workers and the runs that they have started: runs first, while they can still say so.

    Args:
        runs: What they are known to have started: whose worker is gone is nobody's descendant.

    Returns:
        Those that were alive.
    """
    under_way = dict.fromkeys([*runs, *descendants([*workers, *runs])])
    ended = end(under_way, _END_SECONDS)
    # A worker takes up another run while the one before ends, and until it has ended itself.
    late: dict[Process, None] = {}

    def look() -> None:
        late.update(dict.fromkeys(descendants(workers)))

    look()
    ended += end(workers, _END_SECONDS, meanwhile=look)
    return ended + end(dict.fromkeys([*late, *descendants(late)]), _END_SECONDS)


def _ask(method: str, url: str, body: object = None) -> httpx.Response:
    """The server's answer, which says that it has done it; a server whose database is busy is asked again."""
    try:
        answer = httpx.request(method, url, json=body, timeout=30, trust_env=False)
        for _ in range(_MORE_TRIES):
            if answer.status_code not in _BUSY:
                break
            time.sleep(1)
            answer = httpx.request(method, url, json=body, timeout=30, trust_env=False)
        answer.raise_for_status()
    except httpx.TransportError as error:
        msg = f"The Prefect server does not answer ({error}): {method} {url}."
        raise StackError(msg) from None
    except httpx.HTTPStatusError as error:
        said = " ".join(error.response.text.split())[:200]
        msg = f"The Prefect server answered {error.response.status_code} to {method} {url}: {said}"
        raise StackError(msg) from None
    return answer


def _tail(log: Path) -> str:
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-_TAIL_LINES:])

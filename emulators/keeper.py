"""``python -m emulators.keeper HOME``: what `make up` leaves running. It holds all the others.

Started by :mod:`emulators.up`, which reads what it says: lines for the user, then ``ready``, or ``failed``
and why.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from emulators.children import StackError, is_free
from emulators.identity import emptied
from emulators.keeping import Keeper, Look, say
from emulators.kept import write_privately
from emulators.prefect_server import PrefectServer, private_environment
from emulators.processes import Process
from emulators.record import ROOT
from emulators.stack import EmbeddedStack
from emulators.workshop import Worker, bury_runs, on_this_machine, prepare_pool, run_step

#: The first is Prefect's own.
UI_PORTS = range(4200, 4300)
EVENTS_PER_HOUR = 600


def equip(keeper: Keeper) -> Look:
    """Start emulators, Prefect server and worker.

    Raises:
        StackError: Something did not start, or could not be set up.
    """
    home = keeper.home
    logs, work = emptied(home / "logs"), home / "work"
    environment = _environment(home)
    server = PrefectServer(environment, logs / "prefect-server.log", port=ui_port(), pages=home / "ui")
    keeper.hold(server)
    keeper.started("prefect-server", Process.of(server.pid), ui=server.url)
    stack = keeper.hold_slowly(EmbeddedStack(home=home, events_per_hour=EVENTS_PER_HOUR))
    for name, pid in stack.processes.items():
        keeper.started(name, Process.of(pid))
    say("Amplitude, S3 and Snowflake (emulators) listen.")
    server.wait_until_ready()
    say(f"Prefect server: {server.url}")
    bury_runs(server.api_url)
    environment["PREFECT_API_URL"] = server.api_url
    lines = "".join(f"{name}={value}\n" for name, value in stack.environment.items())
    write_privately(home / "env", lines.encode())
    deployments = (ROOT / "prefect.yaml").read_text("utf-8")
    (work / "prefect.yaml").write_text(on_this_machine(deployments), "utf-8")

    def step(what: str, name: str, *command: str) -> None:
        run_step(what, [*command], environment, work, logs / f"{name}.log")

    register = ["blocks.register", "--env-file", str(home / "env")]
    deploy = ["prefect", "--no-prompt", "deploy", "--all"]
    # In threads: what they start is never left alone by a signal, which reaches the main thread only.
    with ThreadPoolExecutor() as threads:
        registered = threads.submit(step, "The blocks could not be registered", "register", *register)
        prepare_pool(server.api_url)
        deployed = threads.submit(step, "The deployments could not be applied", "deploy", *deploy)
        deployed.result()
        registered.result()
    say("Blocks are registered, deployments applied.")
    worker = keeper.hold(Worker(server.api_url, environment, work, logs / "worker.log"))
    keeper.started("worker", worker.known)
    worker.wait_until_ready()

    def look() -> Sequence[Process]:
        stack.wait(1.0)
        server.check()
        worker.check()
        return worker.runs

    return look


def ui_port(ports: Iterable[int] = UI_PORTS) -> int:
    """The first of these ports that nobody listens on.

    Raises:
        StackError: There is none.
    """
    tried = list(ports)
    for port in tried:
        if is_free(port):
            return port
    msg = f"None of the {len(tried)} ports from {tried[0]} on is free."
    raise StackError(msg)


def _environment(home: Path) -> dict[str, str]:
    return private_environment(home) | {
        "TMPDIR": str(emptied(home / "tmp")),
        "PYTHONPATH": str(ROOT),
        # Slots of runs that were killed are free again after a restart of the server.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    }


if __name__ == "__main__":
    sys.exit(Keeper(Path(sys.argv[1]), equip).run())

"""What is written down about the stack that is kept running: who, where, and how it ended."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from pydantic import TypeAdapter, ValidationError

from emulators.children import StackError
from emulators.kept import write_privately
from emulators.processes import Process

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".stack"
FILE = "running.json"

#: What the keeper says to the command that started it: that all is set up, or why it is not.
READY = "ready"
FAILED = "failed "


@dataclass(frozen=True, slots=True)
class Record:
    """One stack, running or not any more.

    Args:
        keeper: The process that holds the others.
        processes: The others, by name.
        ui: Where Prefect's user interface is; its API is below, at ``/api``.
        runs: What the worker had started when it was last looked at: they may outlive it.
        ready: Whether everything was set up.
        failure: Why it ended by itself; empty if it did not.
    """

    keeper: Process
    processes: Mapping[str, Process] = field(default_factory=dict)
    ui: str = ""
    runs: Sequence[Process] = ()
    ready: bool = False
    failure: str = ""

    @classmethod
    def read(cls, home: Path) -> Self | None:
        """The one that was written there; None if there is none.

        Raises:
            StackError: It cannot be read. The keeper sees that too, and ends.
        """
        file = home / FILE
        try:
            return TypeAdapter(cls).validate_json(file.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError):
            msg = f"{file} cannot be read: make down removes it, and what runs ends by itself within seconds."
            raise StackError(msg) from None

    def write(self, home: Path) -> None:
        """Take the place of the one before."""
        write_privately(home / FILE, json.dumps(asdict(self), indent=2).encode())

    @staticmethod
    def forget(home: Path) -> None:
        """There is no stack."""
        (home / FILE).unlink(missing_ok=True)

    @property
    def everybody(self) -> dict[str, Process]:
        """Every process by name, the keeper first."""
        return {"keeper": self.keeper, **self.processes}

    @property
    def lost(self) -> list[str]:
        """The names of those that do not run any more."""
        return [name for name, process in self.everybody.items() if not process.alive]

    @property
    def complete(self) -> bool:
        """Whether all is set up and running."""
        return self.ready and not self.lost


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Be the only command that starts or stops this stack; another one waits.

    The folder is made if it is not there, and is its owner's alone.
    """
    home.mkdir(mode=0o700, exist_ok=True)
    home.chmod(0o700)
    descriptor = os.open(home / "commands.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

"""One emulated account: everything that sessions share."""

import itertools
import threading
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from fakesnow.instance import FakeSnow

from emulators.snowflake.faults import Faults
from emulators.snowflake.history import LoadHistory
from emulators.snowflake.kept import KeptAccount
from emulators.snowflake.locks import TableLocks
from emulators.snowflake.objects import Objects
from emulators.snowflake.s3 import Lake, S3Settings

if TYPE_CHECKING:
    from emulators.snowflake.results import Result
    from emulators.snowflake.session import Session

_KEPT_RESULTS = 16
DEFAULT_WAREHOUSE = "COMPUTE_WH"


@dataclass(frozen=True)
class Statement:
    """One statement as a client sent it."""

    session: int
    sql: str


@dataclass
class Account:
    """The shared state. `version` grows with every commit that changed something."""

    s3: S3Settings
    fake: FakeSnow = field(default_factory=lambda: FakeSnow(False, False))  # noqa: FBT003
    objects: Objects = field(default_factory=Objects)
    locks: TableLocks = field(default_factory=TableLocks)
    history: LoadHistory = field(default_factory=LoadHistory)
    faults: Faults = field(default_factory=Faults)
    statements: list[Statement] = field(default_factory=list)
    sessions: dict[str, "Session"] = field(default_factory=dict)
    ddl: threading.RLock = field(default_factory=threading.RLock)
    guard: threading.RLock = field(default_factory=threading.RLock)
    results: "dict[str, Result]" = field(default_factory=dict)
    kept: KeptAccount | None = None
    version: int = 0
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    _lake: Lake | None = None

    def __post_init__(self) -> None:
        self.objects.warehouses.setdefault(DEFAULT_WAREHOUSE, {"size": "X-Small"})

    @classmethod
    def opened(cls, s3: S3Settings, folder: Path | None) -> Self:
        """A new account in memory, or the one that a folder holds.

        Raises:
            StaleState: other releases wrote the folder.
        """
        if folder is None:
            return cls(s3)
        kept = KeptAccount(folder)
        objects, loaded = kept.others() or (Objects(), [])
        account = cls(s3, fake=kept.databases(), objects=objects, kept=kept)
        account.history.commit(loaded)
        return account

    @property
    def lake(self) -> Lake:
        """The door to S3, opened at its first use."""
        with self.guard:
            self._lake = self._lake or Lake(self.s3)
            return self._lake

    def number(self) -> int:
        """A new number, for sessions and transactions."""
        return next(self._numbers)

    def keep(self, query_id: str, result: "Result") -> None:
        """Keep a result for RESULT_SCAN; the last few only."""
        with self.guard:
            self.results[query_id] = result
            while len(self.results) > _KEPT_RESULTS:
                del self.results[next(iter(self.results))]

    def changed(self) -> None:
        """Tell that a commit changed something."""
        with self.guard:
            self.version += 1
            if self.kept is not None:
                self.kept.keep(self.objects, self.history.entries())


def new_query_id() -> str:
    """An id for a statement, in the form of the service's own."""
    return str(uuid.uuid4())

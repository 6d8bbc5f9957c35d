"""An account in a folder, so that the next process has it again: databases, other objects, load history.

Databases are DuckDB files, and a commit is on the disk when it is answered. The other objects and the load
history are written after each change; an end at that very moment loses the last change of those. Not kept:
sessions, results and the log of statements.
"""

import pickle
from pathlib import Path
from urllib.parse import unquote

import duckdb
from fakesnow import info_schema
from fakesnow.instance import GLOBAL_DATABASE_NAME, FakeSnow
from fakesnow.transforms import show

from emulators.kept import StaleState, claim, unreadable, write_privately
from emulators.snowflake.engine import DATABASE_SUFFIX, attach, database_file
from emulators.snowflake.history import Loaded
from emulators.snowflake.objects import Objects


class KeptAccount:
    """What one account holds, in a folder.

    Args:
        folder: Made if it is not there. What lies in it is trusted: only its owner may write there.

    Raises:
        StaleState: Other releases wrote it, or it is damaged.
    """

    def __init__(self, folder: Path) -> None:
        claim(folder, ["fakesnow", "duckdb"])
        self._folder = folder
        self._file = folder / "objects.pickle"

    def databases(self) -> FakeSnow:
        """fakesnow over the databases that are there, with its own notes about them.

        Raises:
            StaleState: One of them is damaged.
        """
        fake = FakeSnow(False, False, db_path=self._folder)  # noqa: FBT003
        duck = fake.duck_conn
        # fakesnow holds comments and lengths of columns of all databases in one more, in memory.
        duck.execute(f"DETACH {GLOBAL_DATABASE_NAME}")
        self._attach(duck, GLOBAL_DATABASE_NAME)
        duck.execute(info_schema.fs_global_creation_sql())
        duck.execute(show.fs_global_creation_sql())
        for file in sorted(self._folder.glob(f"*{DATABASE_SUFFIX}")):
            name = unquote(file.name.removesuffix(DATABASE_SUFFIX))
            if name != GLOBAL_DATABASE_NAME:
                self._attach(duck, name)
        return fake

    def _attach(self, duck: duckdb.DuckDBPyConnection, name: str) -> None:
        try:
            attach(duck, self._folder, name)
        except duckdb.Error as error:
            file = database_file(self._folder, name)
            raise StaleState(unreadable(file, self._folder.parent, error)) from None

    def others(self) -> tuple[Objects, list[Loaded]] | None:
        """What :meth:`keep` wrote; None if it has not been called yet.

        Raises:
            StaleState: It is damaged.
        """
        if not self._file.exists():
            return None
        try:
            objects, loaded = pickle.loads(self._file.read_bytes())  # noqa: S301  written here, by its owner
        except Exception as error:  # noqa: BLE001  a damaged pickle may raise anything
            raise StaleState(unreadable(self._file, self._folder.parent, error)) from None
        return objects, loaded

    def keep(self, objects: Objects, loaded: list[Loaded]) -> None:
        """Write them down, all or nothing."""
        write_privately(self._file, pickle.dumps((objects, loaded)))

"""An account in a folder, so that the next process has it again: databases, other objects, load history.

Databases are DuckDB files, and a commit is on the disk when it is answered. The other objects and the load
history are written after each change; a kill at that very moment loses the last change of those. Not kept:
sessions, results and the log of statements.
"""

import pickle
from pathlib import Path
from urllib.parse import unquote

from fakesnow import info_schema
from fakesnow.instance import GLOBAL_DATABASE_NAME, FakeSnow
from fakesnow.transforms import show

from emulators.kept import claim
from emulators.snowflake.engine import DATABASE_SUFFIX, attach
from emulators.snowflake.history import Loaded
from emulators.snowflake.objects import Objects


class KeptAccount:
    """What one account holds, in a folder.

    Args:
        folder: Made if it is not there. What lies in it is trusted: only its owner may write there.

    Raises:
        StaleState: Other releases of fakesnow or DuckDB wrote it.
    """

    def __init__(self, folder: Path) -> None:
        claim(folder, ["fakesnow", "duckdb"])
        self._folder = folder
        self._file = folder / "objects.pickle"

    def databases(self) -> FakeSnow:
        """fakesnow over the databases that are there, with its own notes about them."""
        fake = FakeSnow(False, False, db_path=self._folder)  # noqa: FBT003
        duck = fake.duck_conn
        # fakesnow holds comments and lengths of columns of all databases in one more, in memory.
        duck.execute(f"DETACH {GLOBAL_DATABASE_NAME}")
        attach(duck, self._folder, GLOBAL_DATABASE_NAME)
        duck.execute(info_schema.fs_global_creation_sql())
        duck.execute(show.fs_global_creation_sql())
        for file in sorted(self._folder.glob(f"*{DATABASE_SUFFIX}")):
            name = unquote(file.name.removesuffix(DATABASE_SUFFIX))
            if name != GLOBAL_DATABASE_NAME:
                attach(duck, self._folder, name)
        return fake

    def others(self) -> tuple[Objects, list[Loaded]] | None:
        """What :meth:`keep` wrote; None if it has not been called yet."""
        if not self._file.exists():
            return None
        objects, loaded = pickle.loads(self._file.read_bytes())  # noqa: S301  written here, by its owner
        return objects, loaded

    def keep(self, objects: Objects, loaded: list[Loaded]) -> None:
        """Write them down, all or nothing."""
        new = self._file.with_suffix(".new")
        new.write_bytes(pickle.dumps((objects, loaded)))
        new.replace(self._file)

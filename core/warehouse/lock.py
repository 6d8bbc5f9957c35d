"""The schema's one row: a loader holds it while it loads, and it says whose events the schema holds."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import WarehouseRefused, WarehouseUnavailable
from core.warehouse import statements
from core.warehouse.session import Session


@dataclass(frozen=True, slots=True)
class SchemaLock:
    """The row of ``load_lock``, as one lake's loader sees it.

    Attributes:
        lake_url: ``s3://bucket/prefix/``, what the stage stands on.
        app_id: The Amplitude project. Together with ``lake_url`` it names what the schema serves.
    """

    lake_url: str
    app_id: int

    def check(self, session: Session, attempt: str) -> int:
        """Make sure that the schema serves this lake, or nobody yet. Returns the generation.

        Raises:
            WarehouseRefused: It serves another lake, or was not set up. Permanent.
        """
        rows = session.run(statements.READ_LOCK, attempt=attempt).rows
        if len(rows) != 1:
            remedy = "DELETE FROM load_lock, then INSERT INTO load_lock VALUES (0, NULL, NULL)"
            msg = f"Could not {attempt}: load_lock has {len(rows)} rows instead of one. {remedy}."
            raise WarehouseRefused(msg)
        (row,) = rows
        app_id = None if row["app_id"] is None else int(row["app_id"])
        if (row["lake"], app_id) not in {(None, None), (self.lake_url, self.app_id)}:
            msg = (
                f"Could not {attempt}: the schema serves {row['lake']} (app {app_id}), not "
                f"{self.lake_url} (app {self.app_id}): correct BUCKET_NAME and BUCKET_PREFIX, or use another "
                "schema."
            )
            raise WarehouseRefused(msg)
        return int(row["generation"])

    def take(self, session: Session, attempt: str) -> int:
        """Wait for the row, and hold it to the transaction's end. Returns the new generation.

        Raises:
            WarehouseUnavailable: It was not to be had in time, or another lake's loader took the schema a
                moment ago, which this session may not see yet. Transient.
            WarehouseRefused: As :meth:`check`. Permanent.
        """
        ours = {"lake": self.lake_url, "app_id": self.app_id}
        taken = session.run(statements.TAKE_LOCK, ours, attempt=attempt).affected
        generation = self.check(session, attempt)
        if taken != 1:  # UPDATE works on what is committed, also on what this session is not shown yet
            msg = f"Could not {attempt}: another lake has just taken the schema. Another attempt sees which."
            raise WarehouseUnavailable(msg)
        return generation


def transaction_of(session: Session) -> str:
    """The transaction that a session is in; empty outside of one."""
    rows = session.run(statements.READ_TRANSACTION, attempt="see which transaction this is").rows
    return str(rows[0]["id"] or "")


def check_still_in(session: Session, transaction: str, attempt: str) -> None:
    """Make sure, before COMMIT, that the lock has been held all the time.

    A transaction that was ended from outside (SYSTEM$ABORT_TRANSACTION, a session given up) has freed
    the lock, and what followed ran in another one.

    Raises:
        WarehouseUnavailable: It was. Transient: nothing is committed, and another attempt begins anew.
    """
    if not transaction or transaction_of(session) != transaction:
        msg = f"Could not {attempt}: the transaction was ended from outside. Another attempt can help."
        raise WarehouseUnavailable(msg)

"""Load hours from the lake into ``events_raw``, each exactly once, and see that it is so."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from core.errors import LoadRefused, WarehouseError, WarehouseUnavailable
from core.hours import ExportHour
from core.warehouse import statements
from core.warehouse.contents import HourToLoad, LedgerEntry, LoadedHour, TableHour, batches, difference
from core.warehouse.lock import SchemaLock
from core.warehouse.refusals import with_remedy
from core.warehouse.session import Connect, Session
from core.warehouse.transaction import CurrentHours, LoadTransaction, count_rows, read_ledger

_BEGINNINGS = 5


@dataclass(frozen=True, slots=True)
class LoadReceipt:
    """What a load did.

    Guarantees: every hour that was due is in one of ``loaded`` and ``failures``, unless another
    loader had loaded it meanwhile.

    Attributes:
        loaded: Events that became rows, by hour; together with the lines rejected they are the manifest's.
        failures: Why an hour is not loaded, and what helps.
        files: Named in COPY statements.
        rejected: Lines kept in ``events_rejected``; of the loaded hours that have any.
    """

    loaded: dict[ExportHour, int]
    failures: dict[ExportHour, str]
    files: int
    rejected: dict[ExportHour, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Lake against table.

    Attributes:
        hours: How many were compared and are not pending; likewise the sums.
        lake_events: By their manifests.
        table_rows: Found in the table.
        pending: Replaced in the lake meanwhile, and not loaded yet.
        mismatches: How an hour differs.
        rejected_lines: Refused of the exports that count. Without a mismatch, ``table_rows`` and these
            together are ``lake_events``.
    """

    hours: int
    lake_events: int
    table_rows: int
    pending: tuple[ExportHour, ...]
    mismatches: dict[ExportHour, str]
    rejected_lines: int = 0


class Warehouse:
    """One schema that holds one lake's events.

    Args:
        connect: Opens a new session; called late and more than once.
        lake_url: ``s3://bucket/prefix/``, what the stage stands on.
        app_id: The Amplitude project. Together with ``lake_url`` it names what the schema serves.
        run: Who loads, for the ledger.
    """

    def __init__(self, connect: Connect, *, lake_url: str, app_id: int, run: str) -> None:
        self._connect = connect
        self._lock = SchemaLock(lake_url, app_id)
        self._transaction = LoadTransaction(connect, self._lock, run)

    def ledger(self) -> dict[ExportHour, LedgerEntry]:
        """What the ledger says of every hour, if it is this lake's. The questions' text never changes.

        Raises:
            WarehouseUnavailable: Transient. WarehouseRefused: Permanent.
        """
        with Session(self._connect) as session:
            self._lock.check(session, "read the ledger")
            return read_ledger(session)

    def load(
        self,
        hours: Iterable[HourToLoad],
        current: CurrentHours,
        *,
        check_rows: bool = False,
        reject: Collection[ExportHour] = (),
    ) -> LoadReceipt:
        """Bring the table to what the lake says of these hours.

        Guarantees: an hour's rows are replaced whole or not at all, and the ledger with them. Safe
        to repeat, to interrupt anywhere, and to run beside other loaders. A batch that fails on its
        data is tried hour by hour, so that one bad file costs one hour. Lines are rejected only of hours
        that were said to have bad ones, and of these again whenever the same export is loaded again;
        another export is not believed to have any.

        Args:
            hours: What is believed to be due; looked at again under the lock.
            current: Lists the lake again; called under the lock.
            check_rows: Whether an hour whose rows differ is due as well, although its digest agrees.
            reject: Hours that are loaded, if they are due, without the lines that are no JSON.

        Raises:
            WarehouseUnavailable: Snowflake did not answer, or the lock was not to be had. Transient.
            WarehouseRefused: Credentials, rights, missing objects, another lake's schema. Permanent.
        """
        loaded: list[LoadedHour] = []
        failures: dict[ExportHour, str] = {}
        pending = deque(batches(hours))
        while pending:
            batch = pending.popleft()
            try:
                loaded += self._load_batch(batch, current, check_rows=check_rows, reject=reject)
            except LoadRefused as error:
                if len(batch) == 1:
                    hour = batch[0].hour
                    failures[hour] = with_remedy(error, hour, tolerant=hour in reject)
                else:
                    pending.extendleft([one] for one in reversed(batch))
        return LoadReceipt(
            loaded={one.content.hour: one.rows for one in loaded},
            failures=failures,
            files=sum(len(one.content.files) for one in loaded),
            rejected={one.content.hour: one.rejected for one in loaded if one.rejected},
        )

    def reconcile(self, hours: Collection[ExportHour], current: CurrentHours) -> Reconciliation:
        """Compare the rows of these hours with their manifests, member by member, in a new session.

        A difference is looked at once more, lake first, before it is called one.

        Raises:
            WarehouseUnavailable: Transient. WarehouseRefused: Permanent.
        """
        first_look = self._compare(hours, current)
        return self._compare(hours, current) if first_look.mismatches else first_look

    def _compare(self, hours: Collection[ExportHour], current: CurrentHours) -> Reconciliation:
        wanted = current(hours)
        with Session(self._connect) as session:
            held = count_rows(session, wanted)
        pending: list[ExportHour] = []
        mismatches: dict[ExportHour, str] = {}
        for hour, content in sorted(wanted.items()):
            there = held.get(hour, TableHour())
            if there.ledger is not None and there.ledger.digest != content.digest:
                pending.append(hour)
            elif there.ledger is None:
                mismatches[hour] = "is in the lake and not in the ledger"
            elif (differs := difference(content, there)) is not None:
                mismatches[hour] = differs
        compared = wanted.keys() - set(pending)
        return Reconciliation(
            hours=len(compared),
            lake_events=sum(wanted[hour].events for hour in compared),
            table_rows=sum(held[hour].row_count for hour in compared if hour in held),
            pending=tuple(pending),
            mismatches=mismatches,
            rejected_lines=sum(
                held[hour].rejected_of(wanted[hour].digest) for hour in compared if hour in held
            ),
        )

    def _load_batch(
        self,
        batch: Sequence[HourToLoad],
        current: CurrentHours,
        *,
        check_rows: bool,
        reject: Collection[ExportHour],
    ) -> list[LoadedHour]:
        """One batch in one transaction, begun again as often as its session proves stale."""
        for _ in range(_BEGINNINGS):
            with Session(self._connect) as session:
                try:
                    loaded = self._transaction.run_in(
                        session, batch, current, check_rows=check_rows, reject=reject
                    )
                except BaseException:
                    with contextlib.suppress(
                        WarehouseError
                    ):  # the session may be gone; closing it undoes as well
                        session.run(statements.ROLLBACK, attempt="roll back")
                    raise
            if loaded is not None:
                return loaded
        msg = (
            f"The ledger could not be read in one piece, in {_BEGINNINGS} sessions. Another attempt can help."
        )
        raise WarehouseUnavailable(msg)

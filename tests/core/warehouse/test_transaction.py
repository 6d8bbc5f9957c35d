"""The load transaction, statement by statement, and what each of its guards is there for."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from core.errors import LoadRefused, WarehouseRefused, WarehouseUnavailable, is_transient
from core.hours import ExportHour
from core.loading import HourReader
from core.warehouse import contents, copying, statements
from core.warehouse.loader import LoadReceipt, Reconciliation, Warehouse
from core.warehouse.lock import SchemaLock
from core.warehouse.session import Session
from core.warehouse.transaction import LoadTransaction, count_rows
from emulators.s3 import S3Emulator
from emulators.snowflake import SnowflakeEmulator
from tests.core.lake.examples import APP, HOUR
from tests.core.lakes import Pond
from tests.core.warehouses import Schema

pytestmark = pytest.mark.slow

TRANSACTION = "SELECT CURRENT_TRANSACTION()"


class Elsewhere:
    """A connection on which some statements are answered as another one would be."""

    def __init__(self, connection: Any, instead: dict[str, str]) -> None:
        self._connection = connection
        self._instead = instead

    def close(self) -> None:
        self._connection.close()

    def cursor(self) -> Any:
        cursor = self._connection.cursor()
        execute: Callable[..., Any] = cursor.execute
        cursor.execute = lambda sql, *values, **limits: execute(
            self._instead.get(sql, sql), *values, **limits
        )
        return cursor


def load_with(
    schema: Schema, connect: Callable[[], Any], *hours: ExportHour, reject: Collection[ExportHour] = ()
) -> LoadReceipt:
    warehouse = Warehouse(connect, lake_url=schema.pond.lake.url, app_id=APP, run="test")
    current = HourReader(schema.pond.lake)
    return warehouse.load(current(hours).values(), current, reject=reject)


def first_words(sql: str) -> str:
    code = [line for line in sql.splitlines() if not line.startswith("--")]
    return " ".join(code[0].split()[:2]) if code[0].split()[0] not in {"BEGIN", "COMMIT"} else code[0]


def test_the_statements_come_in_the_order_that_makes_them_safe(schema: Schema, tmp_path: Path) -> None:
    schema.pond.fill(tmp_path, HOUR, 3)
    schema.forget()
    schema.load(HOUR)
    assert [first_words(sql) for sql in schema.said()] == [
        "BEGIN",
        "UPDATE load_lock",
        "SELECT generation,",
        TRANSACTION,
        "SELECT COALESCE(MAX(generation),",
        "SELECT TO_CHAR(export_hour,",
        "SELECT DISTINCT",
        "DELETE FROM",
        "COPY INTO",
        "MERGE INTO",
        TRANSACTION,
        "COMMIT",
    ]
    assert len({one.session for one in schema.emulator.statements}) == 1


def test_the_lake_is_looked_at_under_the_lock_and_before_the_ledger(schema: Schema, tmp_path: Path) -> None:
    schema.pond.fill(tmp_path, HOUR, 3)
    said: list[str] = []

    def current(hours: Any) -> Any:
        said.extend(first_words(sql) for sql in schema.said())
        return HourReader(schema.pond.lake)(hours)

    believed = HourReader(schema.pond.lake)([HOUR]).values()
    schema.forget()
    schema.warehouse().load(believed, current)
    assert "UPDATE load_lock" in said
    assert "SELECT TO_CHAR(export_hour," not in said
    assert "DELETE FROM" not in said


def test_a_transaction_that_was_ended_from_outside_commits_nothing_and_is_begun_again(
    schema: Schema, tmp_path: Path
) -> None:
    """Without the lock, DELETE and a forced COPY beside another loader's would leave rows twice."""
    schema.pond.fill(tmp_path, HOUR, 3)
    ended: list[int] = []

    def current(hours: Any) -> Any:
        for session in list(schema.emulator.account.sessions.values()):
            if session.transaction is not None:
                ended.append(session.transaction.id)
                session.rollback()  # as SYSTEM$ABORT_TRANSACTION does
        return HourReader(schema.pond.lake)(hours)

    believed = list(HourReader(schema.pond.lake)([HOUR]).values())
    with pytest.raises(WarehouseUnavailable, match="ended from outside") as raised:
        schema.warehouse().load(believed, current)
    assert is_transient(raised.value)
    assert len(ended) == 1
    assert (schema.uuids(), schema.ledger(), schema.generations()) == ([], {}, (0, 0))
    assert schema.load(HOUR).loaded == {HOUR: 3}


def test_every_commit_counts_one_further_in_lock_and_ledger(schema: Schema, tmp_path: Path) -> None:
    assert schema.generations() == (0, 0)
    for later in range(3):
        schema.pond.fill(tmp_path, HOUR + later, 1)
        schema.load(HOUR + later)
        assert schema.generations() == (later + 1, later + 1)
    assert schema.ask("SELECT COUNT(*) FROM load_ledger WHERE export_hour IS NULL") == [(1,)]


# The lock


@pytest.mark.parametrize("damage", ["DELETE FROM load_lock", "INSERT INTO load_lock SELECT * FROM load_lock"])
def test_a_lock_without_its_one_row_is_not_provisioned(schema: Schema, tmp_path: Path, damage: str) -> None:
    """A loader never inserts: two of them could, and each would wait for a row of its own."""
    schema.pond.fill(tmp_path, HOUR, 3)
    schema.run(damage)
    before = schema.ask("SELECT * FROM load_lock")
    with pytest.raises(WarehouseRefused, match=r"load_lock has \d rows instead of one") as refused:
        schema.load(HOUR)
    (remedy,) = re.findall(r"INSERT INTO load_lock [^.]+", str(refused.value))
    assert not is_transient(refused.value)
    assert (schema.uuids(), schema.ask("SELECT * FROM load_lock")) == ([], before)
    schema.run("DELETE FROM load_lock", remedy)
    assert schema.load(HOUR).loaded == {HOUR: 3}


@pytest.mark.parametrize("table", ["load_lock", "load_ledger", "events_raw"])
def test_a_table_that_is_missing_is_named_and_the_set_up_too(
    schema: Schema, tmp_path: Path, table: str
) -> None:
    schema.pond.fill(tmp_path, HOUR, 3)
    schema.run(f"DROP TABLE {table}")
    with pytest.raises(WarehouseRefused, match="set-up was applied") as refused:
        schema.load(HOUR)
    assert table.upper() in str(refused.value).upper()
    assert not is_transient(refused.value)


def test_a_stage_that_is_missing_stops_the_load_and_is_not_blamed_on_the_hours(
    schema: Schema, tmp_path: Path
) -> None:
    for later in range(2):
        schema.pond.fill(tmp_path, HOUR + later, 3)
    schema.run("DROP STAGE amplitude_lake")
    schema.forget()
    with pytest.raises(WarehouseRefused, match="set-up was applied"):
        schema.load(HOUR, HOUR + 1)
    assert len(schema.said("^BEGIN")) == 1


def test_a_set_up_that_is_applied_again_keeps_lock_and_rows(schema: Schema, tmp_path: Path) -> None:
    schema.pond.fill(tmp_path, HOUR, 3)
    schema.load(HOUR)
    schema.run(*statements.create_statements())
    assert schema.ask("SELECT generation, lake FROM load_lock") == [(1, schema.pond.lake.url)]
    assert schema.load(HOUR, check_rows=True).loaded == {}


# A session that does not see the last commit


def stale_at_first(schema: Schema, seen: str, *, times: int) -> Callable[[], Any]:
    left = iter(range(times))

    def connect() -> Any:
        connection = schema.connect()
        stale = next(left, None) is not None
        return Elsewhere(connection, {statements.READ_LEDGER_GENERATION: seen} if stale else {})

    return connect


def test_a_session_that_misses_the_last_commit_is_left_and_a_new_one_loads(
    schema: Schema, tmp_path: Path
) -> None:
    for later in range(2):
        schema.pond.fill(tmp_path, HOUR + later, 2)
    schema.load(HOUR)
    schema.forget()
    connect = stale_at_first(schema, "SELECT 0 AS generation", times=1)
    assert load_with(schema, connect, HOUR, HOUR + 1).loaded == {HOUR + 1: 2}
    sessions = list(dict.fromkeys(one.session for one in schema.emulator.statements))
    assert len(sessions) == 3
    stale = [first_words(one.sql) for one in schema.emulator.statements if one.session == sessions[0]]
    assert stale == ["BEGIN", "UPDATE load_lock", "SELECT generation,", TRANSACTION, "SELECT 0", "ROLLBACK"]
    assert len(schema.uuids()) == 4
    assert schema.generations() == (2, 2)


def test_the_witness_is_asked_while_the_lock_is_held(schema: Schema, tmp_path: Path) -> None:
    schema.pond.fill(tmp_path, HOUR, 2)
    schema.load(HOUR)
    schema.pond.fill(tmp_path, HOUR + 1, 2)
    schema.forget()
    load_with(schema, stale_at_first(schema, "SELECT 0 AS generation", times=1), HOUR + 1)
    order = [(one.session, first_words(one.sql)) for one in schema.emulator.statements]
    first, witness = order[0][0], order[5][0]
    assert order[5:7] == [(witness, "SELECT COALESCE(MAX(generation),"), (first, "ROLLBACK")]
    assert witness != first


def test_sessions_that_never_see_the_last_commit_are_worth_another_attempt_later(
    schema: Schema, tmp_path: Path
) -> None:
    schema.pond.fill(tmp_path, HOUR, 2)
    connect = stale_at_first(schema, "SELECT 77 AS generation", times=100)
    with pytest.raises(WarehouseUnavailable, match="5 sessions") as raised:
        load_with(schema, connect, HOUR)
    assert is_transient(raised.value)
    assert schema.uuids() == []
    assert schema.load(HOUR).loaded == {HOUR: 2}


# COPY


def test_an_hour_of_more_files_than_a_statement_takes_is_one_transaction(
    schema: Schema, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "MAX_FILES_PER_COPY", 3)
    schema.pond.fill(tmp_path, HOUR, *([1] * 7))
    schema.forget()
    assert schema.load(HOUR) == LoadReceipt({HOUR: 7}, {}, 7)
    copies = schema.said("COPY INTO")
    assert [sql.count(".json") for sql in copies] == [3, 3, 1]
    assert len(schema.said("^COMMIT")) == 1
    assert len(schema.uuids()) == 7


def test_an_hour_whose_last_copy_fails_is_not_loaded_in_part(
    schema: Schema, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "MAX_FILES_PER_COPY", 3)
    written = schema.pond.fill(tmp_path, HOUR, *([1] * 7))
    schema.pond.remove(written.parts[6].key)
    assert schema.load(HOUR).failures.keys() == {HOUR}
    assert schema.uuids() == []


def test_snowflake_s_own_limit_is_the_one_that_is_kept() -> None:
    assert contents.MAX_FILES_PER_COPY == 1000


def test_a_load_without_force_is_noticed(
    schema: Schema, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema.pond.fill(tmp_path, HOUR, 3)
    schema.load(HOUR)
    schema.run("UPDATE load_ledger SET digest = 'lost' WHERE export_hour IS NOT NULL")
    plain = statements.COPY_PARTS.replace("FORCE = TRUE", "")
    assert plain != statements.COPY_PARTS
    monkeypatch.setattr(statements, "COPY_PARTS", plain)
    assert "LOAD_SKIPPED, 0 rows" in schema.load(HOUR).failures[HOUR]
    assert len(schema.uuids()) == 3


def test_an_answer_that_says_nothing_of_the_files_is_no_success(schema: Schema, tmp_path: Path) -> None:
    schema.pond.fill(tmp_path, HOUR, 3)
    silent = {statements.COPY_PARTS: "SELECT 'Copy executed with 0 files processed.' AS status"}
    receipt = load_with(schema, lambda: Elsewhere(schema.connect(), silent), HOUR)
    assert "nothing was said of it" in receipt.failures[HOUR]
    assert (schema.uuids(), schema.ledger()) == ([], {})


def test_negative_control_without_force_and_without_a_look_at_the_answer_rows_are_lost(
    schema: Schema, tmp_path: Path
) -> None:
    """DELETE does not clear what Snowflake remembers of files, so a plain COPY finds nothing to do."""
    written = schema.pond.fill(tmp_path, HOUR, 3)
    schema.load(HOUR)
    files = {"files": [part.key for part in written.parts]}
    hours = {"hours": [f"{HOUR.start:%Y-%m-%d %H:%M:%S}"]}

    def reload(copy: str) -> int:
        with Session(schema.connect) as session:
            session.run(statements.BEGIN, attempt="begin")
            session.run(statements.DELETE_HOURS, hours, attempt="delete")
            session.run(copy, files, attempt="copy")
            session.run(statements.COMMIT, attempt="commit")
        return len(schema.uuids())

    assert reload(statements.COPY_PARTS.replace("FORCE = TRUE", "")) == 0
    assert reload(statements.COPY_PARTS) == 3


def test_what_is_loaded_comes_through_the_bare_stage_with_its_whole_key(
    schema: Schema, tmp_path: Path
) -> None:
    written = schema.pond.fill(tmp_path, HOUR, 1)
    schema.forget()
    schema.load(HOUR)
    (copy,) = schema.said("COPY INTO")
    assert f"FILES = ('{written.parts[0].key}')" in copy.replace("((", "(").replace("))", ")")
    assert schema.ask("SELECT source_file FROM events_raw") == [(schema.pond.prefix + written.parts[0].key,)]


@pytest.mark.parametrize(
    "prefix",
    [
        "raw/date=2001-01-01/hour=05/",
        "it's 100%s/",
        pytest.param(
            "events/date=2001-01-01/hour=05/",
        ),
    ],
)
def test_the_hour_comes_from_the_lake_s_layout_wherever_the_lake_lies(
    snowflake: SnowflakeEmulator, s3: S3Emulator, tmp_path: Path, prefix: str
) -> None:
    pond = Pond(s3, prefix)
    pond.fill(tmp_path, HOUR, 2)
    schema = Schema(snowflake, pond)
    assert schema.load(HOUR).loaded == {HOUR: 2}
    assert schema.ask("SELECT DISTINCT export_hour FROM events_raw") == [(HOUR.start.replace(tzinfo=None),)]
    assert schema.reconcile(HOUR).mismatches == {}


def test_a_transaction_that_loads_nothing_leaves_no_trace(schema: Schema, tmp_path: Path) -> None:
    schema.pond.fill(tmp_path, HOUR, 2)
    schema.load(HOUR)
    loading = LoadTransaction(schema.connect, SchemaLock(schema.pond.lake.url, APP), "test")
    current = HourReader(schema.pond.lake)
    with Session(schema.connect) as session:
        batch = list(current([HOUR]).values())
        assert loading.run_in(session, batch, current, check_rows=False) == []
        assert schema.generations() == (1, 1)
        assert schema.load(HOUR).loaded == {}  # nobody waits for a lock


def test_what_was_done_before_an_error_is_gone_with_its_session(schema: Schema, tmp_path: Path) -> None:
    schema.pond.fill(tmp_path, HOUR, 2)
    schema.load(HOUR)
    written = schema.pond.fill(tmp_path, HOUR, 3, exported_at=(HOUR + 30).start)
    schema.pond.remove(written.parts[0].key)
    loading = LoadTransaction(schema.connect, SchemaLock(schema.pond.lake.url, APP), "test")
    current = HourReader(schema.pond.lake)
    with Session(schema.connect) as session, pytest.raises(LoadRefused):
        loading.run_in(session, list(current([HOUR]).values()), current, check_rows=False)
    assert (len(schema.uuids()), schema.generations()) == (2, (1, 1))


def test_rows_are_counted_in_the_range_of_the_hours_that_were_asked_for(
    schema: Schema, tmp_path: Path
) -> None:
    hours = [HOUR + later for later in range(5)]
    for hour in hours:
        schema.pond.fill(tmp_path, hour, 2)
    schema.load(*hours)
    with Session(schema.connect) as session:
        assert count_rows(session, []) == {}
        assert count_rows(session, hours[1:3]).keys() == set(hours[1:3])


def test_hours_that_lie_far_apart_are_counted_apart_and_those_nearby_together(
    schema: Schema, tmp_path: Path
) -> None:
    hours = [HOUR - 24 * 365 * 3, HOUR, HOUR + 24 * 30]
    for hour in (*hours, HOUR - 24 * 365):
        schema.pond.fill(tmp_path, hour, 2)
    schema.load(*hours, HOUR - 24 * 365)
    schema.forget()
    with Session(schema.connect) as session:
        assert count_rows(session, hours).keys() == set(hours)
    assert len(schema.said("UNION ALL")) == 2
    schema.forget()
    assert schema.reconcile(*hours) == Reconciliation(3, 6, 6, (), {})
    assert len(schema.said("UNION ALL")) == 2
    assert len({one.session for one in schema.emulator.statements}) == 1

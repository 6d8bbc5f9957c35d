"""Hours get from the lake into the table, each exactly once, whatever goes wrong in between."""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from snowflake.connector import SnowflakeConnection

from core.errors import WarehouseError, WarehouseRefused, WarehouseUnavailable, is_transient
from core.hours import ExportHour
from core.lake.manifest import Manifest
from core.loading import HourReader, to_load
from core.warehouse.contents import HourToLoad, LedgerEntry
from core.warehouse.loader import LoadReceipt, Reconciliation
from emulators.snowflake import Fault
from tests.core.lake.examples import APP, HOUR
from tests.core.lakes import Pond, events_of
from tests.core.warehouses import Schema

pytestmark = pytest.mark.slow

LATER = HOUR.start + timedelta(hours=30)


def uuids(hour: ExportHour, *counts: int) -> list[str]:
    """What `Pond.fill` puts into an hour of these parts."""
    return sorted(f"{hour}-{number}-{line}" for number, count in enumerate(counts) for line in range(count))


# Every event once


def test_an_hour_is_loaded_with_everything_that_is_known_of_its_rows(schema: Schema, tmp_path: Path) -> None:
    written = schema.pond.fill(tmp_path, HOUR, 3, 4)
    assert schema.load(HOUR, run="wise-owl") == LoadReceipt({HOUR: 7}, {}, 2)

    rows = schema.read(
        'SELECT event:"uuid"::VARCHAR, export_hour, source_file, source_row, loaded_at '
        "FROM events_raw ORDER BY 1"
    )
    assert [row[0] for row in rows] == uuids(HOUR, 3, 4)
    assert {row[1] for row in rows} == {HOUR.start.replace(tzinfo=None)}
    assert [row[2:4] for row in rows] == [
        (schema.pond.prefix + part.key, line) for part in written.parts for line in range(1, part.events + 1)
    ]
    age = datetime.now(UTC).replace(tzinfo=None) - rows[0][4]
    assert timedelta(0) <= age < timedelta(minutes=1)
    (entry,) = schema.read(
        "SELECT export_hour, exported_at, digest, parts, events, rejected, run FROM load_ledger "
        "WHERE export_hour IS NOT NULL"
    )
    assert entry == (
        HOUR.start.replace(tzinfo=None), written.exported_at.replace(tzinfo=None),
        written.digest, 2, 7, 0, "wise-owl",
    )  # fmt: skip
    assert schema.warehouse().ledger() == {
        HOUR: LedgerEntry(written.digest, 7, 0, "wise-owl", written.exported_at)
    }


def test_a_second_load_does_nothing(schema: Schema, tmp_path: Path) -> None:
    schema.pond.fill(tmp_path, HOUR, 3)
    schema.load(HOUR)
    before = schema.ask("SELECT * FROM events_raw ORDER BY source_row"), schema.generations()
    schema.forget()
    assert schema.load(HOUR) == LoadReceipt({}, {}, 0)
    assert schema.load(HOUR, check_rows=True) == LoadReceipt({}, {}, 0)
    assert schema.said("^(DELETE|MERGE|COMMIT)|COPY INTO") == []
    assert (schema.ask("SELECT * FROM events_raw ORDER BY source_row"), schema.generations()) == before


def test_nothing_to_load_asks_nothing(schema: Schema) -> None:
    schema.forget()
    assert schema.load() == LoadReceipt({}, {}, 0)
    assert schema.said() == []


def test_a_replaced_hour_is_replaced_and_its_neighbours_are_not(schema: Schema, tmp_path: Path) -> None:
    for hour in (HOUR - 1, HOUR, HOUR + 1):
        schema.pond.fill(tmp_path, hour, 3)
    hours = (HOUR - 1, HOUR, HOUR + 1)
    schema.load(*hours)
    schema.pond.fill(tmp_path, HOUR, 2, 2, exported_at=LATER)
    assert schema.load(*hours) == LoadReceipt({HOUR: 4}, {}, 2)
    assert schema.uuids() == sorted([*uuids(HOUR - 1, 3), *uuids(HOUR, 2, 2), *uuids(HOUR + 1, 3)])


def test_a_reader_sees_the_old_hour_or_the_new_one_and_nothing_between(
    schema: Schema, tmp_path: Path
) -> None:
    schema.pond.fill(tmp_path, HOUR, 3)
    schema.load(HOUR)
    schema.pond.fill(tmp_path, HOUR, 2, 2, exported_at=LATER)
    schema.emulator.faults.add(Fault("COPY INTO|^MERGE|^COMMIT", "delay", seconds=0.15, times=3))
    over = threading.Event()
    seen: list[tuple[str, ...]] = []

    def read() -> None:
        while not over.wait(0.02):
            seen.append(tuple(schema.uuids()))

    reader = threading.Thread(target=read)
    reader.start()
    schema.load(HOUR)
    over.set()
    reader.join()
    seen.append(tuple(schema.uuids()))
    assert list(dict.fromkeys(seen)) == [tuple(uuids(HOUR, 3)), tuple(uuids(HOUR, 2, 2))]


def test_a_compressed_lake_is_loaded_like_a_plain_one(schema: Schema, tmp_path: Path) -> None:
    schema.pond.fill(tmp_path, HOUR, 3, compression="gzip")
    schema.pond.fill(tmp_path, HOUR + 1, 3)
    schema.load(HOUR, HOUR + 1)
    assert schema.uuids() == sorted([*uuids(HOUR, 3), *uuids(HOUR + 1, 3)])


def test_the_same_content_exported_again_is_not_loaded_again(schema: Schema, tmp_path: Path) -> None:
    schema.pond.fill(tmp_path, HOUR, 3)
    schema.load(HOUR)
    schema.pond.fill(tmp_path, HOUR, 3, exported_at=LATER)
    assert schema.load(HOUR) == LoadReceipt({}, {}, 0)


def test_hours_without_parts_or_events_get_into_the_ledger_without_a_copy(
    schema: Schema, tmp_path: Path
) -> None:
    schema.pond.commit(tmp_path, HOUR, b"")
    schema.pond.fill(tmp_path, HOUR + 1)
    schema.forget()
    assert schema.load(HOUR, HOUR + 1) == LoadReceipt({HOUR: 0, HOUR + 1: 0}, {}, 0)
    assert schema.said("COPY INTO") == []
    assert len(schema.ledger()) == 2
    assert schema.load(HOUR, HOUR + 1, check_rows=True).loaded == {}


def test_parts_without_events_are_not_named_in_copy(schema: Schema, tmp_path: Path) -> None:
    written = schema.pond.fill(tmp_path, HOUR, 3, 0)
    schema.pond.remove(written.parts[1].key)
    assert schema.load(HOUR) == LoadReceipt({HOUR: 3}, {}, 1)


def test_an_hour_whose_accepted_content_is_empty_is_emptied(schema: Schema, tmp_path: Path) -> None:
    schema.pond.fill(tmp_path, HOUR, 3)
    schema.load(HOUR)
    empty = HourToLoad(HOUR, LATER, "0" * 32, ())
    assert schema.warehouse().load([empty], lambda _: {HOUR: empty}).loaded == {HOUR: 0}
    assert schema.uuids() == []


# What the table should hold and does not


def test_a_truncated_table_is_filled_again_by_the_row_check_and_only_by_it(
    schema: Schema, tmp_path: Path
) -> None:
    schema.pond.fill(tmp_path, HOUR, 3)
    schema.pond.fill(tmp_path, HOUR + 1, 2)
    schema.load(HOUR, HOUR + 1)
    schema.run("TRUNCATE TABLE events_raw")
    assert schema.load(HOUR, HOUR + 1) == LoadReceipt({}, {}, 0)
    assert schema.load(HOUR, HOUR + 1, check_rows=True).loaded == {HOUR: 3, HOUR + 1: 2}
    assert schema.uuids() == sorted([*uuids(HOUR, 3), *uuids(HOUR + 1, 2)])


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM events_raw WHERE source_row = 2",
        "INSERT INTO events_raw SELECT * FROM events_raw WHERE source_row = 2",
        "INSERT INTO events_raw SELECT event, export_hour, source_file, 4, loaded_at FROM events_raw LIMIT 1",
        "UPDATE events_raw SET source_row = 1",
        "UPDATE events_raw SET export_hour = '2025-12-23 18:00:00'",
    ],
)
def test_rows_that_were_tampered_with_are_noticed_and_mended(
    schema: Schema, tmp_path: Path, damage: str
) -> None:
    schema.pond.fill(tmp_path, HOUR, 3)
    schema.pond.fill(tmp_path, HOUR - 1)
    schema.load(HOUR - 1, HOUR)
    schema.run(damage)
    assert schema.reconcile(HOUR - 1, HOUR).mismatches
    assert schema.load(HOUR - 1, HOUR, check_rows=True).loaded
    assert schema.uuids() == uuids(HOUR, 3)
    assert not schema.reconcile(HOUR - 1, HOUR).mismatches


def test_a_lost_ledger_is_written_again(schema: Schema, tmp_path: Path) -> None:
    schema.pond.fill(tmp_path, HOUR, 3)
    schema.load(HOUR)
    before = schema.ledger()
    schema.run("TRUNCATE TABLE load_ledger")
    assert schema.load(HOUR).loaded == {HOUR: 3}
    assert (schema.uuids(), schema.ledger()) == (uuids(HOUR, 3), before)


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM load_ledger WHERE export_hour IS NULL",
        "UPDATE load_ledger SET generation = 999 WHERE export_hour IS NULL",
        "UPDATE load_ledger SET generation = 0 WHERE export_hour IS NULL",
        "INSERT INTO load_ledger SELECT * FROM load_ledger WHERE export_hour IS NULL",
        "UPDATE load_lock SET generation = 0, lake = NULL, app_id = NULL",
        "UPDATE load_lock SET generation = 999",
    ],
)
def test_a_damaged_generation_is_mended_and_loads_go_on(schema: Schema, tmp_path: Path, damage: str) -> None:
    for later in range(2):
        schema.pond.fill(tmp_path, HOUR + later, 1)
    schema.load(HOUR)
    schema.run(damage)
    assert schema.load(HOUR + 1).loaded == {HOUR + 1: 1}
    lock, ledger = schema.generations()
    assert lock == ledger
    assert schema.uuids() == [f"{HOUR}-0-0", f"{HOUR + 1}-0-0"]
    assert len(schema.ledger()) == 2


# One bad file costs one hour


def committed_with_bad_line(schema: Schema, folder: Path, hour: ExportHour, **changes: Any) -> Manifest:
    return schema.pond.commit(
        folder, hour, events_of(hour, 0, 2), b'{"uuid":"x"}\n{"uuid": nonsense\n', **changes
    )


def test_a_line_that_is_no_json_costs_its_hour_and_no_other(schema: Schema, tmp_path: Path) -> None:
    schema.pond.fill(tmp_path, HOUR, 3)
    committed_with_bad_line(schema, tmp_path, HOUR + 1)
    schema.pond.fill(tmp_path, HOUR + 2, 4)
    receipt = schema.load(HOUR, HOUR + 1, HOUR + 2)
    assert receipt.loaded == {HOUR: 3, HOUR + 2: 4}
    assert receipt.failures.keys() == {HOUR + 1}
    assert "20_1-" in receipt.failures[HOUR + 1]
    assert schema.uuids() == sorted([*uuids(HOUR, 3), *uuids(HOUR + 2, 4)])
    assert schema.ledger().keys() == {str(HOUR), str(HOUR + 2)}


def test_an_hour_that_cannot_be_replaced_stays_as_it_was(schema: Schema, tmp_path: Path) -> None:
    before = schema.pond.fill(tmp_path, HOUR, 3)
    schema.load(HOUR)
    committed_with_bad_line(schema, tmp_path, HOUR, exported_at=LATER)
    assert schema.load(HOUR).failures.keys() == {HOUR}
    assert schema.uuids() == uuids(HOUR, 3)
    assert schema.ledger() == {str(HOUR): before.digest}


def test_a_file_that_is_gone_costs_its_hour_and_no_other(schema: Schema, tmp_path: Path) -> None:
    written = schema.pond.fill(tmp_path, HOUR, 3, 4)
    schema.pond.fill(tmp_path, HOUR + 1, 2)
    schema.pond.remove(written.parts[1].key)
    receipt = schema.load(HOUR, HOUR + 1)
    assert receipt.loaded == {HOUR + 1: 2}
    assert written.parts[1].key in receipt.failures[HOUR]
    assert schema.uuids() == uuids(HOUR + 1, 2)


def test_a_count_that_differs_from_the_manifest_s_rolls_back(schema: Schema, tmp_path: Path) -> None:
    """As if the file had been replaced past the lake's door: one line more than the manifest says."""
    written = schema.pond.fill(tmp_path, HOUR, 3)
    schema.pond.put(written.parts[0].key, events_of(HOUR, 0, 4))
    receipt = schema.load(HOUR)
    assert receipt.loaded == {}
    assert "has 3 events; LOADED, 4 rows" in receipt.failures[HOUR]
    assert (schema.uuids(), schema.ledger()) == ([], {})


def test_a_batch_that_was_miscounted_once_is_loaded_hour_by_hour(schema: Schema, tmp_path: Path) -> None:
    for later in range(3):
        schema.pond.fill(tmp_path, HOUR + later, 2)
    schema.forget()
    schema.emulator.faults.add(Fault("COPY INTO", "miscount"))
    receipt = schema.load(HOUR, HOUR + 1, HOUR + 2)
    assert (len(receipt.loaded), receipt.failures, receipt.files) == (3, {}, 3)
    assert len(schema.said("COPY INTO")) == 4
    assert len(schema.uuids()) == 6


def test_a_lone_hour_that_fails_is_not_tried_again_at_once(schema: Schema, tmp_path: Path) -> None:
    schema.pond.fill(tmp_path, HOUR, 2)
    schema.forget()
    schema.emulator.faults.add(Fault("COPY INTO", "miscount"))
    assert schema.load(HOUR).failures.keys() == {HOUR}
    assert len(schema.said("COPY INTO")) == 1
    assert schema.uuids() == []


def test_a_line_that_would_be_null_costs_its_hour_and_no_other(schema: Schema, tmp_path: Path) -> None:
    """100072 has a class of its own in the connector."""
    schema.pond.fill(tmp_path, HOUR, 2)
    schema.emulator.faults.add(
        Fault("COPY INTO", errno=100072, sqlstate="22000", message="NULL result in a non-nullable column")
    )
    assert schema.load(HOUR).failures.keys() == {HOUR}


# Loaders beside each other


def test_loaders_at_once_leave_every_event_once(schema: Schema, tmp_path: Path) -> None:
    hours = [HOUR + later for later in range(4)]
    for hour in hours:
        schema.pond.fill(tmp_path, hour, 2, 3)
    start = threading.Barrier(4, timeout=20)

    def load(number: int) -> LoadReceipt:
        start.wait()
        return schema.load(*(hours if number % 2 else hours[:3]), run=f"loader-{number}")

    with ThreadPoolExecutor(4) as pool:
        receipts = list(pool.map(load, range(4)))
    assert sum(count for receipt in receipts for count in receipt.loaded.values()) == 20
    assert not any(receipt.failures for receipt in receipts)
    assert schema.uuids() == sorted(one for hour in hours for one in uuids(hour, 2, 3))
    assert len(schema.ledger()) == 4


def test_a_loader_that_was_overtaken_does_not_undo_the_newer_one(schema: Schema, tmp_path: Path) -> None:
    schema.pond.fill(tmp_path, HOUR, 3)
    current = HourReader(schema.pond.lake)
    believed = list(current([HOUR]).values())
    schema.pond.fill(tmp_path, HOUR, 2, 2, exported_at=LATER)
    schema.load(HOUR)
    assert schema.warehouse().load(believed, current) == LoadReceipt({}, {}, 0)
    assert schema.uuids() == uuids(HOUR, 2, 2)


def test_what_the_lake_says_under_the_lock_is_loaded(schema: Schema, tmp_path: Path) -> None:
    schema.pond.fill(tmp_path, HOUR, 3)
    current = HourReader(schema.pond.lake)
    believed = list(current([HOUR]).values())
    schema.pond.fill(tmp_path, HOUR, 2, 2, exported_at=LATER)
    assert schema.warehouse().load(believed, current).loaded == {HOUR: 4}
    assert schema.uuids() == uuids(HOUR, 2, 2)


def test_an_hour_that_was_taken_back_meanwhile_is_left_as_it_is(schema: Schema, tmp_path: Path) -> None:
    written = to_load(schema.pond.fill(tmp_path, HOUR, 3))
    assert schema.warehouse().load([written], lambda _: {}) == LoadReceipt({}, {}, 0)
    assert schema.uuids() == []


def test_a_lock_that_is_not_to_be_had_is_worth_another_attempt_and_no_reason_to_go_hour_by_hour(
    schema: Schema, tmp_path: Path
) -> None:
    for later in range(3):
        schema.pond.fill(tmp_path, HOUR + later, 2)
    holder = schema.connect()
    holder.cursor().execute("BEGIN")
    holder.cursor().execute("UPDATE load_lock SET generation = generation + 1")
    impatient = schema.warehouse()
    impatient._connect = partial(schema.connect, session_parameters={"LOCK_TIMEOUT": 1})
    schema.forget()
    current = HourReader(schema.pond.lake)
    with pytest.raises(WarehouseUnavailable, match="Another loader holds the lock") as raised:
        impatient.load(current([HOUR, HOUR + 1, HOUR + 2]).values(), current)
    assert is_transient(raised.value)
    assert len(schema.said("^UPDATE load_lock")) == 1
    holder.cursor().execute("ROLLBACK")
    assert len(schema.load(HOUR, HOUR + 1, HOUR + 2).loaded) == 3


@pytest.mark.parametrize(
    "fault",
    [Fault("^UPDATE load_lock", "too_many_waiters"), Fault("COPY INTO", errno=604, message="canceled")],
)
def test_what_passes_is_worth_another_attempt_and_no_reason_to_go_hour_by_hour(
    schema: Schema, tmp_path: Path, fault: Fault
) -> None:
    for later in range(2):
        schema.pond.fill(tmp_path, HOUR + later, 2)
    schema.forget()
    schema.emulator.faults.add(fault)
    with pytest.raises(WarehouseUnavailable):
        schema.load(HOUR, HOUR + 1)
    assert len(schema.said("^BEGIN")) == 1
    assert schema.load(HOUR, HOUR + 1).loaded == {HOUR: 2, HOUR + 1: 2}
    assert len(schema.uuids()) == 4


# Killed, cut off, unanswered


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("^BEGIN", "kill_session"),
        ("^UPDATE load_lock", "kill_session"),
        ("^DELETE", "kill_session"),
        ("COPY INTO", "kill_session"),
        ("^MERGE", "kill_session"),
        ("^COMMIT", "kill_session"),
        ("^COMMIT", "lose_request"),
        ("^COMMIT", "lose_answer"),
    ],
)
def test_a_load_that_was_cut_off_anywhere_is_finished_by_the_next(
    schema: Schema, tmp_path: Path, statement: str, fault: str
) -> None:
    schema.pond.fill(tmp_path, HOUR, 3)
    schema.load(HOUR)
    schema.pond.fill(tmp_path, HOUR, 2, 2, exported_at=LATER)
    schema.pond.fill(tmp_path, HOUR + 1, 1)
    schema.emulator.faults.add(Fault(statement, fault))  # type: ignore[arg-type]
    with pytest.raises(WarehouseError) as raised:
        schema.load(HOUR, HOUR + 1)
    done = (statement, fault) == ("^COMMIT", "lose_answer")
    new = sorted([*uuids(HOUR, 2, 2), *uuids(HOUR + 1, 1)])
    assert schema.uuids() == (new if done else uuids(HOUR, 3))
    assert schema.load(HOUR, HOUR + 1).loaded == ({} if done else {HOUR: 4, HOUR + 1: 1})
    assert schema.uuids() == new
    assert len(schema.ledger()) == 2
    assert is_transient(raised.value), raised.value


def test_a_lake_that_fails_under_the_lock_frees_it(schema: Schema, tmp_path: Path) -> None:
    written = to_load(schema.pond.fill(tmp_path, HOUR, 3))

    def broken(_: Collection[ExportHour]) -> Mapping[ExportHour, HourToLoad]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        schema.warehouse().load([written], broken)
    assert schema.said("^ROLLBACK")
    assert schema.load(HOUR).loaded == {HOUR: 3}


# Whose schema it is


def test_another_lake_s_or_project_s_schema_is_refused_and_left_alone(schema: Schema, tmp_path: Path) -> None:
    schema.pond.fill(tmp_path, HOUR, 3)
    schema.load(HOUR)
    schema.pond.fill(tmp_path, HOUR, 4, exported_at=LATER)
    before = schema.generations()
    for changes in ({"lake_url": "s3://lake/other/"}, {"app_id": APP + 1}):
        with pytest.raises(WarehouseRefused, match="use another schema") as refused:
            schema.load(HOUR, **changes)
        assert f"{schema.pond.lake.url} (app {APP})" in str(refused.value)
        assert str(*changes.values()) in str(refused.value)
        assert not is_transient(refused.value)
    assert (schema.uuids(), schema.generations()) == (uuids(HOUR, 3), before)
    assert schema.ask("SELECT lake, app_id FROM load_lock") == [(schema.pond.lake.url, APP)]


def test_even_with_nothing_to_load_another_lake_s_schema_is_refused(schema: Schema, tmp_path: Path) -> None:
    """The same project under another prefix has equal digests: nothing is due, and all would seem well."""
    schema.pond.fill(tmp_path, HOUR, 3)
    schema.load(HOUR)
    for changes in ({"lake_url": "s3://lake/other/"}, {"app_id": APP + 1}):
        with pytest.raises(WarehouseRefused, match="use another schema"):
            schema.warehouse(**changes).ledger()
    assert HOUR in schema.warehouse().ledger()


def test_the_first_load_says_whose_schema_it_is(schema: Schema, tmp_path: Path) -> None:
    assert schema.ask("SELECT lake, app_id FROM load_lock") == [(None, None)]
    schema.pond.fill(tmp_path, HOUR, 1)
    schema.load(HOUR)
    assert schema.ask("SELECT lake, app_id FROM load_lock") == [(schema.pond.lake.url, APP)]


def test_a_load_that_fails_does_not_say_whose_schema_it_is(schema: Schema, tmp_path: Path) -> None:
    committed_with_bad_line(schema, tmp_path, HOUR)
    assert schema.load(HOUR).failures
    assert schema.ask("SELECT generation, lake, app_id FROM load_lock") == [(0, None, None)]


# Lake against table


def test_what_was_loaded_agrees_with_the_lake(schema: Schema, tmp_path: Path) -> None:
    schema.pond.fill(tmp_path, HOUR, 3, 0)
    schema.pond.fill(tmp_path, HOUR + 1)
    schema.load(HOUR, HOUR + 1)
    schema.forget()
    assert schema.reconcile(HOUR, HOUR + 1) == Reconciliation(2, 3, 3, (), {})
    assert len(schema.said("UNION ALL")) == 1


@pytest.mark.parametrize(
    ("damage", "rows", "text"),
    [
        ("DELETE FROM events_raw WHERE source_row = 2", 2, "3 events in the lake and 2 rows"),
        (
            "INSERT INTO events_raw SELECT * FROM events_raw WHERE source_row = 2",
            4,
            r"4 rows \(3 different\)",
        ),
        ("DELETE FROM load_ledger", 3, "is in the lake and not in the ledger"),
    ],
)
def test_a_difference_is_looked_at_twice_and_then_named(
    schema: Schema, tmp_path: Path, damage: str, rows: int, text: str
) -> None:
    schema.pond.fill(tmp_path, HOUR, 3)
    schema.load(HOUR)
    schema.run(damage)
    schema.forget()
    found = schema.reconcile(HOUR)
    assert (found.hours, found.lake_events, found.table_rows, found.pending) == (1, 3, rows, ())
    assert found.mismatches.keys() == {HOUR}
    assert re.search(text, found.mismatches[HOUR])
    assert len(schema.said("UNION ALL")) == 2


def test_a_difference_that_is_gone_at_the_second_look_is_none(schema: Schema, tmp_path: Path) -> None:
    """Between the two looks another run loads what it has put into the lake."""
    schema.pond.fill(tmp_path, HOUR, 3)
    looks = iter(["before", "after"])

    def current(hours: Collection[ExportHour]) -> Mapping[ExportHour, HourToLoad]:
        if next(looks) == "after":
            schema.load(HOUR)
        return HourReader(schema.pond.lake)(hours)

    assert schema.warehouse().reconcile([HOUR], current).mismatches == {}


def test_an_hour_that_was_replaced_and_not_loaded_yet_is_pending(schema: Schema, tmp_path: Path) -> None:
    schema.pond.fill(tmp_path, HOUR, 3)
    schema.load(HOUR)
    schema.pond.fill(tmp_path, HOUR, 2, 2, exported_at=LATER)
    found = schema.reconcile(HOUR)
    assert (found.pending, found.mismatches) == ((HOUR,), {})


def test_a_session_opened_after_the_load_is_asked(schema: Schema, tmp_path: Path) -> None:
    schema.pond.fill(tmp_path, HOUR, 3)
    opened: list[SnowflakeConnection] = []

    def connect() -> SnowflakeConnection:
        opened.append(schema.connect())
        return opened[-1]

    warehouse = schema.warehouse()
    warehouse._connect = connect
    warehouse.reconcile([HOUR], HourReader(schema.pond.lake))
    assert len(opened) == 2
    assert all(connection.is_closed() for connection in opened)


def test_no_hours_are_compared_without_a_question(schema: Schema) -> None:
    schema.forget()
    assert schema.reconcile() == Reconciliation(0, 0, 0, (), {})
    assert schema.said() == []


def test_a_lake_beside_this_one_is_not_seen(schema: Schema, tmp_path: Path) -> None:
    neighbour = Pond(schema.pond.s3)
    neighbour.fill(tmp_path, HOUR, 9)
    schema.pond.fill(tmp_path, HOUR, 3)
    schema.load(HOUR)
    assert schema.uuids() == uuids(HOUR, 3)

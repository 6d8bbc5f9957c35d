"""Of an hour with lines that are no JSON, the good ones are loaded and the bad ones kept, each once."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from core.errors import WarehouseRefused, WarehouseUnavailable
from core.hours import ExportHour
from core.lake.manifest import Manifest
from core.warehouse import statements
from core.warehouse.contents import LedgerEntry
from core.warehouse.loader import LoadReceipt, Reconciliation
from core.warehouse.rejection import rejections
from core.warehouse.session import Session
from emulators.snowflake import Fault
from tests.core.lake.examples import HOUR
from tests.core.lakes import events_of
from tests.core.warehouse.test_transaction import Elsewhere, load_with
from tests.core.warehouses import Schema

pytestmark = pytest.mark.slow

BAD = b'{"uuid": nonsense'
LATER = (HOUR + 30).start
GOOD = [f"{HOUR}-0-0", f"{HOUR}-0-1", "a", "b"]


def spoiled(schema: Schema, folder: Path, hour: ExportHour = HOUR, **changes: Any) -> Manifest:
    """An hour of two parts and five lines: the second line of the second part is no JSON."""
    second = b'{"uuid":"a"}\n' + BAD + b'\n{"uuid":"b"}\n'
    return schema.pond.commit(folder, hour, events_of(hour, 0, 2), second, **changes)


def kept(schema: Schema) -> list[tuple[Any, ...]]:
    return schema.read("SELECT line, source_row, digest FROM events_rejected ORDER BY 1, 2, 3")


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_the_good_lines_become_rows_and_the_bad_one_is_kept_with_its_place_and_reason(
    schema: Schema, tmp_path: Path, compression: str
) -> None:
    written = spoiled(schema, tmp_path, compression=compression)
    assert schema.load(HOUR, reject=[HOUR]) == LoadReceipt({HOUR: 4}, {}, 2, {HOUR: 1})
    assert schema.uuids() == GOOD
    part = schema.pond.prefix + written.parts[1].key
    assert schema.read("SELECT source_file, source_row FROM events_raw ORDER BY 1, 2")[2:] == [
        (part, 1), (part, 3)
    ]  # fmt: skip
    ((hour, digest, file, row, line, reason, at),) = schema.read("SELECT * FROM events_rejected")
    assert (hour, digest) == (HOUR.start.replace(tzinfo=None), written.digest)
    assert (file, row, line) == (part, 2, BAD.decode())
    assert "JSON" in reason
    assert schema.read("SELECT DISTINCT loaded_at FROM events_raw") == [(at,)]
    assert schema.warehouse().ledger() == {
        HOUR: LedgerEntry(written.digest, 5, 1, "test", written.exported_at)
    }


def test_lake_and_table_agree_with_the_rejected_line_taken_off(schema: Schema, tmp_path: Path) -> None:
    spoiled(schema, tmp_path)
    schema.pond.fill(tmp_path, HOUR + 1, 3)
    schema.load(HOUR, HOUR + 1, reject=[HOUR])
    assert schema.reconcile(HOUR, HOUR + 1) == Reconciliation(2, 8, 7, (), {}, 1)
    assert schema.load(HOUR, HOUR + 1, check_rows=True) == LoadReceipt({}, {}, 0)
    schema.run("TRUNCATE TABLE events_rejected")
    found = schema.reconcile(HOUR, HOUR + 1)
    assert (list(found.mismatches), found.rejected_lines) == ([HOUR], 0)


def test_negative_control_passing_over_errors_loses_the_good_lines_that_follow(
    schema: Schema, tmp_path: Path
) -> None:
    spoiled(schema, tmp_path)
    passing = statements.COPY_PARTS.replace("ABORT_STATEMENT", "CONTINUE")
    receipt = load_with(schema, lambda: Elsewhere(schema.connect(), {statements.COPY_PARTS: passing}), HOUR)
    assert "PARTIALLY_LOADED, 1 rows" in receipt.failures[HOUR]
    assert schema.uuids() == []


def test_lines_are_sorted_inside_the_load_transaction(schema: Schema, tmp_path: Path) -> None:
    spoiled(schema, tmp_path)
    schema.forget()
    schema.load(HOUR, reject=[HOUR])
    codes = [re.sub(r"^(--.*\n)+", "", sql) for sql in schema.said()]
    assert [" ".join(code.split()[:3]) for code in codes[7:-3]] == [
        "DELETE FROM events_raw",
        "DELETE FROM events_rejected",
        "COPY INTO events_rejected",
        "DELETE FROM events_rejected",
        "INSERT INTO events_raw",
        "DELETE FROM events_rejected",
        "UPDATE events_rejected SET",
    ]
    assert (codes[0], codes[-1]) == ("BEGIN", "COMMIT")
    assert len({one.session for one in schema.emulator.statements}) == 1


# Which hours


def test_a_bad_line_is_refused_with_the_remedy_unless_its_hour_was_named(
    schema: Schema, tmp_path: Path
) -> None:
    spoiled(schema, tmp_path)
    refused = schema.load(HOUR, reject=[HOUR + 1])
    assert refused.loaded == {}
    assert refused.failures[HOUR].endswith(f"python -m flows.gap_fill --reject-bad-lines {HOUR}")
    assert (schema.uuids(), kept(schema)) == ([], [])


def test_a_file_that_is_gone_is_to_be_exported_again_whether_or_not_lines_may_be_bad(
    schema: Schema, tmp_path: Path
) -> None:
    written = spoiled(schema, tmp_path)
    schema.pond.remove(written.parts[0].key)
    for reject in ([], [HOUR]):
        said = schema.load(HOUR, reject=reject).failures[HOUR]
        assert f"python -m flows.gap_fill --start {HOUR} --end {HOUR} --verify (or --give-up" in said
    assert (schema.uuids(), kept(schema)) == ([], [])


def test_hours_with_and_without_bad_lines_are_loaded_in_one_transaction(
    schema: Schema, tmp_path: Path
) -> None:
    spoiled(schema, tmp_path)
    schema.pond.fill(tmp_path, HOUR + 1, 3)
    spoiled(schema, tmp_path, HOUR + 2)
    schema.forget()
    receipt = schema.load(HOUR, HOUR + 1, HOUR + 2, reject=[HOUR, HOUR + 2])
    assert receipt == LoadReceipt({HOUR: 4, HOUR + 1: 3, HOUR + 2: 4}, {}, 5, {HOUR: 1, HOUR + 2: 1})
    assert len(schema.said("^COMMIT")) == 1
    copied = [re.findall("INTO ([a-z_]+)", sql)[0] for sql in schema.said("COPY INTO")]
    assert copied == ["events_raw", "events_rejected", "events_rejected"]


def test_a_batch_that_fails_is_tried_hour_by_hour_with_the_same_leave_for_bad_lines(
    schema: Schema, tmp_path: Path
) -> None:
    for later in range(3):
        spoiled(schema, tmp_path, HOUR + later)
    receipt = schema.load(HOUR, HOUR + 1, HOUR + 2, reject=[HOUR, HOUR + 2])
    assert (receipt.loaded, receipt.rejected) == ({HOUR: 4, HOUR + 2: 4}, {HOUR: 1, HOUR + 2: 1})
    assert receipt.failures.keys() == {HOUR + 1}


def test_a_named_hour_without_bad_lines_is_loaded_whole(schema: Schema, tmp_path: Path) -> None:
    schema.pond.fill(tmp_path, HOUR, 3)
    schema.pond.fill(tmp_path, HOUR + 1)
    receipt = schema.load(HOUR, HOUR + 1, reject=[HOUR, HOUR + 1])
    assert receipt == LoadReceipt({HOUR: 3, HOUR + 1: 0}, {}, 1)
    assert kept(schema) == []


# The same export again, and another one


@pytest.mark.parametrize("lost", ["events_raw", "load_ledger"])
def test_a_reload_of_the_same_export_repeats_its_rejection(schema: Schema, tmp_path: Path, lost: str) -> None:
    spoiled(schema, tmp_path)
    schema.load(HOUR, reject=[HOUR])
    before = kept(schema)
    schema.run(f"TRUNCATE TABLE {lost}")
    assert schema.load(HOUR, check_rows=True) == LoadReceipt({HOUR: 4}, {}, 2, {HOUR: 1})
    assert (schema.uuids(), kept(schema)) == (GOOD, before)
    assert schema.reconcile(HOUR) == Reconciliation(1, 5, 4, (), {}, 1)


def test_rejected_lines_that_were_lost_come_back_by_what_the_ledger_says(
    schema: Schema, tmp_path: Path
) -> None:
    spoiled(schema, tmp_path)
    schema.load(HOUR, reject=[HOUR])
    before = kept(schema)
    schema.run("TRUNCATE TABLE events_rejected")
    assert schema.load(HOUR, check_rows=True).rejected == {HOUR: 1}
    assert (schema.uuids(), kept(schema)) == (GOOD, before)


def test_negative_control_without_any_trace_of_the_rejection_the_reload_is_refused(
    schema: Schema, tmp_path: Path
) -> None:
    spoiled(schema, tmp_path)
    schema.load(HOUR, reject=[HOUR])
    schema.run("TRUNCATE TABLE events_rejected", "TRUNCATE TABLE load_ledger")
    assert schema.load(HOUR).failures.keys() == {HOUR}


def test_another_export_of_the_hour_is_not_believed_to_have_bad_lines(schema: Schema, tmp_path: Path) -> None:
    spoiled(schema, tmp_path)
    schema.load(HOUR, reject=[HOUR])
    before = kept(schema)
    second = schema.pond.commit(tmp_path, HOUR, events_of(HOUR, 0, 6) + BAD + b"\n", exported_at=LATER)
    assert "--reject-bad-lines" in schema.load(HOUR).failures[HOUR]
    assert (schema.uuids(), kept(schema)) == (GOOD, before)
    assert schema.load(HOUR, reject=[HOUR]) == LoadReceipt({HOUR: 6}, {}, 1, {HOUR: 1})
    assert {row[2] for row in kept(schema)} == {before[0][2], second.digest}
    assert schema.reconcile(HOUR) == Reconciliation(1, 7, 6, (), {}, 1)
    schema.pond.fill(tmp_path, HOUR, 8, exported_at=(HOUR + 40).start)
    assert schema.load(HOUR) == LoadReceipt({HOUR: 8}, {}, 1)
    assert schema.reconcile(HOUR) == Reconciliation(1, 8, 8, (), {})


def test_the_exports_with_rejected_lines_are_those_that_have_some(schema: Schema, tmp_path: Path) -> None:
    written = spoiled(schema, tmp_path)
    schema.pond.fill(tmp_path, HOUR + 1, 1)
    schema.load(HOUR, HOUR + 1, reject=[HOUR, HOUR + 1])
    current = schema.current(HOUR, HOUR + 1)
    with Session(schema.connect) as session:
        assert rejections(session, []) == set()
        assert rejections(session, list(current.values())) == {(HOUR, written.digest)}


# Counts that do not add up


@pytest.mark.parametrize(
    ("instead_of", "statement"),
    [
        ("INSERT_GOOD_LINES", statements.INSERT_GOOD_LINES + " AND source_row > 1"),
        ("DELETE_GOOD_LINES", statements.DELETE_GOOD_LINES + " AND source_row > 1"),
        ("EXPLAIN_BAD_LINES", statements.EXPLAIN_BAD_LINES + " AND source_row > 99"),
    ],
)
def test_lines_that_are_in_neither_table_or_in_both_undo_everything(
    schema: Schema, tmp_path: Path, instead_of: str, statement: str
) -> None:
    schema.pond.fill(tmp_path, HOUR, 2)
    schema.load(HOUR)
    spoiled(schema, tmp_path, HOUR + 1)
    schema.load(HOUR + 1, reject=[HOUR + 1])
    before = schema.uuids(), kept(schema), schema.ledger()
    spoiled(schema, tmp_path, exported_at=LATER)
    instead = {getattr(statements, instead_of): statement}
    receipt = load_with(schema, lambda: Elsewhere(schema.connect(), instead), HOUR, reject=[HOUR])
    assert "Could not load the good lines of" in receipt.failures[HOUR]
    assert (schema.uuids(), kept(schema), schema.ledger()) == before


def test_a_line_too_many_does_not_make_up_for_one_that_was_lost(schema: Schema, tmp_path: Path) -> None:
    believed = spoiled(schema, tmp_path)
    schema.pond.put(believed.parts[0].key, events_of(HOUR, 0, 3))
    losing = statements.INSERT_GOOD_LINES + f" AND TRY_PARSE_JSON(line):uuid::VARCHAR <> '{HOUR}-0-2'"
    instead = {statements.INSERT_GOOD_LINES: losing}
    receipt = load_with(schema, lambda: Elsewhere(schema.connect(), instead), HOUR, reject=[HOUR])
    assert "of 5 lines 4 became rows, 5 were taken" in receipt.failures[HOUR]
    assert (schema.uuids(), kept(schema)) == ([], [])


def test_a_count_that_differs_from_the_manifest_s_leaves_old_rows_and_old_rejections(
    schema: Schema, tmp_path: Path
) -> None:
    spoiled(schema, tmp_path)
    schema.load(HOUR, reject=[HOUR])
    before = schema.uuids(), kept(schema), schema.ledger()
    schema.run("UPDATE load_ledger SET digest = 'lost' WHERE export_hour IS NOT NULL")
    schema.emulator.faults.add(Fault("COPY INTO events_rejected", "miscount"))
    assert "LOADED, 1 rows" in schema.load(HOUR).failures[HOUR]
    assert (schema.uuids(), kept(schema)) == before[:2]
    assert schema.load(HOUR).rejected == {HOUR: 1}
    assert (schema.uuids(), kept(schema), schema.ledger()) == before


@pytest.mark.parametrize("statement", ["COPY INTO events_rejected", "INSERT INTO events_raw", "^COMMIT"])
def test_a_load_that_was_cut_off_leaves_no_line_behind(
    schema: Schema, tmp_path: Path, statement: str
) -> None:
    spoiled(schema, tmp_path)
    schema.emulator.faults.add(Fault(statement, "kill_session"))
    with pytest.raises(WarehouseUnavailable, match="session has ended"):
        schema.load(HOUR, reject=[HOUR])
    assert (schema.uuids(), kept(schema)) == ([], [])
    assert schema.load(HOUR, reject=[HOUR]).rejected == {HOUR: 1}


def test_loaders_at_once_leave_every_line_once(schema: Schema, tmp_path: Path) -> None:
    for later in range(2):
        spoiled(schema, tmp_path, HOUR + later)
    hours = [HOUR, HOUR + 1]
    with ThreadPoolExecutor(3) as pool:
        receipts = list(pool.map(lambda _: schema.load(*hours, reject=hours), range(3)))
    assert sum(sum(receipt.loaded.values()) for receipt in receipts) == 8
    assert sum(sum(receipt.rejected.values()) for receipt in receipts) == 2
    assert not any(receipt.failures for receipt in receipts)
    assert (len(schema.uuids()), len(kept(schema))) == (8, 2)


def test_a_line_format_that_is_missing_stops_the_load_and_is_not_blamed_on_the_hour(
    schema: Schema, tmp_path: Path
) -> None:
    spoiled(schema, tmp_path)
    schema.run("DROP FILE FORMAT amplitude_lines")
    with pytest.raises(WarehouseRefused, match="set-up was applied"):
        schema.load(HOUR, reject=[HOUR])
    schema.run(*statements.CREATE_FILE_FORMATS)
    assert schema.load(HOUR, reject=[HOUR]).rejected == {HOUR: 1}


# Whatever a line holds


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b'{"a":"\xff\xfe', '{"a":"\ufffd\ufffd'),
        (b'{"a":"\x00"', '{"a":"\x00"'),
        (b'it\'s \\ "quoted", %s %(files)s', 'it\'s \\ "quoted", %s %(files)s'),
        (b"\\N", "\\N"),
        (b"{'a': 1}\r", "{'a': 1}\r"),
        (b'{"a":1}{"b":2}', '{"a":1}{"b":2}'),
        (b"x" * 3_000_000, "x" * 3_000_000),
    ],
)
def test_a_bad_line_is_kept_whatever_characters_it_has_and_however_long_it_is(
    schema: Schema, tmp_path: Path, line: bytes, text: str
) -> None:
    schema.pond.commit(tmp_path, HOUR, line + b'\n{"uuid":"b"}\n')
    assert schema.load(HOUR, reject=[HOUR]).rejected == {HOUR: 1}
    assert [row[:2] for row in kept(schema)] == [(text, 1)]
    assert schema.uuids() == ["b"]
    assert max(map(len, schema.said())) < 5_000


def test_lines_of_white_space_are_neither_events_nor_rejected(schema: Schema, tmp_path: Path) -> None:
    believed = schema.pond.commit(tmp_path, HOUR, BAD + b'\n{"uuid":"b"}\n{"uuid":"a"}\n')
    schema.pond.put(believed.parts[0].key, BAD + b'\n\n \t\r\n{"uuid":"b"}\n \n{"uuid":"a"}\n')
    assert schema.load(HOUR, reject=[HOUR]) == LoadReceipt({HOUR: 2}, {}, 1, {HOUR: 1})
    assert (schema.uuids(), [row[0] for row in kept(schema)]) == (["a", "b"], [BAD.decode()])


def test_a_line_more_than_the_lake_counts_is_refused_although_lines_may_be_bad(
    schema: Schema, tmp_path: Path
) -> None:
    believed = spoiled(schema, tmp_path)
    schema.pond.put(believed.parts[0].key, events_of(HOUR, 0, 3))
    assert "--verify" in schema.load(HOUR, reject=[HOUR]).failures[HOUR]
    assert (schema.uuids(), kept(schema)) == ([], [])


def test_good_lines_beside_a_bad_one_are_read_as_leniently_as_in_any_hour(
    schema: Schema, tmp_path: Path
) -> None:
    odd = b'\xef\xbb\xbf{"uuid":"a","uuid":"a"}\r\n{"uuid":"b","city":"\xff"}\n{"uuid":"c, \\"d\\""}\n'
    schema.pond.commit(tmp_path, HOUR, odd + BAD + b"\n", b"")
    receipt = schema.load(HOUR, reject=[HOUR])
    assert receipt.failures == {}
    assert schema.uuids() == ["a", "b", 'c, "d"']

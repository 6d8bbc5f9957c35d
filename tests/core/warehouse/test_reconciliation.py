"""Lake against table, hour by hour, as a loader's new session finds them; without an emulator."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta

import pytest

from core.errors import WarehouseRefused
from core.hours import ExportHour
from core.warehouse.contents import HourToLoad, timestamp
from core.warehouse.loader import Reconciliation
from tests.core.warehouse.examples import HOUR
from tests.core.warehouse.scripted import Schema, content, file
from tests.core.warehouse.scripted_tables import failing
from tests.core.warehouse.test_loader_statements import LATER, filled, load, looking_at, spoiled

FIRST, SECOND = content(HOUR, 3, 4), content(HOUR + 1, 2)
KEY = "amplitude/" + file(HOUR)


def reconciled(schema: Schema, *hours: HourToLoad) -> Reconciliation:
    return schema.warehouse().reconcile([one.hour for one in hours], looking_at(*hours))


def loaded() -> Schema:
    schema = filled(FIRST, SECOND)
    load(schema, FIRST, SECOND)
    schema.said.clear()
    schema.closed.clear()
    return schema


def test_what_was_loaded_agrees_and_one_look_is_enough() -> None:
    schema = loaded()
    assert reconciled(schema, SECOND, FIRST) == Reconciliation(2, 9, 9, (), {})
    assert schema.names() == ["READ_CONTENTS"]
    assert schema.values("READ_CONTENTS") == [{"first": timestamp(HOUR), "last": timestamp(HOUR + 1)}]
    assert schema.closed == [2]


def test_hours_that_are_not_in_the_lake_are_not_compared() -> None:
    schema = loaded()
    assert schema.warehouse().reconcile([HOUR, HOUR + 1, HOUR + 2], looking_at(FIRST)) == Reconciliation(
        1, 7, 7, (), {}
    )


def test_nothing_to_compare_asks_the_warehouse_nothing() -> None:
    schema = loaded()
    assert reconciled(schema) == Reconciliation(0, 0, 0, (), {})
    assert schema.names() == []


def test_hours_far_apart_are_counted_apart_and_all_of_them() -> None:
    far = content(HOUR + 24 * 31, 1)
    schema = loaded()
    schema.put(far)
    load(schema, far)
    schema.said.clear()
    assert reconciled(schema, FIRST, SECOND, far) == Reconciliation(3, 10, 10, (), {})
    assert schema.values("READ_CONTENTS") == [
        {"first": timestamp(HOUR), "last": timestamp(HOUR + 1)},
        {"first": timestamp(far.hour), "last": timestamp(far.hour)},
    ]


def test_an_hour_that_is_nowhere_in_the_table_is_a_mismatch_and_the_others_are_still_compared() -> None:
    missing = content(HOUR - 1, 5)
    schema = loaded()
    assert reconciled(schema, missing, FIRST, SECOND) == Reconciliation(
        3, 14, 9, (), {HOUR - 1: "is in the lake and not in the ledger"}
    )
    assert schema.names() == ["READ_CONTENTS"] * 2
    assert schema.closed == [2, 3]


def test_rows_without_an_entry_in_the_ledger_are_a_mismatch() -> None:
    schema = loaded()
    del schema.tables.ledger[str(HOUR)]
    assert reconciled(schema, FIRST, SECOND) == Reconciliation(
        2, 9, 9, (), {HOUR: "is in the lake and not in the ledger"}
    )


def test_rows_that_differ_are_a_mismatch_that_says_how() -> None:
    schema = loaded()
    schema.tables.rows[str(HOUR), KEY].append(3)
    member = file(HOUR).rpartition("/")[2].rpartition("-")[0]
    assert reconciled(schema, FIRST, SECOND) == Reconciliation(
        2, 9, 10, (), {HOUR: f"{member} has 3 events in the lake and 4 rows (3 different)"}
    )


def test_an_hour_that_was_replaced_in_the_lake_meanwhile_is_pending_and_the_others_are_compared() -> None:
    replaced = content(HOUR, 8, digest="2", later=LATER)
    schema = loaded()
    assert reconciled(schema, replaced, SECOND) == Reconciliation(1, 2, 2, (HOUR,), {})
    missing = content(HOUR - 1, 5)
    found = reconciled(schema, missing, replaced, SECOND)
    assert (found.pending, list(found.mismatches)) == ((HOUR,), [HOUR - 1])


def test_a_mismatch_is_looked_at_once_more_lake_first() -> None:
    schema = loaded()
    schema.tables.rows[str(HOUR), KEY].append(3)
    looks: list[int] = []

    def current(hours: Collection[ExportHour]) -> Mapping[ExportHour, HourToLoad]:
        looks.append(len(schema.said))
        if len(looks) == 2:
            schema.tables.rows[str(HOUR), KEY].pop()
        return looking_at(FIRST, SECOND)(hours)  # type: ignore[no-any-return]

    assert schema.warehouse().reconcile([HOUR, HOUR + 1], current) == Reconciliation(2, 9, 9, (), {})
    assert looks == [0, 1]


def test_lines_that_were_rejected_are_counted_of_the_export_that_is_there() -> None:
    bad = content(HOUR, 3)
    schema = spoiled(bad)
    load(schema, bad, reject=[HOUR])
    schema.tables.rejected[str(HOUR), "9" * 32, KEY] = [(1, "bad")]
    assert reconciled(schema, bad) == Reconciliation(1, 3, 2, (), {}, 1)


def test_a_complaint_says_that_rows_were_counted() -> None:
    schema = loaded()
    schema.instead["READ_CONTENTS"].append(failing(3001, "Insufficient privileges"))
    with pytest.raises(WarehouseRefused, match=r"^Could not count the rows: Insufficient privileges"):
        reconciled(schema, FIRST)
    assert schema.closed == [2]


def test_a_restored_hour_counts_as_the_one_it_is() -> None:
    schema = loaded()
    again = content(HOUR, 3, 4, later=LATER, restored_at=LATER + timedelta(hours=1))
    assert reconciled(schema, again) == Reconciliation(1, 7, 7, (), {})

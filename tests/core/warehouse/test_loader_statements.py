"""What a loader says to Snowflake, in which order, and what it makes of the answers; without an emulator."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from core.errors import WarehouseRefused, WarehouseUnavailable
from core.hours import ExportHour
from core.warehouse.contents import HourToLoad, LedgerEntry, timestamp
from core.warehouse.loader import LoadReceipt
from tests.core.warehouse.examples import HOUR
from tests.core.warehouse.scripted import APP, Schema, content, file
from tests.core.warehouse.scripted_tables import LAKE, failing

LATER = HOUR.start + timedelta(hours=30)
UNTIL_DUE = [
    "BEGIN",
    "TAKE_LOCK",
    "READ_LOCK",
    "READ_TRANSACTION",
    "READ_LEDGER_GENERATION",
    "READ_LEDGER",
]
AFTER_COPY = ["MERGE_LEDGER", "READ_TRANSACTION", "COMMIT"]
STRICT = [*UNTIL_DUE, "READ_REJECTED", "DELETE_HOURS", "COPY_PARTS", *AFTER_COPY]


def load(schema: Schema, *hours: HourToLoad, **changes: Any) -> LoadReceipt:
    """Load hours of a lake that says the same when it is looked at again."""
    return schema.warehouse().load(hours, looking_at(*hours), **changes)


def looking_at(*hours: HourToLoad) -> Any:
    """A lake that holds these hours."""
    lake = {one.hour: one for one in hours}

    def current(asked: Collection[ExportHour]) -> Mapping[ExportHour, HourToLoad]:
        return {hour: lake[hour] for hour in asked if hour in lake}

    return current


def filled(*hours: HourToLoad) -> Schema:
    """A schema whose stage holds these hours."""
    schema = Schema()
    schema.put(*hours)
    return schema


# One transaction


def test_hours_become_rows_and_entries_of_the_ledger_in_one_transaction_of_one_session() -> None:
    first, second = content(HOUR, 3, 4), content(HOUR + 1, 2, digest="2", later=LATER)
    schema = filled(first, second)
    assert load(schema, second, first) == LoadReceipt({HOUR: 7, HOUR + 1: 2}, {}, 3)
    assert schema.names() == STRICT
    assert (schema.closed, schema.names(1)) == ([1], schema.names())
    assert schema.counts() == {str(HOUR): 7, str(HOUR + 1): 2}
    assert schema.tables.lock == [[1, LAKE, APP]]
    assert schema.tables.generation == 1
    exported_at = first.exported_at.replace(tzinfo=None)
    assert schema.tables.ledger == {
        str(HOUR): {
            "exported_at": exported_at, "digest": "1" * 32, "parts": 2, "events": 7, "rejected": 0,
            "run": "wise-owl", "generation": 1,
        },
        str(HOUR + 1): {
            "exported_at": LATER.replace(tzinfo=None), "digest": "2" * 32, "parts": 1, "events": 2,
            "rejected": 0, "run": "wise-owl", "generation": 1,
        },
    }  # fmt: skip
    assert schema.warehouse().ledger() == {
        HOUR: LedgerEntry("1" * 32, 7, 0, "wise-owl", first.exported_at),
        HOUR + 1: LedgerEntry("2" * 32, 2, 0, "wise-owl", LATER),
    }


def test_the_moment_of_an_export_is_kept_to_the_millisecond() -> None:
    moment = LATER + timedelta(milliseconds=7)
    one = content(HOUR, 1, later=moment)
    schema = filled(one)
    load(schema, one)
    assert schema.warehouse().ledger()[HOUR].exported_at == moment


def test_a_second_load_finds_nothing_to_do_and_leaves_the_lock() -> None:
    one = content(HOUR, 3)
    schema = filled(one)
    load(schema, one)
    schema.said.clear()
    assert load(schema, one) == LoadReceipt({}, {}, 0)
    assert schema.names() == [*UNTIL_DUE, "ROLLBACK"]
    assert schema.tables.lock == [[1, LAKE, APP]]
    schema.said.clear()
    assert load(schema, one, check_rows=True) == LoadReceipt({}, {}, 0)
    assert schema.names() == [*UNTIL_DUE, "READ_CONTENTS", "ROLLBACK"]


def test_nothing_to_load_opens_no_session() -> None:
    schema = Schema()
    assert load(schema) == LoadReceipt({}, {}, 0)
    assert (schema.said, schema.closed) == ([], [])


def test_only_the_hour_that_differs_is_replaced() -> None:
    hours = [content(HOUR + later, 3) for later in range(-1, 2)]
    schema = filled(*hours)
    load(schema, *hours)
    replaced = content(HOUR, 2, 2, digest="2", later=LATER)
    schema.put(replaced)
    schema.said.clear()
    assert load(schema, hours[0], replaced, hours[2]) == LoadReceipt({HOUR: 4}, {}, 2)
    assert schema.values("DELETE_HOURS") == [{"hours": [timestamp(HOUR)]}]
    assert schema.values("READ_REJECTED") == [{"hours": [timestamp(HOUR)]}]
    assert schema.counts() == {str(HOUR - 1): 3, str(HOUR): 4, str(HOUR + 1): 3}
    assert {row["generation"] for row in schema.tables.ledger.values()} == {1, 2}


def test_what_the_lake_says_under_the_lock_is_loaded_and_not_what_was_believed() -> None:
    believed, now = content(HOUR, 3), content(HOUR, 2, 2, digest="2")
    schema = filled(believed, now)
    taken_back = content(HOUR + 1, 1)
    seen: list[list[str]] = []

    def current(hours: Collection[ExportHour]) -> Mapping[ExportHour, HourToLoad]:
        assert list(hours) == [HOUR, HOUR + 1]
        seen.append(schema.names())
        return {HOUR: now}

    assert schema.warehouse().load([believed, taken_back], current) == LoadReceipt({HOUR: 4}, {}, 2)
    assert seen == [UNTIL_DUE[:-1]]


def test_hours_without_events_are_in_the_ledger_and_in_no_copy() -> None:
    hours = [content(HOUR, 0), content(HOUR + 1)]
    schema = Schema()
    assert load(schema, *hours) == LoadReceipt({HOUR: 0, HOUR + 1: 0}, {}, 0)
    assert "COPY_PARTS" not in schema.names()
    assert [row["parts"] for row in schema.tables.ledger.values()] == [1, 0]


def test_rows_that_differ_make_an_hour_due_only_if_rows_are_asked_for() -> None:
    hours = [content(HOUR, 3), content(HOUR + 1, 2)]
    schema = filled(*hours)
    load(schema, *hours)
    schema.tables.rows[str(HOUR), "amplitude/" + file(HOUR)].append(3)
    assert load(schema, *hours) == LoadReceipt({}, {}, 0)
    assert load(schema, *hours, check_rows=True) == LoadReceipt({HOUR: 3}, {}, 1)
    assert schema.counts() == {str(HOUR): 3, str(HOUR + 1): 2}
    assert schema.values("READ_CONTENTS") == [{"first": timestamp(HOUR), "last": timestamp(HOUR + 1)}]


def test_rows_are_not_believed_without_their_entry_in_the_ledger() -> None:
    one = content(HOUR, 3)
    schema = filled(one)
    load(schema, one)
    schema.tables.ledger.clear()
    assert load(schema, one, check_rows=True).loaded == {HOUR: 3}


@pytest.mark.parametrize("check_rows", [False, True])
def test_what_was_loaded_before_its_objects_were_restored_is_loaded_again(check_rows: bool) -> None:
    one = content(HOUR, 3)
    schema = filled(one)
    load(schema, one)
    restored = content(HOUR, 3, later=LATER, restored_at=LATER)
    assert load(schema, restored, check_rows=check_rows).loaded == {HOUR: 3}
    assert load(schema, restored, check_rows=check_rows).loaded == {}


# A bad file costs one hour


def test_a_batch_that_fails_on_its_data_is_tried_hour_by_hour_oldest_first() -> None:
    hours = [content(HOUR + later, 2) for later in range(3)]
    schema = filled(*hours)
    del schema.stage[file(HOUR + 1)]
    receipt = load(schema, *hours)
    assert receipt.loaded == {HOUR: 2, HOUR + 2: 2}
    assert receipt.files == 2
    assert list(receipt.failures) == [HOUR + 1]
    assert f"Could not load 1 files of {HOUR + 1}: Remote file" in receipt.failures[HOUR + 1]
    assert f"--start {HOUR + 1} --end {HOUR + 1} --verify" in receipt.failures[HOUR + 1]
    assert [values["files"] for values in schema.values("COPY_PARTS")] == [
        [file(HOUR), file(HOUR + 1), file(HOUR + 2)],
        *([file(HOUR + later)] for later in range(3)),
    ]
    assert schema.closed == [1, 2, 3, 4]
    assert schema.names(1)[-2:] == ["COPY_PARTS", "ROLLBACK"]
    assert schema.names(3)[-2:] == ["COPY_PARTS", "ROLLBACK"]
    assert schema.counts() == {str(HOUR): 2, str(HOUR + 2): 2}


def test_a_lone_hour_that_fails_is_not_tried_again() -> None:
    one = content(HOUR, 2)
    schema = filled(one)
    schema.stage[file(HOUR)][1] = "bad"
    assert f"--reject-bad-lines {HOUR}" in load(schema, one).failures[HOUR]
    assert schema.names().count("BEGIN") == 1
    assert (schema.counts(), schema.tables.ledger) == ({}, {})


def test_a_count_that_differs_rolls_everything_back() -> None:
    one = content(HOUR, 2)
    schema = filled(one)
    schema.stage[file(HOUR)].append("good")
    assert (
        load(schema, one)
        .failures[HOUR]
        .startswith(
            f"Could not load 1 files of {HOUR}: {file(HOUR)} has 2 events; LOADED, 3 rows. Nothing of it was"
        )
    )
    assert (schema.counts(), schema.tables.lock) == ({}, [[0, None, None]])


def test_what_is_no_fault_of_the_data_ends_the_load_at_once() -> None:
    hours = [content(HOUR, 2), content(HOUR + 1, 2)]
    schema = filled(*hours)
    schema.instead["COPY_PARTS"].append(failing(625, "too many waiters"))
    with pytest.raises(WarehouseUnavailable, match="Another loader holds the lock"):
        load(schema, *hours)
    assert schema.names().count("BEGIN") == 1
    assert (schema.names()[-1], schema.closed) == ("ROLLBACK", [1])


def test_a_session_that_is_gone_and_cannot_roll_back_hides_nothing() -> None:
    one = content(HOUR, 2)
    schema = filled(one)
    schema.instead["COPY_PARTS"].append(failing(625, "the first word"))
    schema.instead["ROLLBACK"].append(failing(390111, "Session no longer exists"))
    with pytest.raises(WarehouseUnavailable, match="the first word"):
        load(schema, one)
    assert schema.closed == [1]


def test_whatever_interrupts_a_load_is_rolled_back_and_passed_on() -> None:
    one = content(HOUR, 2)
    schema = filled(one)

    def interrupted(_: Collection[ExportHour]) -> Mapping[ExportHour, HourToLoad]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        schema.warehouse().load([one], interrupted)
    assert (schema.names()[-1], schema.closed) == ("ROLLBACK", [1])


# Lines that are no JSON


def counting(counted: int, _: Mapping[str, Any]) -> int:
    """An answer that is a count of rows."""
    return counted


def spoiled(*hours: HourToLoad) -> Schema:
    """A schema in whose stage the second line of each hour's first file is no JSON."""
    schema = filled(*hours)
    for one in hours:
        schema.stage[one.parts[0].file][1] = "bad"
    return schema


def test_an_hour_that_may_have_bad_lines_is_loaded_without_them_beside_the_others() -> None:
    bad, good = content(HOUR, 3), content(HOUR + 1, 2)
    schema = spoiled(bad)
    schema.put(good)
    schema.stage[file(HOUR)].append("blank")
    assert load(schema, bad, good, reject=[HOUR]) == LoadReceipt({HOUR: 2, HOUR + 1: 2}, {}, 2, {HOUR: 1})
    assert schema.names() == [
        *UNTIL_DUE, "READ_REJECTED", "DELETE_HOURS", "COPY_PARTS",
        "DELETE_REJECTED", "COPY_LINES", "DELETE_BLANK_LINES", "INSERT_GOOD_LINES", "DELETE_GOOD_LINES",
        "EXPLAIN_BAD_LINES", *AFTER_COPY,
    ]  # fmt: skip
    assert schema.values("COPY_PARTS") == [{"files": [file(HOUR + 1)]}]
    assert schema.values("COPY_LINES") == [{"digest": "1" * 32, "files": [file(HOUR)]}]
    assert schema.counts() == {str(HOUR): 2, str(HOUR + 1): 2}
    entry = schema.tables.ledger[str(HOUR)]
    assert (entry["events"], entry["rejected"]) == (3, 1)
    assert schema.tables.rejected == {(str(HOUR), "1" * 32, "amplitude/" + file(HOUR)): [(2, "bad")]}


def test_bad_lines_that_were_rejected_are_rejected_again_of_the_same_export_and_of_no_other() -> None:
    bad = content(HOUR, 3)
    schema = spoiled(bad)
    load(schema, bad, reject=[HOUR])
    schema.tables.rows.clear()
    assert load(schema, bad, check_rows=True) == LoadReceipt({HOUR: 2}, {}, 1, {HOUR: 1})
    other = content(HOUR, 3, digest="2", later=LATER)
    assert list(load(schema, other).failures) == [HOUR]


def test_the_ledger_remembers_a_rejection_although_the_lines_are_gone() -> None:
    bad, whole = content(HOUR, 3), content(HOUR + 1, 1)
    schema = spoiled(bad)
    load(schema, bad, reject=[HOUR])
    schema.tables.rejected.clear()
    schema.put(whole)
    assert load(schema, bad, whole, check_rows=True) == LoadReceipt({HOUR: 2, HOUR + 1: 1}, {}, 2, {HOUR: 1})


def test_lines_that_were_rejected_are_a_rejection_although_the_ledger_is_lost() -> None:
    bad = content(HOUR, 3)
    schema = spoiled(bad)
    load(schema, bad, reject=[HOUR])
    schema.tables.ledger.clear()
    assert load(schema, bad) == LoadReceipt({HOUR: 2}, {}, 1, {HOUR: 1})


def test_an_entry_without_rejections_is_no_reason_to_pass_over_lines() -> None:
    one = content(HOUR, 3)
    schema = filled(one)
    load(schema, one)
    schema.tables.rows.clear()
    schema.stage[file(HOUR)][1] = "bad"
    assert list(load(schema, one, check_rows=True).failures) == [HOUR]


def test_an_hour_that_still_cannot_be_loaded_is_offered_to_be_given_up() -> None:
    bad = content(HOUR, 2)
    schema = filled(bad)
    schema.instead["COPY_LINES"].append(failing(100069, "not even a line"))
    assert f"--give-up {HOUR} --reason TEXT" in load(schema, bad, reject=[HOUR]).failures[HOUR]


@pytest.mark.parametrize(("good", "moved", "bad"), [(1, 2, 1), (2, 1, 1), (2, 2, 2), (1, 1, 1), (2, 2, 0)])
def test_lines_that_do_not_add_up_are_refused(good: int, moved: int, bad: int) -> None:
    one = content(HOUR, 3)
    schema = spoiled(one)
    for name, counted in (("INSERT_GOOD", good), ("DELETE_GOOD", moved), ("EXPLAIN_BAD", bad)):
        schema.instead[f"{name}_LINES"].append(partial(counting, counted))
    failure = load(schema, one, reject=[HOUR]).failures[HOUR]
    assert failure.startswith(
        f"Could not load the good lines of {HOUR}: of 3 lines {good} became rows, {moved} were taken from "
        f"events_rejected and {bad} stayed there. Nothing of it was loaded."
    )
    assert schema.counts() == {}


# Sessions that do not see the last commit


def hidden(_: Mapping[str, Any]) -> Any:
    """The ledger's generation as it was before the first load."""
    return [{"generation": 0}]


def test_a_session_that_misses_the_last_commit_is_left_and_a_new_one_loads() -> None:
    first, second = content(HOUR, 2), content(HOUR + 1, 2)
    schema = filled(first, second)
    load(schema, first)
    schema.instead["READ_LEDGER_GENERATION"].append(hidden)
    assert load(schema, first, second).loaded == {HOUR + 1: 2}
    assert schema.names(2) == [*UNTIL_DUE[:-1], "ROLLBACK"]
    assert schema.names(3) == ["READ_LEDGER_GENERATION"]
    assert schema.names(4) == STRICT
    assert schema.closed == [1, 3, 2, 4]
    assert (schema.tables.generation, schema.tables.lock[0][0]) == (2, 2)


@pytest.mark.parametrize("there", [-1, 0, 2, 98])
def test_a_generation_that_nobody_sees_is_mended_under_the_lock(there: int) -> None:
    first, second = content(HOUR, 2), content(HOUR + 1, 2)
    schema = filled(first, second)
    load(schema, first)
    schema.tables.generation = there
    assert load(schema, first, second).loaded == {HOUR + 1: 2}
    assert schema.names(2) == [*UNTIL_DUE[:-1], "MERGE_LEDGER", "COMMIT"]
    assert schema.values("MERGE_LEDGER")[1] == {
        "rows": '[{"export_hour": null}]', "generation": 2, "run": "wise-owl"
    }  # fmt: skip
    assert (schema.tables.generation, schema.tables.lock[0][0]) == (3, 3)
    assert schema.counts() == {str(HOUR): 2, str(HOUR + 1): 2}


def test_after_five_sessions_another_attempt_is_left_to_later() -> None:
    one = content(HOUR, 2)
    schema = filled(one)
    schema.instead["READ_LEDGER_GENERATION"].extend([lambda _: [{"generation": 77}]] * 100)
    with pytest.raises(WarehouseUnavailable, match=r"in one piece, in 5 sessions\. Another attempt can help"):
        load(schema, one)
    assert schema.names().count("BEGIN") == 5
    assert schema.counts() == {}


def test_a_load_that_needs_its_fifth_session_succeeds() -> None:
    one = content(HOUR, 2)
    schema = filled(one)
    schema.instead["READ_LEDGER_GENERATION"].extend([lambda _: [{"generation": 77}]] * 8)
    assert load(schema, one).loaded == {HOUR: 2}


def test_a_transaction_that_was_ended_from_outside_commits_nothing() -> None:
    hours = [content(HOUR, 2), content(HOUR + 1, 2)]
    schema = filled(*hours)
    schema.instead["READ_TRANSACTION"].extend([None, lambda _: [{"id": "1800"}]])
    with pytest.raises(WarehouseUnavailable) as raised:
        load(schema, *hours)
    assert str(raised.value) == (
        f"Could not load {HOUR} … {HOUR + 1}: the transaction was ended from outside. "
        "Another attempt can help."
    )
    assert "COMMIT" not in schema.names()
    assert schema.counts() == {}


# What a complaint says


def test_a_batch_is_named_by_its_first_and_last_hour() -> None:
    hours = [content(HOUR + later, 1) for later in range(3)]
    schema = filled(*hours)
    schema.instead["COMMIT"].append(failing(625, "too many waiters"))
    with pytest.raises(WarehouseUnavailable, match=rf"^Could not commit {HOUR} … {HOUR + 2}: "):
        load(schema, *hours)


ONE, TWO = str(HOUR), f"{HOUR} … {HOUR + 1}"
ATTEMPTS = [
    ("BEGIN", ONE, f"begin to load {ONE}"),
    ("BEGIN", TWO, f"begin to load {TWO}"),
    ("TAKE_LOCK", TWO, f"take the lock to load {TWO}"),
    ("READ_LOCK", TWO, f"take the lock to load {TWO}"),
    ("READ_TRANSACTION", TWO, "see which transaction this is"),
    ("READ_LEDGER_GENERATION", TWO, "read the ledger's generation"),
    ("READ_LEDGER", TWO, "read the ledger"),
    ("READ_CONTENTS", TWO, "count the rows"),
    ("READ_REJECTED", TWO, "read the rejected lines"),
    ("DELETE_HOURS", TWO, f"replace {TWO}"),
    ("COPY_PARTS", TWO, f"load 1 files of {TWO}"),
    ("DELETE_REJECTED", TWO, f"load the good lines of {ONE}"),
    ("COPY_LINES", TWO, f"load 1 files of {ONE}"),
    ("DELETE_BLANK_LINES", TWO, f"load the good lines of {ONE}"),
    ("INSERT_GOOD_LINES", TWO, f"load the good lines of {ONE}"),
    ("DELETE_GOOD_LINES", TWO, f"load the good lines of {ONE}"),
    ("EXPLAIN_BAD_LINES", TWO, f"load the good lines of {ONE}"),
    ("MERGE_LEDGER", TWO, "write the ledger"),
    ("COMMIT", TWO, f"commit {TWO}"),
]


@pytest.mark.parametrize(("name", "span", "attempt"), ATTEMPTS)
def test_a_complaint_names_what_was_attempted_and_ends_the_load(name: str, span: str, attempt: str) -> None:
    hours = [content(HOUR, 2), content(HOUR + 1, 2)][: 1 if span == ONE else 2]
    schema = filled(*hours)
    schema.instead[name].append(failing(3001, "Insufficient privileges"))
    with pytest.raises(WarehouseRefused) as refused:
        load(schema, *hours, check_rows=True, reject=[HOUR] if span == TWO else [])
    assert str(refused.value).startswith(f"Could not {attempt}: Insufficient privileges")
    assert (schema.counts(), schema.closed) == ({}, [1])


@pytest.mark.parametrize(
    ("seen", "attempt"), [(0, "begin again in a new session"), (77, "mend the ledger's generation")]
)
def test_a_complaint_while_the_generation_is_looked_into_says_so(seen: int, attempt: str) -> None:
    one = content(HOUR, 2)
    schema = filled(one)
    schema.instead["READ_LEDGER_GENERATION"].extend(
        [lambda _: [{"generation": 5}], lambda _: [{"generation": seen}]]
    )
    for name in ("ROLLBACK", "COMMIT"):
        schema.instead[name].append(failing(3001, "Insufficient privileges"))
    with pytest.raises(WarehouseRefused, match=rf"^Could not {attempt}: Insufficient privileges"):
        load(schema, one)


def test_a_complaint_when_there_is_nothing_to_load_says_so() -> None:
    one = content(HOUR, 2)
    schema = filled(one)
    load(schema, one)
    schema.instead["ROLLBACK"].append(failing(3001, "Insufficient privileges"))
    with pytest.raises(WarehouseRefused, match=r"^Could not leave the lock: Insufficient privileges"):
        load(schema, one)


def test_another_lake_s_schema_is_refused_before_anything_is_read_or_written() -> None:
    one = content(HOUR, 2)
    schema = filled(one)
    load(schema, one)
    schema.said.clear()
    stranger = schema.warehouse(app_id=7)
    with pytest.raises(WarehouseRefused) as refused:
        stranger.ledger()
    assert str(refused.value) == (
        f"Could not read the ledger: the schema serves {LAKE} (app {APP}), not {LAKE} (app 7): "
        "correct BUCKET_NAME and BUCKET_PREFIX, or use another schema."
    )
    with pytest.raises(
        WarehouseRefused, match=rf"^Could not take the lock to load {HOUR}: the schema serves"
    ):
        schema.warehouse(lake_url="s3://lake/other/").load([one], looking_at(one))
    assert schema.names() == ["READ_LOCK", "BEGIN", "TAKE_LOCK", "READ_LOCK", "ROLLBACK"]
    assert schema.tables.lock == [[1, LAKE, APP]]


@pytest.mark.parametrize("rows", [0, 2])
def test_a_lock_that_is_not_one_row_is_refused_with_the_remedy(rows: int) -> None:
    schema = Schema()
    schema.tables.lock *= rows
    with pytest.raises(WarehouseRefused) as refused:
        schema.warehouse().ledger()
    assert str(refused.value) == (
        f"Could not read the ledger: load_lock has {rows} rows instead of one. "
        "DELETE FROM load_lock, then INSERT INTO load_lock VALUES (0, NULL, NULL)."
    )


def test_the_ledger_is_read_in_a_session_of_its_own() -> None:
    schema = Schema()
    assert schema.warehouse().ledger() == {}
    assert (schema.names(), schema.closed) == (["READ_LOCK", "READ_LEDGER"], [1])
    schema.instead["READ_LEDGER"].append(failing(3001, "Insufficient privileges"))
    with pytest.raises(WarehouseRefused, match=r"^Could not read the ledger: Insufficient"):
        schema.warehouse().ledger()

"""From lake to warehouse: which hours are due, and whether they arrived."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import LakeUnavailable
from core.hours import ExportHour, ExportWindow
from core.lake.layout import Status
from core.lake.manifest import Manifest
from core.lake.verdict import HourVerdict, verdicts_of
from core.loading import (
    HourReader,
    hours_not_in_ledger,
    load_missing,
    reconcile_hours,
    to_load,
)
from core.warehouse.contents import LedgerEntry, PartToLoad
from core.warehouse.loader import LoadReceipt, Reconciliation, Warehouse
from tests.core.lake.examples import APP, HOUR, manifest, manifests, name, part
from tests.core.lakes import Pond
from tests.core.warehouses import Schema

WANTED = ExportWindow(HOUR, HOUR + 5)
RUN = "wise-owl 1"


# Pure


def verdicts(*statuses: Status) -> dict[ExportHour, HourVerdict]:
    said = [
        name(HOUR.complete_at + timedelta(hours=turn), status, 0 if status is Status.EMPTY else 3)
        for turn, status in enumerate(statuses)
    ]
    return verdicts_of(said)


def held(digest: str) -> dict[ExportHour, LedgerEntry]:
    return {HOUR: LedgerEntry(digest, 3, 0)}


DATA, EMPTY, GIVEN_UP, RETRY = Status.DATA, Status.EMPTY, Status.GIVEN_UP, Status.RETRY
DIGEST = name(HOUR.complete_at).digest


@pytest.mark.parametrize(
    ("statuses", "ledger", "due"),
    [
        ([DATA], {}, True),
        ([DATA], held("other"), True),
        ([DATA], held(DIGEST), False),
        ([EMPTY], {}, True),
        ([EMPTY], held(DIGEST), False),
        ([], {}, False),
        ([GIVEN_UP], {}, False),
        ([RETRY], {}, False),
        ([DATA, GIVEN_UP], {}, False),
        ([DATA, GIVEN_UP], held("other"), False),
        ([DATA, GIVEN_UP, RETRY], {}, True),
        ([GIVEN_UP, DATA], {}, True),
    ],
)
def test_hours_are_due_whose_content_is_another_than_the_ledger_s(
    statuses: list[Status], ledger: dict[ExportHour, LedgerEntry], due: bool
) -> None:
    assert hours_not_in_ledger(verdicts(*statuses), ledger) == ([HOUR] if due else [])


@pytest.mark.parametrize(("loaded_hours_later", "due"), [(0, True), (1, False), (2, False)])
def test_what_was_loaded_before_an_hour_was_restored_is_loaded_again(
    loaded_hours_later: int, due: bool
) -> None:
    found = verdicts(DATA, Status.RESTORED, DATA)
    loaded = LedgerEntry(DIGEST, 3, 0, "", HOUR.complete_at + timedelta(hours=loaded_hours_later))
    assert hours_not_in_ledger(found, {HOUR: loaded}) == ([HOUR] if due else [])


@given(st.sets(st.integers(0, 100)), st.sets(st.integers(0, 100)))
def test_what_is_in_the_lake_and_not_in_the_ledger_is_due_oldest_first(
    lake: set[int], there: set[int]
) -> None:
    listed = verdicts_of([name(HOUR.complete_at, hour=HOUR + place, events=1) for place in lake])
    ledger = {HOUR + place: LedgerEntry(DIGEST, 1, 0) for place in there}
    assert hours_not_in_ledger(listed, ledger) == [HOUR + place for place in sorted(lake - there)]


@given(manifests())
def test_what_a_manifest_asks_for_is_what_it_says(written: Manifest) -> None:
    asked = to_load(written)
    assert (asked.hour, asked.exported_at, asked.digest) == (
        written.hour, written.exported_at, written.digest
    )  # fmt: skip
    assert asked.events == written.events
    assert asked.parts == tuple(PartToLoad(part.key, part.events) for part in written.parts)


# Over the wire


class Opened:
    """Opens a schema's warehouse, and remembers for whom."""

    def __init__(self, schema: Schema, run: str = RUN) -> None:
        self.schema = schema
        self.run = run
        self.apps: list[int] = []

    def __call__(self, *, app_id: int) -> Warehouse:
        self.apps.append(app_id)
        return self.schema.warehouse(app_id=app_id, run=self.run)


def never(*, app_id: int) -> Warehouse:
    raise AssertionError(app_id)


@pytest.mark.slow
def test_a_range_is_loaded_and_agrees(schema: Schema, tmp_path: Path) -> None:
    schema.pond.fill(tmp_path, HOUR, 3)
    schema.pond.fill(tmp_path, HOUR + 1)
    schema.pond.fill(tmp_path, HOUR + 2, 1, 1)
    schema.pond.fill(tmp_path, HOUR + 6, 9)
    opened = Opened(schema)
    assert load_missing(schema.pond.lake, opened, WANTED, run=RUN) == LoadReceipt(
        {HOUR: 3, HOUR + 1: 0, HOUR + 2: 2}, {}, 3
    )
    assert reconcile_hours(schema.pond.lake, opened, WANTED) == Reconciliation(3, 5, 5, (), {})
    assert opened.apps == [APP, APP]


@pytest.mark.slow
def test_what_is_there_is_not_read_again(schema: Schema, tmp_path: Path) -> None:
    for later in range(3):
        schema.pond.fill(tmp_path, HOUR + later, 2)
    load_missing(schema.pond.lake, Opened(schema), WANTED, run=RUN)
    schema.pond.asked.clear()
    schema.forget()
    assert load_missing(schema.pond.lake, Opened(schema), WANTED, run="later") == LoadReceipt({}, {}, 0)
    assert dict(schema.pond.asked) == {"GetObject": 1, "ListObjectsV2": 1}
    assert [sql.split()[0] for sql in schema.said()] == ["SELECT", "--"]  # whose schema; the ledger


@pytest.mark.slow
def test_the_ledger_is_asked_although_the_lake_has_nothing_new(schema: Schema, tmp_path: Path) -> None:
    schema.pond.fill(tmp_path, HOUR, 2)
    load_missing(schema.pond.lake, Opened(schema), WANTED, run=RUN)
    schema.run("TRUNCATE TABLE load_ledger")
    assert load_missing(schema.pond.lake, Opened(schema), WANTED, run=RUN).loaded == {HOUR: 2}
    assert len(schema.uuids()) == 2


@pytest.mark.slow
def test_an_hour_that_was_given_up_stays_in_the_warehouse_as_it_is(schema: Schema, tmp_path: Path) -> None:
    schema.pond.fill(tmp_path, HOUR, 2)
    load_missing(schema.pond.lake, Opened(schema), WANTED, run=RUN)
    schema.pond.fill(tmp_path, HOUR, 3, exported_at=(HOUR + 30).start)
    given_up = manifest(exported_at=(HOUR + 31).start, status=GIVEN_UP)
    schema.pond.lake.put_manifest(given_up)
    assert load_missing(schema.pond.lake, Opened(schema), WANTED, run="later") == LoadReceipt({}, {}, 0)
    assert len(schema.uuids()) == 2
    assert not reconcile_hours(schema.pond.lake, Opened(schema), ExportWindow(HOUR, HOUR)).mismatches
    schema.run("DELETE FROM events_raw WHERE source_row = 2")
    named = {"suspects": [HOUR], "reject": [HOUR]}
    left = load_missing(schema.pond.lake, Opened(schema), WANTED, run="later", **named)
    assert left == LoadReceipt({}, {}, 0)
    assert len(schema.uuids()) == 1


@pytest.mark.slow
def test_a_shrunk_export_does_not_reach_the_warehouse(schema: Schema, tmp_path: Path) -> None:
    schema.pond.fill(tmp_path, HOUR, 3)
    schema.pond.fill(tmp_path, HOUR, 2, exported_at=(HOUR + 30).start)
    assert load_missing(schema.pond.lake, Opened(schema), WANTED, run=RUN).loaded == {HOUR: 3}


@pytest.mark.slow
def test_a_lake_that_is_nobody_s_opens_no_warehouse(pond: Pond) -> None:
    assert load_missing(pond.lake, never, WANTED, run=RUN) == LoadReceipt({}, {}, 0)
    assert reconcile_hours(pond.lake, never, WANTED) == Reconciliation(0, 0, 0, (), {})


@pytest.mark.slow
def test_the_hours_that_are_asked_for_are_read_and_no_other(pond: Pond, tmp_path: Path) -> None:
    written = [pond.fill(tmp_path, HOUR + later, later + 1) for later in range(4)]
    pond.asked.clear()
    found = HourReader(pond.lake)([HOUR + 3, HOUR, HOUR + 9])
    assert found == {HOUR: to_load(written[0]), HOUR + 3: to_load(written[3])}
    assert dict(pond.asked) == {"ListObjectsV2": 1, "GetObject": 2}
    pond.asked.clear()
    assert HourReader(pond.lake)([]) == {}
    assert dict(pond.asked) == {}


@pytest.mark.slow
def test_what_lies_between_hours_far_apart_is_neither_listed_nor_counted(
    schema: Schema, tmp_path: Path
) -> None:
    hours = [HOUR - 24 * 365 * 3, HOUR, HOUR + 24 * 30]
    between = HOUR - 24 * 365
    for hour in (*hours, between):
        schema.pond.fill(tmp_path, hour, 2)
    history = ExportWindow(min(hours), max(hours))
    load_missing(schema.pond.lake, Opened(schema), history, run=RUN)
    schema.run(f"UPDATE events_raw SET source_row = 1 WHERE source_file LIKE '%date={between.day}%'")
    schema.pond.asked.clear()
    schema.forget()
    found = reconcile_hours(schema.pond.lake, Opened(schema), hours)
    assert found == Reconciliation(3, 6, 6, (), {})
    assert schema.pond.asked["ListObjectsV2"] == 2
    assert len(schema.said("UNION ALL")) == 2
    assert list(reconcile_hours(schema.pond.lake, Opened(schema), history).mismatches) == [between]


@pytest.mark.slow
def test_lines_that_may_be_bad_are_left_out_of_the_hours_that_were_named(
    schema: Schema, tmp_path: Path
) -> None:
    for later in range(2):
        schema.pond.commit(tmp_path, HOUR + later, b'{"uuid":"a"}\n{"uuid":\n')
    opened = Opened(schema)
    told = load_missing(schema.pond.lake, opened, WANTED, run=RUN, reject=[HOUR])
    assert (told.loaded, told.rejected, list(told.failures)) == ({HOUR: 1}, {HOUR: 1}, [HOUR + 1])
    again = load_missing(schema.pond.lake, opened, WANTED, run=RUN, reject=[HOUR])
    assert (again.loaded, again.rejected) == ({HOUR: 1}, {HOUR: 1})
    another = load_missing(schema.pond.lake, Opened(schema, "later"), WANTED, run="later", reject=[HOUR])
    assert (another.loaded, another.rejected) == ({}, {})
    assert reconcile_hours(schema.pond.lake, opened, [HOUR]) == Reconciliation(1, 2, 1, (), {}, 1)


@pytest.mark.slow
@pytest.mark.parametrize("statuses", [[GIVEN_UP], [RETRY], [DATA, GIVEN_UP]])
def test_hours_without_content_of_their_own_are_absent(pond: Pond, statuses: list[Status]) -> None:
    for turn, status in enumerate(statuses):
        parts = [part()] if status is DATA else []
        exported_at = (HOUR + 3 + turn).start
        pond.lake.put_manifest(manifest(*parts, exported_at=exported_at, status=status))
    assert HourReader(pond.lake)([HOUR]) == {}


@pytest.mark.slow
def test_errors_of_the_lake_come_through(pond: Pond, tmp_path: Path) -> None:
    written = pond.fill(tmp_path, HOUR, 1)
    look: Any = partial(HourReader(pond.lake), [HOUR])
    pond.s3.fail("error", method="GET", key="manifests/")
    with pytest.raises(LakeUnavailable):
        look()
    pond.put(written.name.key, b"{}")
    assert look() == {}


@pytest.mark.slow
def test_a_manifest_that_cannot_be_read_costs_its_hour_and_no_other(schema: Schema, tmp_path: Path) -> None:
    damaged, sound = schema.pond.fill(tmp_path, HOUR, 2), schema.pond.fill(tmp_path, HOUR + 1, 3)
    schema.pond.put(damaged.name.key, b"{}")
    receipt = load_missing(schema.pond.lake, Opened(schema), WANTED, run=RUN)
    assert receipt.loaded == {HOUR + 1: sound.events}
    assert list(receipt.failures) == [HOUR]
    assert "cannot be read" in receipt.failures[HOUR]


@pytest.mark.slow
def test_rows_that_are_gone_come_back_if_their_hour_is_suspected(schema: Schema, tmp_path: Path) -> None:
    for later in range(2):
        schema.pond.fill(tmp_path, HOUR + later, 3)
    load_missing(schema.pond.lake, Opened(schema), WANTED, run=RUN)
    schema.run("DELETE FROM events_raw WHERE source_row = 2")
    found = reconcile_hours(schema.pond.lake, Opened(schema), WANTED)
    assert list(found.mismatches) == [HOUR, HOUR + 1]
    unsuspecting = load_missing(schema.pond.lake, Opened(schema, "later"), WANTED, run="later")
    assert unsuspecting.loaded == {}
    mended = load_missing(
        schema.pond.lake, Opened(schema, "later"), WANTED, run="later", suspects=found.mismatches
    )
    assert mended.loaded == {HOUR: 3, HOUR + 1: 3}
    assert not reconcile_hours(schema.pond.lake, Opened(schema), WANTED).mismatches


@pytest.mark.slow
def test_what_an_earlier_try_of_the_same_run_has_loaded_is_in_its_receipt(
    schema: Schema, tmp_path: Path
) -> None:
    """The first try's answer is lost when its second batch, or the answer to its COMMIT, is."""
    schema.pond.fill(tmp_path, HOUR, 2)
    load_missing(schema.pond.lake, Opened(schema), WANTED, run=RUN)
    schema.pond.fill(tmp_path, HOUR + 1, 3)
    again = load_missing(schema.pond.lake, Opened(schema), WANTED, run=RUN)
    assert again.loaded == {HOUR: 2, HOUR + 1: 3}
    assert load_missing(schema.pond.lake, Opened(schema, "later"), WANTED, run="later").loaded == {}

"""What the lake says against what the table holds."""

from __future__ import annotations

import random
import re
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.hours import ExportHour
from core.warehouse.contents import (
    HourToLoad,
    LedgerEntry,
    LoadedHour,
    PartToLoad,
    RowCount,
    TableHour,
    batches,
    difference,
    is_due,
    member_of,
    read_contents,
    timestamp,
)
from tests.core.warehouse.examples import DIGEST, HOUR, OTHER, file, held, in_bucket, to_load

# What differs


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (to_load(3), held({file(0): (3, 3)})),
        (to_load(3, 4), held({file(0): (3, 3), file(1): (4, 4)})),
        (to_load(3, 0), held({file(0): (3, 3)})),
        (to_load(0), held({})),
        (to_load(), held({})),
        (to_load(), None),
        (to_load(3), held({file(0, crc32=7): (3, 3)})),
        (to_load(3), held({file(0, extension="json.gz"): (3, 3)})),
        (to_load(3), held({file(0): (2, 2)}, rejected={(DIGEST, file(0)): 1})),
        (to_load(3), held({}, rejected={(DIGEST, file(0)): 3})),
        (to_load(3), held({file(0): (3, 3)}, rejected={(OTHER, file(0)): 1})),
        (to_load(3), held({file(0): (3, 3)}, ledger=None)),
    ],
)
def test_rows_that_agree(wanted: HourToLoad, found: TableHour | None) -> None:
    assert difference(wanted, found) is None


@pytest.mark.parametrize(
    ("wanted", "found", "text"),
    [
        (to_load(3), None, "19_0 has 3 events in the lake and 0 rows"),
        (to_load(3), held({}), "19_0 has 3 events in the lake and 0 rows"),
        (to_load(3), held({file(0): (2, 2)}), "3 events in the lake and 2 rows"),
        (to_load(3), held({file(0): (4, 4)}), "3 events in the lake and 4 rows"),
        (to_load(3), held({file(0): (3, 2)}), r"3 rows \(2 different\)"),
        (to_load(3), held({file(0): (6, 3)}), r"6 rows \(3 different\)"),
        (to_load(3, 4), held({file(0): (4, 4), file(1): (3, 3)}), "19_0 has 3 events"),
        (to_load(3, 4), held({file(0): (7, 7)}), "19_0 has 3 events"),
        (to_load(3), held({file(0): (3, 3), file(1): (1, 1)}), "19_1 has 0 events in the lake and 1 rows"),
        (to_load(0), held({file(0): (1, 1)}), "19_0 has 0 events"),
        (to_load(), held({file(0): (1, 1)}), "19_0 has 0 events"),
        (to_load(3), held({file(0): (3, 3), file(0, crc32=7): (3, 3)}), "two exports"),
        (to_load(3), held({file(0): (2, 2)}, rejected={(OTHER, file(0)): 1}), "3 events"),
        (to_load(3), held({file(0): (3, 3)}, rejected={(DIGEST, file(0)): 1}), "2 events"),
        (to_load(3), held({file(0): (3, 3)}, rejected={(DIGEST, file(1)): 1}), "19_1"),
    ],
)
def test_rows_that_differ(wanted: HourToLoad, found: TableHour | None, text: str) -> None:
    differs = difference(wanted, found)
    assert differs is not None
    assert re.search(text, differs)


def test_the_same_lines_of_two_exports_of_a_member_are_not_different_lines() -> None:
    """Half of each of two exports is as many rows as one whole, and not the same events."""
    mixed = held({file(0): (2, 2), file(0, crc32=7): (2, 2)})
    assert difference(to_load(4), mixed) is not None


@given(st.lists(st.integers(0, 50), max_size=5), st.data())
def test_one_row_more_or_less_is_noticed_wherever_it_is(events: list[int], data: st.DataObject) -> None:
    wanted = to_load(*events)
    rows = {file(number): (count, count) for number, count in enumerate(events) if count}
    assert difference(wanted, held(rows)) is None
    number = data.draw(st.integers(0, len(events)))
    before = events[number] if number < len(events) else 0
    rows[file(number)] = (before + 1, before + data.draw(st.integers(0, 1)))
    assert difference(wanted, held(rows)) is not None


# What is due


@pytest.mark.parametrize("check_rows", [False, True])
@pytest.mark.parametrize(
    ("found", "due", "due_by_rows"),
    [
        (None, True, True),
        (held({file(0): (3, 3)}, ledger=None), True, True),
        (held({file(0): (3, 3)}, ledger=OTHER), True, True),
        (held({file(0): (3, 3)}), False, False),
        (held({file(0): (2, 2)}), False, True),
        (held({}), False, True),
        (held({file(0): (6, 3)}), False, True),
        (held({file(0): (2, 2)}, rejected={(DIGEST, file(0)): 1}), False, False),
    ],
)
def test_an_hour_is_due_by_its_digest_or_by_its_rows(
    found: TableHour | None, due: bool, due_by_rows: bool, check_rows: bool
) -> None:
    assert is_due(to_load(3), found, check_rows=check_rows) is (due_by_rows if check_rows else due)


def test_an_hour_without_parts_is_due_until_the_ledger_names_it() -> None:
    assert is_due(to_load(), None, check_rows=False)
    assert not is_due(to_load(), held({}), check_rows=True)


# What is loaded together


@st.composite
def many_hours(draw: st.DrawFn) -> list[HourToLoad]:
    sizes = draw(st.lists(st.one_of(st.integers(0, 30), st.integers(0, 2500)), max_size=300))
    hours = [HourToLoad(HOUR + place, HOUR.start, DIGEST, _parts(size)) for place, size in enumerate(sizes)]
    random.Random(draw(st.integers())).shuffle(hours)
    return hours


@cache
def _parts(size: int) -> tuple[PartToLoad, ...]:
    return tuple(PartToLoad(file(number), 1) for number in range(size))


@settings(max_examples=40)
@given(many_hours())
def test_every_hour_lies_in_one_batch_in_order(hours: list[HourToLoad]) -> None:
    flat = [hour.hour for batch in batches(hours) for hour in batch]
    assert flat == sorted(hour.hour for hour in hours)


@settings(max_examples=40)
@given(many_hours())
def test_a_batch_holds_at_most_a_thousand_files_and_a_week(hours: list[HourToLoad]) -> None:
    for batch in batches(hours):
        assert 1 <= len(batch) <= 168
        assert len(batch) == 1 or sum(len(hour.files) for hour in batch) <= 1000


@settings(max_examples=40)
@given(many_hours())
def test_batches_are_not_cut_smaller_than_they_must_be(hours: list[HourToLoad]) -> None:
    cut = list(batches(hours))
    for one, two in pairwise(cut):
        files = sum(len(hour.files) for hour in one) + len(two[0].files)
        assert len(one) == 168 or files > 1000


def test_parts_without_events_are_not_counted_as_files() -> None:
    hours = [to_load(*([0] * 600), 1, hour=HOUR + place) for place in range(100)]
    assert [len(batch) for batch in batches(hours)] == [100]
    assert to_load(1, 0, 2).files == [file(0), file(2)]


# What is read


@pytest.mark.parametrize(
    ("path", "member"),
    [
        (file(0), "100011471_2025-12-23_19_0"),
        (file(3, extension="json.gz"), "100011471_2025-12-23_19_3"),
        (in_bucket(file(0)), "100011471_2025-12-23_19_0"),
        ("a-b/c-d/" + file(0), "100011471_2025-12-23_19_0"),
    ],
)
def test_rows_are_counted_under_their_member_whatever_its_checksum(path: str, member: str) -> None:
    assert member_of(path) == member
    assert PartToLoad(path, 1).member == member


def row(kind: str, hour: ExportHour = HOUR, **values: Any) -> dict[str, Any]:
    empty = {"digest": None, "source_file": None, "row_count": None, "distinct_rows": None}
    return {"kind": kind, "export_hour": str(hour)} | empty | values


def test_ledger_rows_and_rejected_lines_are_read_by_hour() -> None:
    answer = [
        row("ledger", digest=DIGEST, row_count=7, distinct_rows=1),
        row("rows", source_file=in_bucket(file(0)), row_count=4, distinct_rows=3),
        row("rejected", digest=DIGEST, source_file=in_bucket(file(1)), row_count=1, distinct_rows=1),
        row("rows", HOUR + 1, source_file="x-1.json", row_count=2, distinct_rows=2),
        row("ledger", HOUR + 2, digest=OTHER, row_count=None),
    ]
    assert read_contents(answer) == {
        HOUR: TableHour(
            LedgerEntry(DIGEST, 7, 1),
            {in_bucket(file(0)): RowCount(4, 3)},
            {(DIGEST, in_bucket(file(1))): 1},
        ),
        HOUR + 1: TableHour(None, {"x-1.json": RowCount(2, 2)}, {}),
        HOUR + 2: TableHour(LedgerEntry(OTHER, 0, 0), {}, {}),
    }
    assert read_contents(answer)[HOUR].row_count == 4
    assert read_contents([]) == {}


def test_lines_refused_are_counted_of_one_export() -> None:
    rejected = {(DIGEST, file(0)): 2, (DIGEST, file(1)): 3, (OTHER, file(0)): 7}
    assert held({}, rejected=rejected).rejected_of(DIGEST) == 5
    assert held({}).rejected_of(DIGEST) == 0


def test_events_that_were_not_rejected_became_rows() -> None:
    assert LoadedHour(to_load(3, 4), 2).rows == 5
    assert LoadedHour(to_load(3, 4)).rows == 7


# What is asked together


def test_an_hour_is_spelled_as_the_tables_have_it() -> None:
    assert timestamp(HOUR) == "2025-12-23 19:00:00"


def test_what_an_hour_holds_is_added_up() -> None:
    assert to_load(3, 0, 4).events == 7
    assert to_load().events == 0


def test_a_transaction_of_exactly_a_thousand_files_is_one() -> None:
    hours = [to_load(*[1] * 500, hour=HOUR + later) for later in range(5)]
    assert [[one.hour for one in batch] for batch in batches(hours)] == [
        [HOUR, HOUR + 1], [HOUR + 2, HOUR + 3], [HOUR + 4]
    ]  # fmt: skip

"""Whose schema it is, and whether a transaction still holds it; over a session that is a table of answers."""

from __future__ import annotations

from typing import Any, cast

import pytest

from core.errors import WarehouseRefused, WarehouseUnavailable
from core.warehouse import statements
from core.warehouse.lock import SchemaLock, check_still_in, transaction_of
from core.warehouse.session import Answer, Session

OURS = SchemaLock("s3://lake/amplitude/", 100)


def session_with(*rows: dict[str, Any], statement: str = statements.READ_LOCK, locked: int = 1) -> Session:
    class Answers:
        def run(self, sql: str, *_values: object, attempt: str) -> Answer:
            assert attempt
            return Answer(list(rows), len(rows)) if sql == statement else Answer([], locked)

    return cast("Session", Answers())


def row(lake: str | None, app_id: int | None, generation: int = 7) -> dict[str, Any]:
    return {"generation": generation, "lake": lake, "app_id": app_id}


@pytest.mark.parametrize("held", [row(None, None), row(OURS.lake_url, OURS.app_id)])
def test_a_schema_that_is_ours_or_nobody_s_tells_its_generation(held: dict[str, Any]) -> None:
    assert OURS.check(session_with(held), "load") == 7
    assert OURS.take(session_with(held), "load") == 7


@pytest.mark.parametrize(
    "held", [row("s3://lake/other/", 100), row(OURS.lake_url, 101), row(OURS.lake_url, None), row(None, 100)]
)
def test_any_other_is_refused_with_both_names(held: dict[str, Any]) -> None:
    with pytest.raises(WarehouseRefused, match=r"Could not read the ledger: the schema serves") as refused:
        OURS.check(session_with(held), "read the ledger")
    assert f"not {OURS.lake_url} (app {OURS.app_id})" in str(refused.value)


def test_a_session_that_does_not_see_yet_whose_schema_it_is_goes_no_further() -> None:
    """The UPDATE has met the other lake's row, the SELECT is shown the one from before."""
    with pytest.raises(WarehouseUnavailable, match="Could not load: another lake has just taken the schema"):
        OURS.take(session_with(row(None, None), locked=0), "load")


@pytest.mark.parametrize("count", [0, 2])
def test_a_lock_that_is_not_one_row_was_not_provisioned(count: int) -> None:
    with pytest.raises(WarehouseRefused, match=f"load_lock has {count} rows instead of one"):
        OURS.check(session_with(*[row(None, None)] * count), "load")


def test_a_transaction_is_ours_as_long_as_its_id_is() -> None:
    inside = session_with({"id": "1700"}, statement=statements.READ_TRANSACTION)
    outside = session_with({"id": None}, statement=statements.READ_TRANSACTION)
    assert (transaction_of(inside), transaction_of(outside)) == ("1700", "")
    check_still_in(inside, "1700", "load")
    for session, begun in ((inside, "1699"), (outside, "1700"), (outside, "")):
        with pytest.raises(
            WarehouseUnavailable, match="Could not load: the transaction was ended from outside"
        ):
            check_still_in(session, begun, "load")

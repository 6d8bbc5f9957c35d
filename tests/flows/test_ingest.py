from __future__ import annotations

import contextlib
import re

import pytest

from core.errors import ExportRefused, InvalidInput, RunFailed, WarehouseRefused
from core.hours import ExportHour
from core.lake.layout import MANIFESTS
from emulators.amplitude import Fault
from flows.ingest import ingest
from tests.rehearsal import BUCKET, Rehearsal, hours_ago

pytestmark = pytest.mark.slow


def test_every_event_of_the_range_is_in_the_table_once(stage: Rehearsal) -> None:
    first, last = hours_ago(5), hours_ago(0)
    ingest(stage.name, start=first, end=last)
    assert stage.rows() == stage.truth(first, last)


def test_a_second_run_asks_amplitude_for_nothing_and_loads_nothing(stage: Rehearsal) -> None:
    first, last = hours_ago(5), hours_ago(0)
    ingest(stage.name, start=first, end=last)
    requests = len(stage.amplitude.requests)
    assert stage.snowflake is not None
    stage.snowflake.statements.clear()

    ingest(stage.name, start=first, end=last)

    assert len(stage.amplitude.requests) == requests
    assert verbs(stage) == ["SELECT", "SELECT"]  # whose schema it is; the ledger
    assert stage.rows() == stage.truth(first, last)


def verbs(stage: Rehearsal) -> list[str]:
    """The first word of each statement that Snowflake was sent, behind its comments."""
    assert stage.snowflake is not None
    return [re.sub(r"--[^\n]*\n", "", one.sql).split()[0].upper() for one in stage.snowflake.statements]


def test_a_first_run_copies(stage: Rehearsal) -> None:
    """So that the words of the test above are those that would be seen."""
    ingest(stage.name, start=hours_ago(0), end=hours_ago(0))
    assert {"BEGIN", "UPDATE", "DELETE", "COPY", "MERGE", "COMMIT"} <= set(verbs(stage))


def test_rows_that_differ_are_found_by_the_next_run_that_loads_and_are_loaded_again(stage: Rehearsal) -> None:
    first, last = hours_ago(5), hours_ago(0)
    ingest(stage.name, start=first, end=hours_ago(1))
    with contextlib.closing(stage.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM events_raw WHERE source_row = 2")

    ingest(stage.name, start=first, end=last)

    assert stage.rows() == stage.truth(first, last)


def test_the_same_project_in_another_lake_is_no_match_for_its_schema(stage: Rehearsal) -> None:
    first, last = hours_ago(1), hours_ago(0)
    ingest(stage.name, start=first, end=last)
    stage.register(BUCKET_PREFIX="elsewhere")
    with pytest.raises(WarehouseRefused, match="use another schema"):
        ingest(stage.name, start=first, end=last)


def test_a_later_run_fetches_just_the_hours_that_came_since(stage: Rehearsal) -> None:
    first, last = hours_ago(7), hours_ago(0)
    ingest(stage.name, start=first, end=hours_ago(2))
    stage.amplitude.requests.clear()

    ingest(stage.name, start=first, end=last)

    assert [str(request.window) for request in stage.amplitude.requests] == [
        f"{hours_ago(1)}…{window_end(hours_ago(1), last)}"
    ]
    assert stage.rows() == stage.truth(first, last)


def window_end(first: str, last: str) -> str:
    return last if first[:10] != last[:10] else last[10:]


def test_an_hour_removed_from_the_manifests_is_fetched_again_and_stays_single(stage: Rehearsal) -> None:
    first, last = hours_ago(4), hours_ago(0)
    ingest(stage.name, start=first, end=last)
    gone = ExportHour.parse(hours_ago(2))
    client = stage.s3.client()
    folder = f"amplitude/{MANIFESTS}date={gone.day}/hour={gone.hour_of_day}/"
    for found in client.list_objects_v2(Bucket=BUCKET, Prefix=folder)["Contents"]:
        client.delete_object(Bucket=BUCKET, Key=found["Key"])
    stage.amplitude.requests.clear()

    ingest(stage.name)

    assert str(gone) in {str(hour) for request in stage.amplitude.requests for hour in request.window or ()}
    held = [row for row in stage.rows() if first <= row[1] <= last]
    assert held == stage.truth(first, last)


def test_without_dates_a_run_goes_initial_days_back_on_an_empty_lake_and_then_only_forward(
    stage: Rehearsal,
) -> None:
    stage.register(tuning={"initial_days": 1, "lookback_hours": 12})
    ingest(stage.name)
    assert stage.rows() == stage.truth(hours_ago(23), hours_ago(0))
    stage.amplitude.requests.clear()

    ingest(stage.name)

    assert stage.amplitude.requests == []


def test_without_a_warehouse_a_run_ends_at_the_lake(lake_only: Rehearsal) -> None:
    first, last = hours_ago(3), hours_ago(0)
    ingest(lake_only.name, start=first, end=last)
    names = lake_only.lake.manifest_names(ExportHour.parse(first), ExportHour.parse(last))
    assert sum(name.events for name in names) == len(lake_only.truth(first, last))


def test_a_bad_hour_is_named_and_the_others_land(stage: Rehearsal) -> None:
    first, bad, last = hours_ago(3), hours_ago(2), hours_ago(0)
    stage.amplitude.faults.add(Fault("flipped-gzip", times=None, hours={ExportHour.parse(bad)}))

    with pytest.raises(RunFailed, match=bad) as caught:
        ingest(stage.name, start=first, end=last)

    assert "1 of 4 hours" in str(caught.value)
    good = [row for row in stage.truth(first, last) if row[1] != bad]
    assert stage.rows() == good


def test_a_passing_fault_is_not_noticed(stage: Rehearsal) -> None:
    first, last = hours_ago(3), hours_ago(0)
    for fault in (Fault("status", status=429, retry_after=0), Fault("cut"), Fault("html")):
        stage.amplitude.faults.add(fault)
    ingest(stage.name, start=first, end=last)
    assert [request.fault for request in stage.amplitude.requests] == ["429", "cut", "html", None]
    assert stage.rows() == stage.truth(first, last)


def test_wrong_keys_end_the_run_at_once_and_commit_nothing(stage: Rehearsal) -> None:
    stage.register(AMP_SECRET_KEY="wrong-secret-key")
    with pytest.raises(ExportRefused, match="403") as caught:
        ingest(stage.name, start=hours_ago(3), end=hours_ago(0))
    assert "wrong-secret-key" not in str(caught.value)
    assert len(stage.amplitude.requests) == 1
    assert stage.rows() == []


def test_an_unknown_pipeline_is_named_with_the_command_that_makes_it() -> None:
    with pytest.raises(InvalidInput, match=r"blocks\.register --name nobody"):
        ingest("nobody")

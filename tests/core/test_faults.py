"""The fault matrix: what can go wrong × what runs, each with the outcome it must have.

Everything runs on core over the emulators, without Prefect: three tries a task and the client's own
attempts in between, as in a flow. A fault that is shorter than these tries must end complete. One that
lasts may end failed, with the hours named and their neighbours in place; when it is over, the same run
again must complete. In the end lake, table and folder hold what Amplitude holds, event by event.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest

from core.errors import PipelineError
from core.hours import ExportHour, ExportWindow
from core.lake.verdict import verdicts_of
from emulators.amplitude import Fault
from emulators.amplitude.changes import Change
from emulators.snowflake.faults import Fault as SnowflakeFault
from tests.core.journeys import Journey, Travel
from tests.core.lake.examples import at

pytestmark = pytest.mark.slow

H0, H1, H2 = (ExportHour.parse(f"2025-12-20T{hour}") for hour in (10, 11, 12))
EARLY = at("2025-12-20T20:00")  # all three are complete, and none has rested long enough
BETWEEN = at("2025-12-21T12:00")
LATE = at("2025-12-21T14:00")  # all three have rested
ALWAYS = None
MANY = 1_000

Arrange = Callable[[Journey], None]


@dataclass(frozen=True)
class Fails:
    """How a run ends that meets a fault which lasts.

    Attributes:
        hours: Which it names; None if it was ended by something that no hour is to blame for.
        saying: What its message must hold.
    """

    hours: Collection[ExportHour] | None
    saying: str


ALL = (H0, H1, H2)
COMPLETE = None


@dataclass(frozen=True)
class Row:
    """One fault, and how each run that meets it must end; "" where it cannot meet it.

    Attributes:
        now: The time of the run; of a gap-fill it is ``later``, and one hour was ingested before.
        arrange: Called right before the run.
        mend: Called after a failed run, besides healing every fault.
        again: What completes it afterwards, if not the same run.
    """

    name: str
    arrange: Arrange
    ingest: Fails | str | None = COMPLETE
    gap_fill: Fails | str | None = COMPLETE
    extract: Fails | str | None = COMPLETE
    source: dict[str, Any] = field(default_factory=dict)
    server: dict[str, Any] = field(default_factory=dict)
    now: datetime = EARLY
    later: datetime = LATE
    mend: Arrange = lambda _: None
    again: Arrange | None = None


def amplitude(kind: Any, times: int | None = 1, **settings: Any) -> Arrange:
    return lambda journey: journey.amplitude.faults.add(Fault(kind, times=times, **settings))


def s3(kind: Any, key: str = "", method: str = "PUT", times: int = 2) -> Arrange:
    return lambda journey: journey.pond.s3.fail(kind, key=key, method=method, times=times)


def snowflake(pattern: str, fault: Any = "error", times: int = 1, **settings: Any) -> Arrange:
    return lambda journey: journey.schema.emulator.faults.add(
        SnowflakeFault(pattern, fault, times=times, **settings)
    )


def sql(*statements: str) -> Arrange:
    return lambda journey: journey.schema.run(*statements)


def nothing(journey: Journey) -> None:
    pass


def in_the_lake_only(then: Callable[[Journey, str], None]) -> Arrange:
    """Let all hours be in the lake and none in the table, then do something to the first part of one."""

    def arrange(journey: Journey) -> None:
        journey.with_warehouse = False
        journey.ingest(H0, H2)
        journey.with_warehouse = True
        verdict = verdicts_of(journey.pond.lake.manifest_names(H1, H1))[H1]
        assert verdict.content is not None
        then(journey, journey.pond.lake.read_manifest(verdict.content).parts[0].key)

    return arrange


def loaded(then: Arrange) -> Arrange:
    """Let all hours be in the table, then do something."""

    def arrange(journey: Journey) -> None:
        journey.ingest(H0, H2)
        then(journey)

    return arrange


def verified(journey: Journey) -> None:
    journey.gap_fill(H0, H2, verify=True)


def named(hour: ExportHour, saying: str) -> Fails:
    return Fails([hour], saying)


def every_hour(saying: str) -> Fails:
    return Fails(ALL, saying)


def stops(saying: str) -> Fails:
    return Fails(None, saying)


def same(outcome: Fails) -> dict[str, Any]:
    """All three end like this."""
    return {"ingest": outcome, "gap_fill": outcome, "extract": outcome}


def lake_and_table(outcome: Fails | str | None = COMPLETE) -> dict[str, Any]:
    """Ingest and gap-fill end like this; extract has no lake."""
    return {"ingest": outcome, "gap_fill": outcome, "extract": ""}


def at_h1(kind: Any, saying: str, **settings: Any) -> Row:
    """A fault of one hour that never heals."""
    name = f"{settings.get('status', kind)}, for one hour, lasting"
    return Row(name, amplitude(kind, ALWAYS, hours={H1}, **settings), **same(named(H1, saying)))


def late_change(**change: Any) -> dict[str, Any]:
    return {"changes": [Change(hours={H0}, after=BETWEEN, **change)]}


BUSY = {"retry_after": 0}

AMPLITUDE = [
    Row("nothing goes wrong", nothing),
    Row("zip cut short, Content-Length agrees", amplitude("truncated", 2)),
    Row(
        "zip cut short, Content-Length agrees, lasting",
        amplitude("truncated", ALWAYS),
        **same(every_hour("zip")),
    ),
    Row("zip cut short, Content-Length does not agree", amplitude("cut", 2)),
    Row("connection reset", amplitude("reset", 2)),
    Row("connection reset, lasting", amplitude("reset", ALWAYS), **same(every_hour("connection"))),
    Row("one member cut", amplitude("truncated-gzip", hours={H1})),
    at_h1("truncated-gzip", "ends in the middle of its gzip stream"),
    Row("bit flipped in a member's gzip", amplitude("flipped-gzip", hours={H1})),
    at_h1("flipped-gzip", "is not sound gzip"),
    Row("bit flipped in the zip", amplitude("flipped-zip", hours={H1})),
    at_h1("flipped-zip", "did not arrive whole"),
    Row("200 that is not a zip", amplitude("html", 2)),
    Row(
        "200 that is not a zip, lasting", amplitude("html", ALWAYS), **same(every_hour("not a complete zip"))
    ),
    Row("empty 200", amplitude("empty", 2)),
    Row("429 with Retry-After", amplitude("status", 2, status=429, retry_after=7)),
    Row("429 without Retry-After", amplitude("status", 2, status=429)),
    Row("429, lasting", amplitude("status", ALWAYS, status=429), **same(every_hour("answered 429"))),
    Row("500", amplitude("status", 2, status=500)),
    at_h1("status", "answered 500", status=500),
    Row("500, lasting", amplitude("status", ALWAYS, status=500), **same(every_hour("answered 500"))),
    Row("504", amplitude("status", 2, status=504)),
    Row("504 for more than one hour", nothing, server={"timeout_hours": 1}),
    at_h1("status", "answered 504", status=504),
    Row("400 over size for more than one hour", nothing, server={"size_limit_bytes": 25 * 170}),
    at_h1("status", "take it from Amplitude's own export to S3", status=400),
    Row("403", amplitude("status", ALWAYS, status=403), **same(stops("does not know this API key"))),
    Row("a redirect", amplitude("redirect", ALWAYS), **same(stops("Redirects are not followed"))),
    Row("404 for hours that have data", amplitude("status", 1, status=404)),
    Row("404 for a quiet hour", nothing, source={"quiet_hours": {H1}}),
    Row(
        "404 for an hour that is not yet published",
        nothing,
        ingest=named(H2, "is not published yet"),
        gap_fill=named(H2, "is not published yet"),
        now=at("2025-12-20T15:10"),
        later=at("2025-12-20T15:20"),
        source={"quiet_hours": {H2}, "changes": [Change(hours={H2}, add=20, after=at("2025-12-20T16:00"))]},
        mend=lambda journey: setattr(journey, "now", at("2025-12-20T18:30")),
    ),
    Row("order changed between answers", nothing, source={"shuffle": True}),
    Row("late data between answers", nothing, source=late_change(add=7)),
    Row(
        "fewer events when an hour is settled",
        nothing,
        gap_fill=named(H0, "held 20 events and, exported again at 2025-12-21T14:00Z, 15"),
        source=late_change(drop=5),
        again=lambda journey: journey.gap_fill(H0, H2, accept_smaller=True),
    ),
    Row(
        "404 when an hour with data is settled",
        nothing,
        gap_fill=named(H0, "exported again at 2025-12-21T14:00Z, 0"),
        source=late_change(gone=True),
        again=lambda journey: journey.gap_fill(H0, H2, accept_smaller=True),
    ),
    Row("a stranger in the archive", amplitude("stranger", hours={H1})),
    at_h1("stranger", "The archive holds a stranger"),
    at_h1("second-app", "second project"),
    at_h1("duplicate", "is in the archive twice"),
    at_h1("outside", "lies outside"),
    at_h1("bomb", "times its size", megabytes=8),
]

S3 = [
    Row("500 for parts", s3("error", "events/"), **lake_and_table()),
    Row("500 for manifests", s3("error", "manifests/"), **lake_and_table()),
    Row(
        "500 for one hour's parts, lasting",
        s3("error", "events/.*hour=11/", times=MANY),
        **lake_and_table(named(H1, "answered 500 InternalError")),
    ),
    Row("500 for lists", s3("error", method="GET"), **lake_and_table()),
    Row(
        "500 for lists, lasting",
        s3("error", "^$", method="GET", times=MANY),
        **lake_and_table(stops("answered 500")),
    ),
    Row("503 SlowDown for parts", s3("slow-down", "events/"), **lake_and_table()),
    Row("503 SlowDown for everything that is written", s3("slow-down"), **lake_and_table()),
    Row(
        "503 SlowDown for manifests, lasting",
        s3("slow-down", "manifests/", times=MANY),
        **lake_and_table(every_hour("SlowDown")),
    ),
    Row("connection reset under parts", s3("reset", "events/"), **lake_and_table()),
    Row("connection reset under manifests", s3("reset", "manifests/"), **lake_and_table()),
    Row("answer lost after a part was stored", s3("lost-answer", "events/"), **lake_and_table()),
    Row("answer lost after a manifest was stored", s3("lost-answer", "manifests/"), **lake_and_table()),
    Row("answer lost after lake.json was stored", s3("lost-answer", "lake.json"), **lake_and_table()),
    Row(
        "answer lost after the wanted hour was stored",
        s3("lost-answer", "wanted/", times=1),
        **lake_and_table(),
    ),
    Row("a conflicting conditional write", s3("conflict", "manifests/"), **lake_and_table()),
    Row(
        "AccessDenied for parts",
        s3("denied", "events/", times=MANY),
        **lake_and_table(stops("403 AccessDenied")),
    ),
    Row(
        "AccessDenied for one manifest",
        s3("denied", "manifests/.*hour=11/", times=MANY),
        **lake_and_table(stops("403 AccessDenied")),
    ),
    Row("a body damaged on its way, refused by its checksum", s3("corrupted", "events/"), **lake_and_table()),
    Row(
        "bodies damaged on their way, lasting",
        s3("corrupted", "events/.*hour=11/", times=MANY),
        **lake_and_table(named(H1, "BadDigest")),
    ),
    Row(
        "an object of the lake deleted before it was loaded",
        in_the_lake_only(lambda journey, key: journey.pond.remove(key)),
        ingest=named(H1, "was not found"),
        extract="",
        again=verified,
    ),
    Row(
        "an object of the lake overwritten before it was loaded",
        in_the_lake_only(lambda journey, key: journey.pond.put(key, b'{"uuid":"other"}\n')),
        ingest=named(H1, "Nothing of it was loaded"),
        extract="",
        again=verified,
    ),
]

SNOWFLAKE = [
    Row("internal error in COPY", snowflake("COPY INTO", times=2), **lake_and_table()),
    Row(
        "internal error in COPY, lasting",
        snowflake("COPY INTO", times=MANY),
        **lake_and_table(stops("internal error")),
    ),
    Row(
        "COPY refuses a file",
        snowflake("COPY INTO", errno=100069, message="Error parsing JSON"),
        **lake_and_table(),
    ),
    Row(
        "COPY refuses every file, lasting",
        snowflake("COPY INTO", errno=100069, message="Error parsing JSON", times=MANY),
        ingest=every_hour("Error parsing JSON"),
        gap_fill=Fails((H1, H2), "Error parsing JSON"),
        extract="",
    ),
    Row("row count differs from the manifest", snowflake("COPY INTO", "miscount"), **lake_and_table()),
    Row(
        "row count differs from the manifest, lasting",
        snowflake("COPY INTO", "miscount", times=MANY),
        ingest=every_hour("Nothing of it was loaded"),
        gap_fill=Fails((H1, H2), "Nothing of it was loaded"),
        extract="",
    ),
    Row("session killed before COPY", snowflake("COPY INTO", "kill_session"), **lake_and_table()),
    Row(
        "session killed before the ledger is written",
        snowflake("MERGE INTO", "kill_session"),
        **lake_and_table(),
    ),
    Row("session killed before COMMIT", snowflake("^COMMIT", "kill_session", times=2), **lake_and_table()),
    Row("COMMIT carried out, its answer lost", snowflake("^COMMIT", "lose_answer"), **lake_and_table()),
    Row("COMMIT lost on its way", snowflake("^COMMIT", "lose_request"), **lake_and_table()),
    Row("answer to COPY lost", snowflake("COPY INTO", "lose_answer"), **lake_and_table()),
    Row(
        "lock timeout",
        snowflake("UPDATE load_lock", errno=604, message="Lock wait timed out", times=2),
        **lake_and_table(),
    ),
    Row(
        "lock timeout, lasting",
        snowflake("UPDATE load_lock", errno=604, message="Lock wait timed out", times=MANY),
        **lake_and_table(stops("Another loader holds the lock")),
    ),
    Row("too many waiters", snowflake("UPDATE load_lock", "too_many_waiters", times=2), **lake_and_table()),
    Row(
        "another project's lake on the schema",
        sql("UPDATE load_lock SET lake = 's3://other/', app_id = 7"),
        **lake_and_table(stops("use another schema")),
        mend=sql("UPDATE load_lock SET lake = NULL, app_id = NULL"),
    ),
    Row(
        "two rows in the lock",
        sql("INSERT INTO load_lock VALUES (0, NULL, NULL)"),
        **lake_and_table(stops("load_lock has 2 rows")),
        mend=sql("DELETE FROM load_lock", "INSERT INTO load_lock VALUES (0, NULL, NULL)"),
    ),
    Row("a truncated table", loaded(sql("DELETE FROM events_raw")), ingest="", extract=""),
    Row(
        "half of an hour deleted from the table",
        loaded(sql("DELETE FROM events_raw WHERE source_row > 5")),
        ingest="",
        extract="",
    ),
    Row(
        "an hour loaded twice by hand",
        loaded(sql("INSERT INTO events_raw SELECT * FROM events_raw")),
        ingest="",
        extract="",
    ),
    Row("a lost ledger", loaded(sql("DELETE FROM load_ledger")), extract=""),
    Row(
        "a ledger without its marker row",
        loaded(sql("DELETE FROM load_ledger WHERE export_hour IS NULL")),
        extract="",
    ),
]

CASES = [
    pytest.param(row, flow, id=f"{service}: {row.name} × {flow}")
    for service, rows in (("Amplitude", AMPLITUDE), ("S3", S3), ("Snowflake", SNOWFLAKE))
    for row in rows
    for flow in ("ingest", "gap_fill", "extract")
    if getattr(row, flow) != ""
]


@pytest.mark.parametrize(("row", "flow"), CASES)
def test_a_fault_ends_complete_or_loud_and_nothing_is_lost_or_doubled(
    row: Row, flow: str, travel: Travel
) -> None:
    journey = travel(row.now, source=row.source, server=row.server)
    if flow == "gap_fill":
        journey.ingest(H0, H0)
        journey.now = row.later
    row.arrange(journey)

    def run() -> None:
        getattr(journey, flow)(H0, H2)

    expected = getattr(row, flow)
    if expected is COMPLETE:
        run()
        check(journey, flow, ALL)
    else:
        with pytest.raises(PipelineError, match=re.escape(expected.saying)) as failed:
            run()
        if expected.hours is not None:
            assert hours_named(failed.value) == set(expected.hours)
            check(journey, flow, [hour for hour in ALL if hour not in expected.hours])
        journey.amplitude.faults.clear()
        journey.pond.s3.heal()
        journey.schema.emulator.faults.clear()
        row.mend(journey)
        if row.again and flow != "extract":
            row.again(journey)
        else:
            run()
        check(journey, flow, ALL)


def check(journey: Journey, flow: str, hours: Collection[ExportHour]) -> None:
    """Compare some hours with what Amplitude holds, event by event."""
    for hour in hours:
        truth = journey.truth(hour, hour)
        if flow == "extract":
            assert [row for row in journey.files() if row[1] == str(hour)] == truth
        else:
            assert journey.lake(hour, hour) == truth
            assert [row for row in journey.table() if row[1] == str(hour)] == truth


def hours_named(error: PipelineError) -> set[ExportHour]:
    """The hours that a failed run gives a reason for."""
    return {
        hour
        for text in re.findall(r"^  (\S+): ", str(error), re.MULTILINE)
        for hour in ExportWindow.parse(text)
    }

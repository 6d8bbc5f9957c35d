"""What gap-fill is for, from Amplitude to the table, on core over the emulators."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from core.errors import ExportRefused, InvalidInput, PipelineError, RunFailed
from core.gap_survey import survey_gaps
from core.gap_wishes import GapWishes
from core.gaps import Why
from core.hours import ExportHour, ExportWindow
from core.planning import PlanRules
from emulators.amplitude import EventSource, Fault
from emulators.amplitude.changes import Change
from tests.core.journeys import Journey, Row, Travel
from tests.core.lake.examples import APP, at

pytestmark = pytest.mark.slow

H0, H1, H2 = (ExportHour.parse(f"2025-12-20T{hour}") for hour in (10, 11, 12))
EARLY = at("2025-12-20T20:00")
LATE = at("2025-12-21T14:00")


def assert_whole(journey: Journey, first: ExportHour = H0, last: ExportHour = H2) -> None:
    truth = journey.truth(first, last)
    assert journey.lake(first, last) == truth
    assert journey.table() == truth


def asked(journey: Journey) -> list[str]:
    """The windows that Amplitude was asked for since the last look."""
    windows = [str(request.window) for request in journey.amplitude.requests]
    journey.amplitude.requests.clear()
    return windows


def test_without_a_range_everything_is_filled_that_was_ever_wanted(travel: Travel) -> None:
    journey = travel(EARLY)
    journey.amplitude.faults.add(Fault("flipped-gzip", times=None, hours={H0}))
    with pytest.raises(RunFailed, match="2025-12-20T10"):
        journey.ingest(H0, H2)
    journey.amplitude.faults.clear()
    asked(journey)

    journey.now = at("2025-12-20T16:00")  # only these three are complete
    journey.gap_fill(None, H2)

    assert asked(journey) == ["2025-12-20T10"]
    assert_whole(journey)


def test_what_a_run_left_open_that_ended_early_is_in_the_range_of_the_next(travel: Travel) -> None:
    """Windows land oldest first."""
    first, last = H0 - 23, H0
    journey = travel(H0.complete_at, rules=PlanRules(window_hours=2, lookback_hours=0))
    journey.amplitude.faults.add(Fault("status", status=403, skip=2, times=None))
    with pytest.raises(ExportRefused):  # ends after two of twelve windows
        journey.ingest(first)
    journey.amplitude.faults.clear()

    journey.ingest()

    assert_whole(journey, first, last)


def test_an_hour_is_settled_once_and_then_never_asked_for_again(travel: Travel) -> None:
    journey = travel(EARLY, source={"changes": [Change(hours={H1}, add=5, after=LATE)]})
    journey.ingest(H0, H2)
    journey.gap_fill(H0, H2)
    assert asked(journey) == ["2025-12-20T10…T12"]

    journey.now = LATE
    journey.gap_fill(H0, H2, settle=False)
    assert asked(journey) == []
    journey.gap_fill(H0, H2)
    assert asked(journey) == ["2025-12-20T10…T12"]
    assert_whole(journey)

    journey.now += timedelta(days=3)
    journey.gap_fill(H0, H2)
    assert asked(journey) == []
    assert_whole(journey)


def test_the_same_content_is_settled_without_an_upload_or_a_load(travel: Travel) -> None:
    journey = travel(EARLY)
    journey.ingest(H0, H2)
    parts = [key for key in journey.pond.contents() if key.startswith("events/")]
    journey.schema.forget()

    journey.now = LATE
    journey.gap_fill(H0, H2)

    assert [key for key in journey.pond.contents() if key.startswith("events/")] == parts
    assert journey.schema.said("COPY INTO") == []


@pytest.mark.parametrize(
    "fault",
    [
        Fault("status", status=400, times=None, hours={H1}),
        Fault("flipped-gzip", times=None, hours={H1}),
    ],
    ids=["over 4 GB", "corrupt at the source"],
)
def test_an_hour_that_cannot_be_had_is_given_up_and_stops_failing_until_a_retry(
    travel: Travel, fault: Fault
) -> None:
    journey = travel(EARLY)
    journey.amplitude.faults.add(fault)
    for _ in range(2):
        with pytest.raises(RunFailed, match="2025-12-20T11"):
            journey.gap_fill(H0, H2)
    asked(journey)

    journey.gap_fill(give_up=(H1,), reason="over 4 GB", first=H0, last=H2)
    journey.gap_fill(H0, H2)
    journey.ingest(H0, H2)
    assert asked(journey) == []
    assert journey.reports[-2].warnings() == [
        "1 hour given up, and not asked for: 2025-12-20T11",
        "  2025-12-20T11: over 4 GB",
    ]

    journey.amplitude.faults.clear()
    journey.now += timedelta(minutes=1)
    journey.gap_fill(retry=(H1,), first=H1, last=H1)
    assert asked(journey) == ["2025-12-20T11"]
    assert_whole(journey)


def test_an_hour_can_only_be_given_up_in_a_lake_that_an_archive_has_opened(travel: Travel) -> None:
    journey = travel(EARLY)
    with pytest.raises(PipelineError, match="no archive has yet said whose lake"):
        journey.gap_fill(give_up=(H1,), reason="over 4 GB", first=H0, last=H2)


def test_a_shrunk_hour_fails_every_gap_fill_and_no_ingest_until_somebody_accepts_it(travel: Travel) -> None:
    journey = travel(EARLY, source={"changes": [Change(hours={H1}, drop=5, after=LATE)]})
    journey.ingest(H0, H2)
    before = journey.table()
    journey.now = LATE
    asked(journey)
    for turn in range(5):
        with pytest.raises(RunFailed, match="gap_fill --accept-smaller --start 2025-12-20T11"):
            journey.gap_fill(H0, H2)
        journey.now += timedelta(hours=1)
        assert asked(journey) == [["2025-12-20T10…T12"], ["2025-12-20T11"], ["2025-12-20T11"], [], []][turn]
    journey.ingest(H0, H2)
    assert journey.table() == before

    journey.gap_fill(H0, H2, accept_smaller=True)
    assert_whole(journey)
    told = "2025-12-20T11: held 20 events and, exported again at 2025-12-21T16:00Z, 15; accepted"
    assert journey.reports[-1].warnings() == [told]
    journey.gap_fill(H0, H2)
    assert asked(journey) == []
    assert_whole(journey)


def test_what_a_run_accepts_is_what_was_seen_before_it_and_nothing_that_it_brings_itself(
    travel: Travel,
) -> None:
    """One false answer amid an accepting run would empty the hours that it was about to settle."""
    journey = travel(EARLY, source={"changes": [Change(hours={H1}, drop=5, after=LATE)]})
    journey.ingest(H0, H2)
    before = journey.table()
    journey.now = LATE
    journey.gap_fill(H0, H0)
    with pytest.raises(RunFailed, match="2025-12-20T11: held 20"):
        journey.gap_fill(H1, H1)
    nothing = Fault("status", status=404, text="Raw data files were not found.", times=None)
    journey.amplitude.faults.add(nothing)

    with pytest.raises(RunFailed, match=r"1 of 3 hours failed:\n  2025-12-20T12: held 20 events and.*, 0"):
        journey.gap_fill(H0, H2, accept_smaller=True)

    assert [row for row in journey.table() if row[1] == str(H1)] == journey.truth(H1, H1)
    assert [row for row in journey.table() if row[1] != str(H1)] == [
        row for row in before if row[1] != str(H1)
    ]


@pytest.mark.parametrize("flow", ["ingest", "gap_fill", "extract"])
def test_one_answer_that_there_is_no_data_is_not_believed(travel: Travel, flow: str) -> None:
    """Of an hour so old that nobody would ever ask again."""
    journey = travel(LATE)
    journey.amplitude.faults.add(Fault("status", status=404, text="Raw data files were not found."))
    getattr(journey, flow)(H0, H2)
    found = journey.files() if flow == "extract" else journey.table()
    assert found == journey.truth(H0, H2)


@pytest.mark.parametrize("interrupted", [False, True])
def test_rows_of_an_overwritten_object_are_loaded_again_though_they_are_as_many(
    travel: Travel, interrupted: bool
) -> None:
    """Also if the run that brought the object back could not load, and the next one sees a sound lake."""
    journey = travel(LATE)
    journey.with_warehouse = False
    journey.gap_fill(H0, H2)
    journey.with_warehouse = True
    key = next(key for key in journey.pond.contents() if key.startswith("events/"))
    lines = journey.pond.get(key).splitlines()
    journey.pond.put(key, b"".join(b'{"uuid":"of nobody %d"}\n' % number for number in range(len(lines))))
    journey.ingest(H0, H2)
    assert "of nobody 0" in {uuid for uuid, _, _ in journey.table()}

    journey.now += timedelta(minutes=1)
    journey.with_warehouse = not interrupted
    journey.gap_fill(H0, H2)
    journey.with_warehouse = True
    journey.gap_fill(H0, H2)

    assert_whole(journey)
    journey.schema.forget()
    journey.gap_fill(H0, H2)
    assert journey.schema.said("COPY INTO") == []


def test_a_manifest_that_cannot_be_read_is_a_failure_wherever_it_is_needed_until_it_is_mended(
    travel: Travel,
) -> None:
    journey = travel(LATE, rules=PlanRules(verify_days=0))
    journey.ingest(H0, H1)
    damaged = journey.pond.lake.manifest_names(H1, H1)[0]
    journey.pond.put(damaged.key, b"not a manifest")
    with pytest.raises(RunFailed, match=r"2025-12-20T11: .*cannot be read.*--verify"):
        journey.ingest(H0, H2)  # loads the third hour, and counts all
    journey.schema.run("DELETE FROM load_ledger WHERE export_hour = '2025-12-20 11:00:00'")
    with pytest.raises(RunFailed, match=r"2025-12-20T11: .*cannot be read.*--verify"):
        journey.gap_fill(H0, H2)
    journey.now += timedelta(minutes=1)
    journey.gap_fill(H0, H2, verify=True)
    assert_whole(journey)


def test_one_hour_that_is_too_large_does_not_cut_the_others_into_single_hours(travel: Travel) -> None:
    journey = travel(LATE, source={"first_hour": H0 - 95}, rules=PlanRules(window_hours=24))
    journey.amplitude.faults.add(Fault("status", status=400, times=None, hours={H0 - 90}))
    with pytest.raises(RunFailed, match="1 of 96 hours failed"):
        journey.gap_fill(H0 - 95, H0)
    assert len(journey.amplitude.requests) < 4 + 2 * 6  # four windows, and one of them halved down to an hour


def test_giving_up_one_hour_touches_no_other(travel: Travel) -> None:
    journey = travel(LATE)
    journey.gap_fill(H0, H0)
    asked(journey)
    old = ExportHour.parse("2024-12-20T10")
    journey.gap_fill(old, old, give_up=(old,), reason="mistyped", only_named=True)
    assert asked(journey) == []
    assert journey.pond.lake.wanted_from() == H0


def test_later_events_bring_a_shrunk_hour_back_by_itself(travel: Travel) -> None:
    changes = [
        Change(hours={H1}, drop=5, after=LATE),
        Change(hours={H1}, add=5, after=LATE + timedelta(hours=1)),
    ]
    journey = travel(EARLY, source={"changes": changes})
    journey.ingest(H0, H2)
    journey.now = LATE
    with pytest.raises(RunFailed, match="2025-12-20T11"):
        journey.gap_fill(H0, H2)

    journey.now += timedelta(hours=2)
    journey.gap_fill(H0, H2)

    assert_whole(journey)


@pytest.mark.parametrize("verify", [False, True])
def test_damage_in_the_lake_is_mended_in_the_last_days_and_further_back_on_request(
    travel: Travel, verify: bool
) -> None:
    rules = PlanRules(verify_days=7)
    journey = travel(LATE, rules=rules)
    journey.gap_fill(H0, H2)
    gone, other = [key for key in journey.pond.contents() if key.startswith("events/")][1:3]
    journey.pond.remove(gone)
    journey.pond.put(other, b'{"uuid":"of nobody"}\n')
    journey.now += timedelta(days=30 if verify else 1)

    journey.gap_fill(H0, H2, verify=verify)

    assert journey.reports[-1].restored == [H0, H1]
    assert_whole(journey)


def test_a_compressed_lake_is_settled_damaged_mended_and_its_bad_lines_rejected_like_a_plain_one(
    travel: Travel,
) -> None:
    spoiled = Spoiled(app_id=APP, events_per_hour=20, constant=True)
    journey = travel(EARLY, source=spoiled, compression="gzip")
    with pytest.raises(RunFailed, match="--reject-bad-lines"):
        journey.ingest(H0, H2)
    keys = [key for key in journey.pond.contents() if key.startswith("events/")]
    assert all(key.endswith(".json.gz") for key in keys)
    journey.pond.remove(keys[0])
    journey.pond.put(keys[-1], journey.pond.get(keys[-1])[:-9])
    journey.now = LATE

    journey.gap_fill(H0, H2, reject=(H1,))

    assert journey.reports[-1].restored == [H0, H2]
    assert journey.table() == good(spoiled, [H0, H1, H2])


def test_what_lies_further_back_is_not_looked_at_unless_asked_for(travel: Travel) -> None:
    journey = travel(LATE)
    journey.gap_fill(H0, H2)
    journey.pond.remove(next(key for key in journey.pond.contents() if key.startswith("events/")))
    journey.now += timedelta(days=30)
    journey.pond.asked.clear()
    journey.gap_fill(H0, H2)
    assert journey.pond.asked["HeadObject"] == 0
    assert journey.reports[-1].plan.damaged == {}


def test_damage_that_cannot_be_mended_fails_the_run_and_names_the_object(travel: Travel) -> None:
    journey = travel(LATE)
    journey.gap_fill(H0, H2)
    journey.pond.remove(next(key for key in journey.pond.contents() if key.startswith("events/")))
    journey.amplitude.faults.add(Fault("status", status=404, times=None))
    journey.now += timedelta(hours=1)
    with pytest.raises(RunFailed, match="is missing, and could not be brought back; held 20 events"):
        journey.gap_fill(H0, H2)
    journey.amplitude.faults.clear()
    journey.amplitude.faults.add(Fault("status", status=500, times=None))
    with pytest.raises(RunFailed, match=r"could not be brought back; .*answered 500.*; held 20 events"):
        journey.gap_fill(H0, H2)


class Spoiled(EventSource):
    """One line of one hour is no JSON."""

    def lines(self, hour: ExportHour, *, at: datetime | None = None, request: int = 1) -> list[bytes]:
        lines = EventSource.lines(self, hour, at=at, request=request)
        return [*lines[:3], b'{"uuid": "half', *lines[3:]] if hour == H1 else lines

    def count(self, hour: ExportHour, *, at: datetime | None = None, request: int = 1) -> int:
        return EventSource.count(self, hour, at=at, request=request) + (hour == H1)


def good(source: EventSource, hours: Sequence[ExportHour]) -> list[Row]:
    """What of a spoiled source can be loaded."""
    return sorted(
        (one.uuid, one.export_hour, one.sha256)
        for hour in hours
        for one in EventSource(app_id=APP, events_per_hour=20, constant=True).truth(hour)
    )


def test_a_line_that_snowflake_refuses_costs_its_hour_until_it_is_rejected(travel: Travel) -> None:
    journey = travel(EARLY, source=Spoiled(app_id=APP, events_per_hour=20, constant=True))
    with pytest.raises(RunFailed, match="gap_fill --reject-bad-lines 2025-12-20T11"):
        journey.ingest(H0, H2)
    assert journey.table() == good(journey.amplitude.source, [H0, H2])

    journey.gap_fill(H1, H1, reject=(H1,))

    assert journey.table() == good(journey.amplitude.source, [H0, H1, H2])
    report = journey.reports[-1]
    assert report.warnings() == ["2025-12-20T11: 1 line refused by Snowflake, kept in events_rejected"]
    assert (report.reconciliation.receipt.lake_events, report.reconciliation.receipt.table_rows) == (21, 20)
    assert report.reconciliation.receipt.rejected_lines == 1
    assert [line for (line,) in journey.schema.ask("SELECT line FROM events_rejected")] == ['{"uuid": "half']

    journey.schema.run("DELETE FROM events_raw")
    journey.gap_fill(H0, H2)
    assert journey.table() == good(journey.amplitude.source, [H0, H1, H2])


def test_an_hour_with_a_refused_line_can_be_given_up_and_the_warehouse_leaves_it(travel: Travel) -> None:
    journey = travel(EARLY, source=Spoiled(app_id=APP, events_per_hour=20, constant=True))
    with pytest.raises(RunFailed):
        journey.ingest(H0, H2)

    journey.gap_fill(give_up=(H1,), reason="a broken line", first=H0, last=H2)
    journey.ingest(H0, H2)

    assert journey.table() == good(journey.amplitude.source, [H0, H2])
    assert (
        "a broken line (the lake keeps its 21 events, the table stays as it is; --retry ends that)"
        in journey.reports[-2].warnings()[-1]
    )


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(travel: Travel) -> None:
    journey = travel(EARLY)
    journey.ingest(H0, H0)
    journey.now = LATE
    contents, requests = journey.pond.contents(), len(journey.amplitude.requests)
    wishes = GapWishes(H0 - 2, H2, dry_run=True)

    found = survey_gaps(journey.pond.lake, LATE, wishes, rules=journey.rules)

    assert found.plan.why == {
        H0 - 2: Why.MISSING, H0 - 1: Why.MISSING, H0: Why.UNSETTLED, H1: Why.MISSING, H2: Why.MISSING,
    }  # fmt: skip
    assert found.plan.windows == (ExportWindow(H0 - 2, H2),)
    assert found.estimate is not None
    assert found.estimate.json_bytes == pytest.approx(5 * json_bytes(journey, H0), rel=0.01)
    assert (journey.pond.contents(), len(journey.amplitude.requests)) == (contents, requests)


def json_bytes(journey: Journey, hour: ExportHour) -> int:
    return sum(len(line) + 1 for line in journey.amplitude.source.lines(hour))


def test_a_lake_that_nobody_ever_asked_anything_of_has_no_gaps(travel: Travel) -> None:
    with pytest.raises(InvalidInput, match="No hour has been asked for yet"):
        travel(EARLY).gap_fill()


def test_a_gap_fill_remembers_from_where_on_hours_are_wanted(travel: Travel) -> None:
    journey = travel(EARLY)
    journey.gap_fill(H1, H2)
    journey.gap_fill(H0, H0)
    assert journey.pond.lake.wanted_from() == H0


def test_two_gap_fills_and_an_ingest_at_once_leave_every_event_once(travel: Travel) -> None:
    from concurrent.futures import ThreadPoolExecutor

    journey = travel(EARLY, source={"shuffle": True})
    with ThreadPoolExecutor(3) as pool:
        runs = [
            pool.submit(journey.gap_fill, H0, H2),
            pool.submit(journey.ingest, H0, H2),
            pool.submit(journey.gap_fill, H1, H2),
        ]
    for run in runs:
        run.result()
    journey.gap_fill(H0, H2)
    assert_whole(journey)

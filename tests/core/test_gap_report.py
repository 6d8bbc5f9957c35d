"""Whether a gap-fill is green, and what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from core.errors import LakeUnavailable, WarehouseUnavailable
from core.gap_report import GapReport
from core.gap_survey import Review
from core.gaps import GapPlan, Why
from core.hours import ExportHour
from core.timing import Timed
from core.transfer import Transfer
from core.warehouse.loader import LoadReceipt
from tests.core.lake.examples import HOUR, at, manifest, part
from tests.core.test_report import WANTED, compared, failure, loaded
from tests.core.test_transfer import timed

SHRUNK = "held 20 events and, exported again, 10"


def report(
    transfer: Transfer | None = None,
    *,
    explicit: bool = False,
    damaged: Mapping[ExportHour, str] | None = None,
    to_verify: tuple[ExportHour, ...] = (),
    **more: Any,
) -> GapReport:
    young = transfer.unpublished if transfer else []
    why = dict.fromkeys(young, Why.MISSING) | dict.fromkeys(damaged or (), Why.DAMAGED)
    plan = GapPlan(at("2025-12-23T22:10"), WANTED, why, (), (), damaged or {}, to_verify)
    return GapReport(wanted=WANTED, plan=plan, transfer=transfer or Transfer(), explicit=explicit, **more)


def committed(*hours: ExportHour) -> Transfer:
    return Transfer(committed=[timed(manifest(part(hour), hour=hour)) for hour in hours])


def reviewed(**found: Any) -> Review:
    return Review(**{"shrunk": {}, "given_up": {}} | found)


def rejecting(lines: dict[ExportHour, int]) -> Timed[LoadReceipt]:
    return timed(LoadReceipt(dict.fromkeys(lines, 10), {}, 1, lines))


# Green


@pytest.mark.parametrize(
    "made",
    [
        report(),
        report(review=reviewed()),
        report(explicit=True, review=reviewed()),
        report(committed(HOUR), load=loaded(HOUR), reconciliation=compared(), review=reviewed()),
        report(committed(HOUR), damaged={HOUR: "is missing"}, review=reviewed()),
        report(Transfer(unpublished=[HOUR]), review=reviewed()),
        report(accepted={HOUR: SHRUNK}, review=reviewed()),
        report(review=reviewed(given_up={HOUR: "too large"})),
        report(load=rejecting({HOUR: 2}), review=reviewed()),
    ],
)
def test_a_gap_fill_is_green_if_every_hour_is_there_given_up_or_named(made: GapReport) -> None:
    assert made.problems() == {}
    assert failure(made) is None


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (report(review=reviewed(shrunk={HOUR: SHRUNK})), SHRUNK),
        (report(damaged={HOUR: "part 0 is missing"}), "part 0 is missing, and could not be brought back"),
        (report(committed(HOUR - 1), damaged={HOUR: "part 0 is missing"}), "could not be brought back"),
        (report(Transfer(failures={HOUR: "answered 503"})), "answered 503"),
        (report(load=loaded(failures={HOUR: "has a bad line"})), "has a bad line"),
        (report(load=loaded(HOUR), reconciliation=compared({HOUR: "9 rows"})), "9 rows"),
        (report(Transfer(unpublished=[HOUR]), explicit=True), "not published yet"),
    ],
)
def test_a_gap_fill_fails_by_one_hour_and_names_it_with_its_reason(made: GapReport, reason: str) -> None:
    assert list(made.problems()) == [HOUR]
    text = failure(made)
    assert text is not None
    assert text.startswith(f"1 of 6 hours failed:\n  {HOUR}: ")
    assert reason in text


def test_every_hour_is_named_oldest_first_whatever_is_wrong_with_it() -> None:
    made = report(
        Transfer(failures={HOUR: "d"}),
        damaged={HOUR - 1: "c"},
        load=loaded(failures={HOUR - 4: "a"}),
        review=reviewed(shrunk={HOUR - 3: "b"}),
    )
    assert list(made.problems().items()) == [
        (HOUR - 4, "a"),
        (HOUR - 3, "b"),
        (HOUR - 1, "c, and could not be brought back"),
        (HOUR, "d"),
    ]


def test_an_hour_that_was_given_up_and_has_shrunk_is_no_failure_unless_it_is_named_as_one() -> None:
    """What has shrunk is for the review to say; what it gives up is a warning only."""
    assert report(review=reviewed(given_up={HOUR: "gone"})).problems() == {}
    assert list(report(review=reviewed(given_up={HOUR: "gone"}, shrunk={HOUR: SHRUNK})).problems()) == [HOUR]


@pytest.mark.parametrize("error", [LakeUnavailable("S3 is busy"), WarehouseUnavailable("locked")])
def test_what_ended_it_early_is_what_it_ends_with(error: LakeUnavailable | WarehouseUnavailable) -> None:
    with pytest.raises(type(error)):
        report(stopped_by=error).raise_if_failed()


# Hours whose objects were damaged


def test_damaged_hours_that_were_committed_again_are_restored() -> None:
    made = report(committed(HOUR, HOUR - 2), damaged={HOUR - 2: "a", HOUR - 1: "b", HOUR: "c"})
    assert made.restored == [HOUR - 2, HOUR]
    assert made.problems() == {HOUR - 1: "b, and could not be brought back"}


def test_a_damaged_hour_that_held_fewer_events_when_asked_again_is_not_restored() -> None:
    """The manifest that counts still names objects which are not there."""
    made = report(
        committed(HOUR), damaged={HOUR: "part 0 is missing"}, review=reviewed(shrunk={HOUR: SHRUNK})
    )
    assert made.restored == []
    assert made.problems() == {HOUR: f"part 0 is missing, and could not be brought back; {SHRUNK}"}


def test_what_is_wrong_with_a_damaged_hour_comes_before_why_it_could_not_be_had() -> None:
    made = report(Transfer(failures={HOUR: "answered 503"}), damaged={HOUR: "part 0 is missing"})
    assert made.problems() == {HOUR: "part 0 is missing, and could not be brought back; answered 503"}


# Rows to count


def test_rows_are_counted_of_hours_that_were_touched_and_of_those_to_be_verified() -> None:
    made = report(committed(HOUR - 5), load=loaded(HOUR - 4), to_verify=(HOUR - 1, HOUR, HOUR - 4))
    assert made.hours_to_count == [HOUR - 5, HOUR - 4, HOUR - 1, HOUR]
    assert report(to_verify=(HOUR,)).hours_to_count == [HOUR]
    assert report().hours_to_count == []


# What it says


def test_given_up_hours_are_listed_each_with_its_reason() -> None:
    made = report(review=reviewed(given_up={HOUR - 1: "too large", HOUR: "deleted by GDPR request"}))
    assert made.warnings() == [
        "2 hours given up, and not asked for: 2025-12-23T18…T19",
        f"  {HOUR - 1}: too large",
        f"  {HOUR}: deleted by GDPR request",
    ]


def test_of_many_given_up_hours_the_first_are_named_with_their_reasons() -> None:
    made = report(review=reviewed(given_up={HOUR - 30 + number: "gone" for number in range(30)}))
    assert made.warnings()[0].startswith("30 hours given up")
    assert len(made.warnings()) == 1 + 20


def test_accepted_hours_are_named() -> None:
    (warning,) = report(accepted={HOUR: SHRUNK}).warnings()
    assert warning == f"{HOUR}: {SHRUNK}; accepted"


def test_an_hour_with_content_is_not_called_unpublished_when_it_is_settled_without_data() -> None:
    unsettled = GapPlan(at("2025-12-23T22:10"), WANTED, {HOUR: Why.UNSETTLED}, ())
    made = GapReport(
        wanted=WANTED, plan=unsettled, transfer=Transfer(unpublished=[HOUR]), explicit=True, review=reviewed()
    )
    assert (made.problems(), made.warnings()) == ({}, [])


def test_lines_that_snowflake_refused_are_counted_hour_by_hour() -> None:
    made = report(load=rejecting({HOUR - 1: 1, HOUR: 1200}))
    assert made.warnings() == [
        f"{HOUR - 1}: 1 line refused by Snowflake, kept in events_rejected",
        f"{HOUR}: 1,200 lines refused by Snowflake, kept in events_rejected",
    ]


def test_what_every_run_says_comes_first() -> None:
    made = report(Transfer(unpublished=[HOUR]), accepted={HOUR - 1: SHRUNK}, review=reviewed())
    assert [warning.split(",")[0] for warning in made.warnings()] == [
        "not yet published",
        f"{HOUR - 1}: held 20 events and",
    ]
    assert report().warnings() == []

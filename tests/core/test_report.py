"""Whether a run is green, and what it says of itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ExportRefused, LakeRefused, PipelineError, RunFailed, WarehouseRefused
from core.hours import ExportHour, ExportWindow
from core.planning import Plan
from core.report import ExtractReport, IngestReport, LakeReport, raise_for, reasons_in
from core.timing import Timed
from core.transfer import Step, Transfer
from core.warehouse.loader import LoadReceipt, Reconciliation
from tests.core.lake.examples import HOUR, at, manifest, part
from tests.core.test_transfer import downloaded, extracted, timed, unpacked

WANTED = ExportWindow(HOUR - 5, HOUR)


def plan(*, left: Iterable[ExportHour] = ()) -> Plan:
    return Plan(at("2025-12-23T22:10"), WANTED, tuple(WANTED), tuple(left), (WANTED,))


def report(transfer: Transfer | None = None, *, explicit: bool = False, **parts: Any) -> IngestReport:
    left = parts.pop("left", ())
    moved = transfer or Transfer()
    return IngestReport(wanted=WANTED, plan=plan(left=left), transfer=moved, explicit=explicit, **parts)


def loaded(*hours: ExportHour, failures: dict[ExportHour, str] | None = None) -> Timed[LoadReceipt]:
    return timed(LoadReceipt(dict.fromkeys(hours, 10), failures or {}, len(hours)))


def compared(mismatches: dict[ExportHour, str] | None = None, *pending: ExportHour) -> Timed[Reconciliation]:
    return timed(Reconciliation(1, 10, 10, pending, mismatches or {}))


def failure(made: LakeReport | ExtractReport) -> str | None:
    """What the run ends with; None for a green one."""
    try:
        made.raise_if_failed()
    except RunFailed as error:
        return str(error)
    return None


# Green


@pytest.mark.parametrize(
    "made",
    [
        report(),
        report(explicit=True),
        report(load=loaded(HOUR), reconciliation=compared()),
        report(load=loaded(HOUR), reconciliation=compared(None, HOUR)),
        report(Transfer(unpublished=[HOUR])),
        report(Transfer(unclaimed=[HOUR])),
        report(Transfer(unclaimed=[HOUR]), explicit=True),
        report(left=[HOUR - 5]),
    ],
)
def test_a_run_is_green_that_did_everything_or_named_what_a_later_one_will(made: IngestReport) -> None:
    assert failure(made) is None
    assert made.problems() == {}


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (report(Transfer(failures={HOUR: "is damaged"})), "is damaged"),
        (report(load=loaded(failures={HOUR: "has a bad line"})), "has a bad line"),
        (report(load=loaded(HOUR), reconciliation=compared({HOUR: "9 rows"})), "9 rows"),
        (report(Transfer(unpublished=[HOUR]), explicit=True), "not published yet"),
        (report(explicit=True, left=[HOUR]), "max_hours_per_run"),
    ],
)
def test_a_run_fails_by_one_hour_and_names_it_with_its_reason(made: IngestReport, reason: str) -> None:
    text = failure(made)
    assert text is not None
    assert text.startswith("1 of 6 hours failed:\n")
    (line,) = text.splitlines()[1:]
    assert line.strip().startswith(f"{HOUR}: ")
    assert reason in line


def test_every_hour_is_named_once_oldest_first_whatever_step_it_failed_in() -> None:
    made = report(
        Transfer(failures={HOUR: "c", HOUR - 4: "a"}),
        load=loaded(failures={HOUR - 3: "b"}),
        reconciliation=compared({HOUR - 5: "d"}),
    )
    assert list(made.problems().items()) == [(HOUR - 5, "d"), (HOUR - 4, "a"), (HOUR - 3, "b"), (HOUR, "c")]


@pytest.mark.parametrize(
    "stopped",
    [
        report(Transfer(stopped_by=ExportRefused("wrong key"), failures={HOUR: "wrong key"})),
        report(stopped_by=WarehouseRefused("wrong key")),
    ],
)
def test_what_ended_a_run_early_is_what_it_ends_with(stopped: IngestReport) -> None:
    with pytest.raises(PipelineError, match=r"^wrong key$") as raised:
        stopped.raise_if_failed()
    assert not isinstance(raised.value, RunFailed)


def test_hours_that_failed_for_another_reason_are_named_besides_what_ended_the_run() -> None:
    failures = {HOUR: "is damaged", HOUR - 1: "no rights"}
    text = failure(report(Transfer(failures=failures), stopped_by=WarehouseRefused("no rights")))
    assert text == f"no rights\nBesides, 1 of 6 hours failed:\n  {HOUR}: is damaged"


def test_rows_that_differ_can_be_loaded_again_unless_their_load_has_failed() -> None:
    differ = {HOUR - 1: "9 rows", HOUR: "is in the lake and not in the ledger"}
    refused = loaded(HOUR - 1, failures={HOUR: "has a bad line"})
    made = report(load=refused, reconciliation=compared(differ))
    assert made.suspects == [HOUR - 1]
    assert made.problems()[HOUR] == "has a bad line"
    assert report(reconciliation=compared(differ)).suspects == []
    assert report(load=refused).suspects == []


def test_a_manifest_that_states_other_events_than_were_gunzipped_is_a_failure(tmp_path: Path) -> None:
    transfer = Transfer(unpacked=[timed(unpacked(tmp_path, 3))], committed=[timed(manifest(part(events=2)))])
    assert report(transfer).problems() == {HOUR: "had 3 events, its manifest 2"}


def test_what_ended_the_transfer_comes_before_what_ended_the_load() -> None:
    both = report(Transfer(stopped_by=LakeRefused("lake")), stopped_by=WarehouseRefused("warehouse"))
    with pytest.raises(LakeRefused):
        both.raise_if_failed()


def test_nothing_to_complain_about_raises_nothing() -> None:
    raise_for({}, of=5, stopped_by=None)


# What it says


def test_a_green_run_names_what_is_left_to_others() -> None:
    made = report(
        Transfer(unpublished=[HOUR, HOUR - 1], unclaimed=[HOUR - 2]),
        load=loaded(HOUR),
        reconciliation=compared(None, HOUR - 3),
        left=[HOUR - 5, HOUR - 4],
    )
    warnings = made.warnings()
    assert len(warnings) == 4
    for text, hours in [
        ("not yet published", "2025-12-23T18…T19"),
        ("no archive yet", "2025-12-23T17"),
        ("python -m flows.gap_fill --start 2025-12-23T14 --end 2025-12-23T15", "2025-12-23T14…T15"),
        ("replaced meanwhile", "2025-12-23T16"),
    ]:
        assert any(text in warning and hours in warning for warning in warnings)
    assert report().warnings() == []


def test_what_fell_behind_is_named_with_the_command_that_fetches_it() -> None:
    made = report()
    made.plan = replace(made.plan, behind=(HOUR - 90, HOUR - 80))
    (warning,) = made.warnings()
    assert f"{HOUR - 90}, {HOUR - 80}" in warning
    assert f"python -m flows.gap_fill --start {HOUR - 90} --end {HOUR - 80}" in warning
    assert failure(made) is None


def test_a_load_is_a_step_of_its_own(tmp_path: Path) -> None:
    both = manifest(part(events=7)), manifest(part(events=5), hour=HOUR - 1)
    transfer = Transfer(
        unpacked=[timed(unpacked(tmp_path, 7))], committed=[timed(one, 11, 14) for one in both]
    )
    made = report(transfer, load=timed(LoadReceipt({HOUR: 7}, {}, 2), 30, 34))
    assert made.steps() == [*transfer.steps_to_lake(), Step("load", "7 rows", 7 * 1800, 4)]
    assert made.loaded_events == 7
    assert made.touched == [HOUR - 1, HOUR]


def test_a_run_without_a_warehouse_has_no_step_for_it() -> None:
    made = report()
    assert made.steps() == made.transfer.steps_to_lake()
    assert (made.touched, made.loaded_events) == ([], 0)


def test_a_load_that_found_nothing_to_do_is_no_step() -> None:
    assert len(report(load=loaded()).steps()) == 3


def test_hours_that_were_loaded_without_being_exported_are_touched_too() -> None:
    made = report(Transfer(committed=[timed(manifest())]), load=loaded(HOUR - 1, HOUR))
    assert made.touched == [HOUR - 1, HOUR]


def test_all_rows_of_the_range_are_counted_if_the_run_touched_any() -> None:
    assert report(load=loaded(HOUR)).hours_to_count == list(WANTED)
    assert report(Transfer(committed=[timed(manifest())])).hours_to_count == list(WANTED)
    assert report(load=loaded()).hours_to_count == []


# An extract into a folder


def test_an_extract_tells_its_steps() -> None:
    transfer = Transfer(
        downloads=[timed(downloaded(100, 1), 0, 3)],
        extracted=[timed(extracted("a", "b"), 3, 5)],
    )
    made = ExtractReport(WANTED, transfer)
    assert made.steps() == transfer.steps_to_folder()
    assert (failure(made), made.warnings()) == (None, [])


def test_an_extract_names_hours_without_files_and_stays_green() -> None:
    made = ExtractReport(WANTED, Transfer(quiet=[HOUR - 1, HOUR]))
    (warning,) = made.warnings()
    assert "2025-12-23T18…T19" in warning
    assert failure(made) is None


def test_an_extract_fails_by_an_hour_or_by_what_stopped_it() -> None:
    text = failure(ExtractReport(WANTED, Transfer(failures={HOUR: "is damaged", HOUR - 1: "too"})))
    assert text is not None
    assert text.splitlines()[1:] == [f"  {HOUR - 1}: too", f"  {HOUR}: is damaged"]
    with pytest.raises(ExportRefused):
        ExtractReport(WANTED, Transfer(stopped_by=ExportRefused("wrong key"))).raise_if_failed()


# What one run tells another


def message_of(problems: dict[ExportHour, str], stopped_by: PipelineError | None) -> str:
    try:
        raise_for(problems, of=100, stopped_by=stopped_by)
    except PipelineError as error:
        return str(error)
    return ""


REASONS = st.sampled_from(["wrong key", "too large"]) | st.text(
    st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1
)


@given(
    st.dictionaries(st.integers(0, 100).map(lambda ago: HOUR - ago), REASONS, min_size=1),
    st.none() | REASONS.map(lambda text: f"stopped: {text}"),
)
def test_the_reasons_of_a_failed_run_can_be_read_from_its_message(
    problems: dict[ExportHour, str], stopped_by: str | None
) -> None:
    error = LakeRefused(stopped_by) if stopped_by else None
    told = reasons_in(message_of(problems, error))
    assert told.by_hour == {hour: reason for hour, reason in problems.items() if reason != stopped_by}
    assert told.stopped_by == stopped_by


def test_hours_in_a_row_share_a_line_if_they_share_the_reason() -> None:
    problems = dict.fromkeys([HOUR - 30, HOUR - 3, HOUR - 2], "too large") | {HOUR - 1: "wrong key"}
    text = message_of({HOUR: "too large", **problems}, None)
    assert text.splitlines()[1:] == [
        f"  {HOUR - 30}: too large",
        f"  {HOUR - 3}…T17: too large",
        f"  {HOUR - 1}: wrong key",
        f"  {HOUR}: too large",
    ]


def test_a_reason_that_quotes_another_run_tells_of_no_other_hour() -> None:
    problems = {HOUR: f"S3 said:\n  {HOUR - 1}: no such bucket\nand ended", HOUR - 2: "too large"}
    assert reasons_in(message_of(problems, None)).by_hour == problems


def test_a_reason_may_have_several_lines() -> None:
    told = reasons_in(message_of({HOUR - 1: "one\nand more", HOUR: "other"}, None))
    assert told.by_hour == {HOUR - 1: "one\nand more", HOUR: "other"}


@pytest.mark.parametrize(
    "text", ["", "The disk is full", "2 of 3 hours failed:\n", "1 of 3 hours failed:\n  2025-13-99T99: x"]
)
def test_any_other_message_is_what_ended_the_run(text: str) -> None:
    assert reasons_in(text).stopped_by == text
    assert reasons_in(text).by_hour == {}

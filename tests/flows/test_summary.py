"""What a run has to say, as people read it."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from core.amplitude.export import ExportedWindow
from core.errors import ExportRefused, WarehouseRefused
from core.estimate import Estimate
from core.gap_report import GapReport
from core.gap_survey import GapSurvey, Review
from core.gaps import GapPlan, Why
from core.hours import ExportHour
from core.planning import Plan
from core.report import ExtractReport, IngestReport
from core.timing import Timed
from core.transfer import Transfer
from core.unpacking import ExtractedHour, UnpackedHour
from core.warehouse.loader import LoadReceipt, Reconciliation
from flows.progress import Report
from flows.summary import summary_of
from tests.core.lake.examples import APP, HOUR, at, manifest, part
from tests.core.lakes import write_parts
from tests.core.test_report import WANTED, report
from tests.core.test_transfer import timed

NOW = at("2025-12-23T22:10")


def lines(report: Report, *, width: int = 200) -> list[str]:
    """As they come out of a terminal without colours."""
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(summary_of(report), soft_wrap=True)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def ingested(plan: Plan, transfer: Transfer, *, explicit: bool, **more: Any) -> IngestReport:
    return IngestReport(wanted=plan.wanted, plan=plan, transfer=transfer, explicit=explicit, **more)


def gaps(why: dict[ExportHour, Why] | None = None, **more: Any) -> GapPlan:
    return GapPlan(NOW, WANTED, why or {}, (WANTED,) if why else (), **more)


def filled(plan: GapPlan, transfer: Transfer, **more: Any) -> GapReport:
    return GapReport(wanted=plan.wanted, plan=plan, transfer=transfer, explicit=False, **more)


def plan(missing: Iterable[ExportHour] = (), left: Iterable[ExportHour] = ()) -> Plan:
    return Plan(NOW, WANTED, tuple(missing), tuple(left), (WANTED,) if missing else ())


def transfer(folder: Path, **more: Any) -> Transfer:
    """One window with one hour in it: 3 MB, 25 MB gunzipped, 10 events, 2 parts."""
    exported = ExportedWindow(WANTED, (), {}, (), 3_000_000, 1)
    (local,) = write_parts(folder, HOUR, [b"{}\n" * 10])
    unpacked = UnpackedHour(HOUR, WANTED, NOW, APP, folder, (local,))
    return Transfer(
        downloads=[timed(exported, 0, 2)],
        unpacked=[timed(unpacked, 2, 3)],
        committed=[timed(manifest(part(number=0, events=5), part(number=1, events=5)), 3, 4)],
        **more,
    )


def test_a_full_run_is_told_step_by_step_and_its_figures_agree(tmp_path: Path) -> None:
    made = ingested(
        plan(WANTED),
        transfer(tmp_path),
        explicit=True,
        load=timed(LoadReceipt({HOUR: 10}, {}, 2), 4, 6),
        reconciliation=timed(Reconciliation(1, 10, 10, (), {})),
    )
    assert lines(made) == [
        "Wanted  2025-12-23T14…T19 (6 hours)",
        "Missing 6 hours in 1 window: 2025-12-23T14…T19",
        "Step      What                  MB  Seconds  MB/s",
        "download  1 request            3.0      2.0   1.5",
        "gunzip    10 events            0.0      1.0   0.0",
        "upload    2 parts, 1 manifest  0.0      1.0   0.0",
        "load      10 rows              0.0      2.0   0.0",
        (
            "Lake and warehouse reconcile: 1 hour, 10 events in the manifests, 10 rows in the table. "
            "By this run: 10 gunzipped, 10 committed, 10 loaded."
        ),
    ]


def test_a_run_that_has_nothing_to_do_is_three_lines() -> None:
    made = ingested(plan(), Transfer(), explicit=False, load=timed(LoadReceipt({}, {}, 0)))
    assert lines(made) == [
        "Wanted  2025-12-23T14…T19 (6 hours)",
        "Missing nothing: no hour is missing",
        "Nothing to fetch, nothing to load: lake and ledger agree on these 6 hours.",
    ]


def test_without_a_warehouse_the_lake_is_spoken_of(tmp_path: Path) -> None:
    nothing = lines(ingested(plan(), Transfer(), explicit=False))
    assert nothing[-1] == "Nothing to fetch. The lake holds these 6 hours. There is no warehouse to load."
    something = lines(ingested(plan([HOUR]), transfer(tmp_path), explicit=False))
    told = "The lake holds these 6 hours: 10 events committed. There is no warehouse to load."
    assert something[-1] == told
    assert not any(line.startswith("load") for line in something)


def test_a_run_that_is_not_green_says_so_last_and_never_that_all_is_well(tmp_path: Path) -> None:
    loaded = timed(LoadReceipt({}, {HOUR: "has a bad line"}, 0))
    refused = ExportRefused("wrong keys")
    for made in (
        ingested(plan([HOUR]), Transfer(failures={HOUR: "is damaged"}), explicit=False),
        ingested(plan([HOUR]), Transfer(stopped_by=refused), explicit=False),
        ingested(plan(), Transfer(), explicit=False, stopped_by=WarehouseRefused("no rights")),
        ingested(plan([HOUR]), transfer(tmp_path), explicit=False, load=loaded),
        ingested(plan([HOUR]), Transfer(unpublished=[HOUR]), explicit=True),
        ingested(
            plan([HOUR]),
            transfer(tmp_path),
            explicit=False,
            load=timed(LoadReceipt({HOUR: 10}, {}, 2)),
            reconciliation=timed(Reconciliation(1, 10, 9, (), {HOUR: "9 rows"})),
        ),
    ):
        told = lines(made)
        assert told[-1] == "The run is not complete; the reasons follow."
        assert not any("reconcile:" in line or "holds these" in line for line in told)


def test_a_lake_that_nothing_was_committed_to_is_not_called_complete() -> None:
    """Nothing has been exported yet: neither lake.json nor a manifest is there."""
    made = ingested(plan([HOUR]), Transfer(unclaimed=[HOUR]), explicit=False)
    assert "no archive yet" in " ".join(lines(made))
    assert lines(made)[-1] == "Nothing was committed. There is no warehouse to load."
    made.load = timed(LoadReceipt({}, {}, 0))
    assert lines(made)[-1].startswith("Nothing was committed, nothing to load:")


def test_a_lake_that_lacks_an_hour_is_not_called_complete(tmp_path: Path) -> None:
    for made in (
        ingested(plan([HOUR]), transfer(tmp_path, unpublished=[HOUR - 1]), explicit=False),
        ingested(plan([HOUR], left=[HOUR - 5]), transfer(tmp_path), explicit=False),
    ):
        assert lines(made)[-1].startswith("The lake holds all hours but those named above: 10 events")


def test_what_a_green_run_should_still_say_stands_before_the_verdict(tmp_path: Path) -> None:
    made = ingested(plan([HOUR], left=[HOUR - 5]), transfer(tmp_path, unpublished=[HOUR - 1]), explicit=False)
    assert any(line.startswith("not yet published") and str(HOUR - 1) in line for line in lines(made)[:-1])
    assert any("max_hours_per_run" in line and str(HOUR - 5) in line for line in lines(made)[:-1])


@pytest.mark.parametrize("width", [40, 80])
def test_a_long_line_is_left_to_the_terminal(tmp_path: Path, width: int) -> None:
    """So that it can be copied, and looked for."""
    made = report(transfer(tmp_path, unpublished=[HOUR]), load=timed(LoadReceipt({}, {}, 0)))
    warning = made.warnings()[0]
    assert len(warning) > 40
    assert warning in lines(made, width=width)


# A gap-fill


def test_a_gap_fill_says_what_it_exported_and_what_for(tmp_path: Path) -> None:
    why = {HOUR - 1: Why.UNSETTLED, HOUR: Why.MISSING}
    made = filled(
        gaps(why),
        transfer(tmp_path),
        load=timed(LoadReceipt({HOUR: 10}, {}, 2), 4, 6),
        reconciliation=timed(Reconciliation(1, 10, 10, (), {})),
        review=Review({}, {}),
    )
    told = lines(made)
    assert told[:3] == [
        "Wanted  2025-12-23T14…T19 (6 hours)",
        "Export  1 hour missing: 2025-12-23T19",
        "Export  1 hour to be settled: 2025-12-23T18",
    ]
    assert [line.split()[0] for line in told[3:8]] == ["Step", "download", "gunzip", "upload", "load"]
    assert told[8].startswith("Lake and warehouse reconcile: 1 hour, 10 events in the manifests, 10 rows")


def test_a_gap_fill_that_has_nothing_to_export_still_says_what_it_counted() -> None:
    made = filled(
        gaps(),
        Transfer(),
        load=timed(LoadReceipt({}, {}, 0)),
        reconciliation=timed(Reconciliation(6, 60, 60, (), {})),
    )
    told = lines(made)
    assert len(told) == 3
    assert told[1].startswith("Export  nothing: no hour is missing")
    assert "6 hours, 60 events in the manifests, 60 rows" in told[2]


def test_lines_that_snowflake_refused_are_part_of_the_sum() -> None:
    found = timed(Reconciliation(6, 60, 57, (), {}, rejected_lines=3))
    told = lines(filled(gaps(), Transfer(), load=timed(LoadReceipt({}, {}, 0)), reconciliation=found))
    assert "60 events in the manifests, 57 rows in the table, 3 lines in events_rejected." in told[-1]
    whole = timed(Reconciliation(6, 60, 60, (), {}))
    told = lines(filled(gaps(), Transfer(), load=timed(LoadReceipt({}, {}, 0)), reconciliation=whole))
    assert "refused" not in told[-1]


def test_a_gap_fill_over_an_hour_that_has_shrunk_is_not_complete(tmp_path: Path) -> None:
    shrunk = Review({HOUR: "held 20 events and now 10"}, {})
    told = lines(filled(gaps({HOUR: Why.UNSETTLED}), transfer(tmp_path), review=shrunk))
    assert told[-1] == "The run is not complete; the reasons follow."


def test_given_up_hours_are_listed_with_their_reasons_before_the_verdict() -> None:
    told = lines(filled(gaps(), Transfer(), review=Review({}, {HOUR: "too large for the API"})))
    assert told[-2] == f"  {HOUR}: too large for the API"
    assert told[-1].startswith("Nothing to fetch. The lake holds all hours but those named above.")


def test_a_dry_run_says_what_would_be_done_and_that_nothing_was() -> None:
    plan = gaps({HOUR: Why.MISSING}, resting=(HOUR - 2,), damaged={HOUR - 1: "is gone"})
    assert lines(GapSurvey(plan, None, Estimate(1, 2_000_000_000, 40))) == [
        "Wanted  2025-12-23T14…T19 (6 hours)",
        "Export  1 hour missing: 2025-12-23T19",
        "Windows 2025-12-23T14…T19",
        "Damaged 2025-12-23T18: is gone",
        "Resting 1 hour, to be settled by a later run: 2025-12-23T17",
        "Cost    1 request, about 2.00 GB of JSON, about 40 s",
        "A dry run: nothing was asked for, written or loaded.",
    ]


# An extract


def test_an_extract_is_told_in_two_steps() -> None:
    exported = ExportedWindow(WANTED, (), {}, (), 3_000_000, 1)
    extracted = ExtractedHour(HOUR, (Path("a"), Path("b")), (Path("c"),), 1_234, 25_000_000)
    made = Transfer(downloads=[timed(exported, 0, 2)], extracted=[timed(extracted, 2, 4)], quiet=[HOUR - 1])
    assert lines(ExtractReport(WANTED, made)) == [
        "Wanted  2025-12-23T14…T19 (6 hours)",
        "Step      What                       MB  Seconds  MB/s",
        "download  1 request                 3.0      2.0   1.5",
        "extract   2 files written, 1 kept  25.0      2.0  12.5",
        f"Amplitude has no files for {HOUR - 1}: empty, or not yet published",
        "Every file is verified: 1,234 events.",
    ]


@pytest.mark.parametrize(
    "ended", [Transfer(failures={HOUR: "is damaged"}), Transfer(stopped_by=ExportRefused("no"))]
)
def test_an_extract_that_is_not_green_does_not_say_that_every_file_is_verified(ended: Transfer) -> None:
    assert not any("verified" in line for line in lines(ExtractReport(WANTED, ended)))


def test_the_table_is_no_wider_than_a_terminal() -> None:
    exported = ExportedWindow(WANTED, (), {}, (), 10**12, 1_000)
    downloads: list[Timed[ExportedWindow]] = [timed(exported, 0, 36_000)]
    assert max(map(len, lines(ExtractReport(WANTED, Transfer(downloads=downloads)), width=80))) <= 80

"""Arguments in, a summary out, and an exit code; the flows are stand-ins that do what a flow may do."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from core.errors import ExportRefused, InvalidInput, RunFailed, ScratchUnusable
from core.report import ExtractReport
from core.transfer import Transfer
from flows.command_line import run_extract, run_gap_fill, run_ingest
from flows.gap_fill import gap_fill
from flows.ingest import ingest
from flows.progress import Progress, watcher
from tests.core.test_report import WANTED, report

Run = Callable[[Callable[..., object], list[str]], int]
GREEN, FAILED, INVALID, INTERRUPTED = 0, 1, 2, 130

every = pytest.mark.parametrize("run", [run_ingest, run_gap_fill, run_extract])


class Flow:
    """Notes what it is called with, and does what it is told."""

    def __init__(self, act: Callable[[Progress], object] | BaseException | None = None) -> None:
        self.calls: list[dict[str, Any]] = []
        self._act = act

    def __call__(self, **parameters: Any) -> None:
        self.calls.append(parameters)
        if isinstance(self._act, BaseException):
            raise self._act
        if self._act:
            self._act(watcher.get())


# Arguments


def test_ingest_is_asked_for_as_it_was_written() -> None:
    flow = Flow()
    assert (
        run_ingest(flow, ["--pipeline", "eu", "--start", "20251223T00", "--end", "2025-12-23T23:00Z"])
        == GREEN
    )
    assert flow.calls == [{"pipeline": "eu", "start": "2025-12-23T00", "end": "2025-12-23T23"}]


UNASKED: dict[str, Any] = {
    "pipeline": "amplitude",
    "start": None,
    "end": None,
    "settle": True,
    "verify": False,
    "accept_smaller": False,
    "dry_run": False,
    "give_up": [],
    "reason": "",
    "retry": [],
    "reject_bad_lines": [],
}


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ([], {}),
        (["--pipeline", "eu", "--start", "20251223T00"], {"pipeline": "eu", "start": "2025-12-23T00"}),
        (["--no-settle", "--verify"], {"settle": False, "verify": True}),
        (["--settle", "--dry-run"], {"dry_run": True}),
        (["--accept-smaller"], {"accept_smaller": True}),
        (
            ["--give-up", "2025-12-23T18", "--give-up", "20251223T19", "--reason", "too large"],
            {"give_up": ["2025-12-23T18", "2025-12-23T19"], "reason": "too large"},
        ),
        (
            ["--retry", "2025-12-23T18", "--reject-bad-lines", "2025-12-23T19"],
            {"retry": ["2025-12-23T18"], "reject_bad_lines": ["2025-12-23T19"]},
        ),
    ],
)
def test_a_gap_fill_is_asked_for_as_it_was_written(arguments: list[str], asked: dict[str, Any]) -> None:
    flow = Flow()
    assert run_gap_fill(flow, arguments) == GREEN
    assert flow.calls == [UNASKED | asked]


def test_hours_of_one_gap_fill_are_not_those_of_the_next() -> None:
    flow = Flow()
    run_gap_fill(flow, ["--retry", "2025-12-23T18"])
    run_gap_fill(flow, ["--retry", "2025-12-23T19"])
    assert [call["retry"] for call in flow.calls] == [["2025-12-23T18"], ["2025-12-23T19"]]


def test_parameters_are_those_of_the_flow() -> None:
    """So that an option is not handed to a flow that does not know it."""
    for flow, known in ((ingest, {"pipeline", "start", "end"}), (gap_fill, UNASKED.keys())):
        assert set(inspect.signature(flow.fn).parameters) == set(known)


def test_extract_is_asked_for_as_it_was_written() -> None:
    flow = Flow()
    assert run_extract(flow, ["--to", "here", "--credentials", "eu", "--start", "2025-12-23T00"]) == GREEN
    assert flow.calls == [{"to": "here", "credentials": "eu", "start": "2025-12-23T00", "end": None}]


def test_what_is_left_out_is_left_to_the_flow() -> None:
    ingesting, extracting = Flow(), Flow()
    run_ingest(ingesting, [])
    run_extract(extracting, [])
    assert ingesting.calls == [{"pipeline": "amplitude", "start": None, "end": None}]
    assert extracting.calls == [{"to": "json_data", "credentials": "amplitude", "start": None, "end": None}]


@every
@pytest.mark.parametrize(
    "arguments",
    [
        ["--start", "2025-12-23 19:00"],
        ["--start", "yesterday"],
        ["--end", "2025-12-23T19:30Z"],
        ["--end", "2025-02-30T00"],
        ["--end", "2025-12-23T24"],
        ["--start", ""],
        ["--start"],
        ["--begin", "2025-12-23T00"],
        ["2025-12-23T00"],
    ],
)
def test_arguments_that_cannot_be_are_refused_before_anything_starts(
    run: Run, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    flow = Flow()
    with pytest.raises(SystemExit) as stopped:
        run(flow, arguments)
    assert stopped.value.code == INVALID
    assert flow.calls == []
    out, err = capsys.readouterr()
    assert out == ""
    assert "error: " in err.splitlines()[-1]


def test_an_hour_that_cannot_be_is_told_how_to_write_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run_ingest(Flow(), ["--start", "yesterday"])
    assert "Write it in UTC as 2025-12-23T19" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("run", "module", "options"),
    [
        (run_ingest, "flows.ingest", ("--pipeline", "--start", "--end")),
        (
            run_gap_fill,
            "flows.gap_fill",
            (
                *("--pipeline", "--start", "--end", "--settle", "--no-settle", "--verify", "--dry-run"),
                *("--accept-smaller", "--give-up", "--reason", "--retry", "--reject-bad-lines"),
            ),
        ),
        (run_extract, "flows.extract", ("--to", "--credentials", "--start", "--end")),
    ],
)
def test_help_names_every_option_and_starts_nothing(
    run: Run, module: str, options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    flow = Flow()
    with pytest.raises(SystemExit) as stopped:
        run(flow, ["--help"])
    assert stopped.value.code == 0
    assert flow.calls == []
    out = capsys.readouterr().out
    assert out.startswith(f"usage: python -m {module} ")
    assert all(option in out for option in options)


# Exit codes


@every
@pytest.mark.parametrize(
    ("ends", "code"),
    [
        (None, GREEN),
        (RunFailed("1 of 6 hours failed"), FAILED),
        (ExportRefused("wrong keys"), FAILED),
        (ScratchUnusable("The disk is full"), FAILED),
        (InvalidInput("The end lies before the start"), INVALID),
        (KeyboardInterrupt(), INTERRUPTED),
    ],
)
def test_how_a_run_ended_is_its_exit_code_and_the_reason_stands_on_standard_error(
    run: Run, ends: BaseException | None, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(Flow(ends), []) == code
    out, err = capsys.readouterr()
    assert out == ""
    reason = "Interrupted." if code == INTERRUPTED else str(ends or "")
    assert err.startswith(reason)
    assert bool(err) == (code != GREEN)


def test_a_foreign_error_comes_out_as_it_is() -> None:
    with pytest.raises(KeyError):
        run_ingest(Flow(KeyError("events")), [])
    assert type(watcher.get()) is Progress


def test_a_reason_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    reason = "1 of 6 hours:\n  2025-12-23T19: [bold]stranger[/bold].bin in " + "x" * 200
    run_ingest(Flow(RunFailed(reason)), [])
    assert capsys.readouterr().err == reason + "\n"


def test_a_defect_is_no_answer_to_a_mistake() -> None:
    with pytest.raises(RuntimeError, match="nobody expected"):
        run_ingest(Flow(RuntimeError("nobody expected this")), [])


def test_what_looks_like_an_emoji_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    run_ingest(Flow(RunFailed("stranger:key:1.bin")), [])
    assert capsys.readouterr().err == "stranger:key:1.bin\n"


@pytest.mark.parametrize("option", ["--give-up", "--retry", "--reject-bad-lines"])
def test_single_hours_are_hours_too(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    flow = Flow()
    with pytest.raises(SystemExit):
        run_gap_fill(flow, [option, "2025-12-23T24"])
    assert flow.calls == []
    assert "Not an export hour" in capsys.readouterr().err


# Without a terminal


def everything(progress: Progress) -> None:
    progress.planned(6)
    progress.hour_done()
    progress.hour_done()
    progress.step("load")
    progress.finished(report())


def test_without_a_terminal_there_are_plain_lines_and_nothing_else(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_ingest(Flow(everything), []) == GREEN
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == "Wanted  2025-12-23T14…T19 (6 hours)"
    assert "\x1b" not in out
    assert err == ""


def test_an_extract_has_a_summary_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    made = ExtractReport(WANTED, Transfer())
    assert run_extract(Flow(lambda progress: progress.finished(made)), []) == GREEN
    assert capsys.readouterr().out.splitlines()[-1] == "Every file is verified: 0 events."


def test_a_summary_is_shown_before_the_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(progress: Progress) -> None:
        progress.finished(report())
        msg = "1 of 6 hours"
        raise RunFailed(msg)

    assert run_ingest(Flow(fail), []) == FAILED
    out, err = capsys.readouterr()
    assert out.startswith("Wanted  ")
    assert err == "1 of 6 hours\n"


@every
@pytest.mark.parametrize("ends", [None, KeyboardInterrupt(), RunFailed("no")])
def test_nobody_watches_when_it_is_over(run: Run, ends: BaseException | None) -> None:
    before = watcher.get()
    run(Flow(ends), [])
    assert watcher.get() is before

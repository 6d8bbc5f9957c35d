"""What a run looks like in a terminal; the flows are stand-ins, the log lines Prefect's own."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator

import pytest
from prefect import flow, task
from prefect.logging.configuration import setup_logging
from rich.console import Console

from core.errors import LakeUnavailable, RunFailed
from flows.command_line import Consoles, run_ingest
from flows.progress import Progress, watcher
from tasks.retries import worth_retrying
from tests.core.test_report import report

GREEN, FAILED, INTERRUPTED = 0, 1, 130
WIPED, CURSOR_BACK = "\x1b[2K", "\x1b[?25h"


@pytest.fixture
def terminal() -> Iterator[tuple[Consoles, io.StringIO, io.StringIO]]:
    """Standard output and standard error as terminals, and what was written to each."""
    out, err = io.StringIO(), io.StringIO()
    setup_logging(incremental=False)  # pytest has taken Prefect's console handler away
    yield (console(out), console(err)), out, err
    setup_logging(incremental=False)


def console(stream: io.StringIO) -> Console:
    return Console(file=stream, force_terminal=True, width=100, markup=False, emoji=False, highlight=False)


Terminal = tuple[Consoles, io.StringIO, io.StringIO]


def acting(act: Callable[[Progress], object]) -> Callable[..., None]:
    """A stand-in for a flow."""

    def run(**_parameters: object) -> None:
        act(watcher.get())

    return run


def ending(error: BaseException) -> Callable[..., None]:
    def act(_progress: Progress) -> None:
        raise error

    return acting(act)


def test_there_is_a_bar_and_then_the_summary(terminal: Terminal) -> None:
    consoles, out, err = terminal
    seen: list[str] = []

    def act(progress: Progress) -> None:
        progress.step("planning")
        progress.planned(6)
        progress.hour_done()
        progress.hour_done()
        progress.step("loading")
        progress.finished(report())
        seen.append(err.getvalue())

    assert run_ingest(acting(act), [], consoles) == GREEN
    for said in ("starting Prefect", "planning", "0/6 hours", "2/6 hours", "loading"):
        assert said in seen[0]
    assert "Wanted" in out.getvalue()
    assert "Wanted" not in err.getvalue()
    assert err.getvalue().endswith(WIPED)


def test_a_run_that_has_nothing_to_export_counts_no_hours(terminal: Terminal) -> None:
    consoles, _, err = terminal
    assert run_ingest(acting(lambda progress: progress.planned(0)), [], consoles) == GREEN
    assert "0/0" not in err.getvalue()


@pytest.mark.parametrize(("ends", "code"), [(RunFailed("no"), FAILED), (KeyboardInterrupt(), INTERRUPTED)])
def test_the_bar_is_taken_away_before_the_reason_is_shown(
    terminal: Terminal, ends: BaseException, code: int
) -> None:
    consoles, _, err = terminal
    assert run_ingest(ending(ends), [], consoles) == code
    said = err.getvalue()
    assert said.rindex(WIPED) < said.rindex(str(ends) or "Interrupted.")
    assert CURSOR_BACK in said


def test_what_other_libraries_warn_of_is_shown_as_it_is(terminal: Terminal) -> None:
    consoles, _, err = terminal

    def act(_progress: Progress) -> None:
        logging.getLogger("botocore").warning("the [red]clock[/red] is :key: off")
        logging.getLogger("botocore").info("nothing to see")
        logging.getLogger("prefect.flows").warning("the summary says this")

    run_ingest(acting(act), [], consoles)
    assert "the [red]clock[/red] is :key: off" in err.getvalue()
    assert "nothing to see" not in err.getvalue()
    assert "the summary says this" not in err.getvalue()


@pytest.mark.slow
def test_of_what_prefect_logs_only_retries_and_defects_are_shown(
    terminal: Terminal, prefect_server: None
) -> None:
    """Held against Prefect itself: the words that it says a retry with are not its interface."""
    consoles, _, err = terminal
    tries = []

    @task(retries=1, retry_delay_seconds=0, retry_condition_fn=worth_retrying)
    def flaky() -> None:
        tries.append(1)
        if len(tries) == 1:
            msg = "S3 answered 503 SlowDown."
            raise LakeUnavailable(msg)

    @task
    def defective() -> None:
        raise KeyError("events")  # noqa: EM101  # as a lookup does it

    @flow
    def runs(pipeline: str, start: str | None, end: str | None) -> None:
        flaky()
        defective(return_state=True)
        watcher.get().finished(report())

    assert run_ingest(runs, [], consoles) == GREEN
    said = err.getvalue()
    assert "S3 answered 503 SlowDown.') - Retry 1/1 will start immediately" in said
    assert "KeyError: 'events'" in said
    assert "Traceback" in said
    assert "Finished in state" not in said
    assert "Beginning flow run" not in said

"""A run as its terminal shows it: a bar or Prefect's lines while it works, the summary at the end."""

from __future__ import annotations

import logging

from prefect.logging.handlers import PrefectConsoleHandler
from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from flows.progress import Progress, Report
from flows.summary import summary_of


class Lines(Progress):
    """Prefect's log lines while it works, the summary at the end.

    Args:
        out: For the summary.
        err: For what went wrong. It takes texts as they are: no markup, no emoji, no highlighting.
    """

    def __init__(self, out: Console, err: Console) -> None:
        self._out = out
        self._err = err

    def finished(self, report: Report) -> None:
        """Show the summary."""
        self._out.print(summary_of(report), soft_wrap=True)

    def complain(self, reason: str) -> None:
        """The last word on a run that is not green."""
        self.close()
        self._err.print(reason, style="red", soft_wrap=True)

    def close(self) -> None:
        """Leave the terminal as it was. Safe to repeat."""


class Bar(Lines):
    """A bar instead of log lines; above it only what nobody should miss."""

    def __init__(self, out: Console, err: Console) -> None:
        super().__init__(out, err)
        self._hours = self._done = 0
        for handler in logging.getLogger().handlers:
            if isinstance(handler, PrefectConsoleHandler):
                handler.addFilter(deserves_a_line)
                handler.console = err  # which knows of the bar, and writes above it
        self._bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            console=err,
            transient=True,
        )
        self._bar = self._bars.add_task("starting Prefect", total=None)
        self._bars.start()

    def planned(self, hours: int) -> None:
        """Give the bar its length; a run with nothing to export has none."""
        self._hours = hours
        if hours:
            self._show_hours()

    def hour_done(self) -> None:
        """Move it on."""
        self.hours_done(self._done + 1)

    def hours_done(self, hours: int) -> None:
        """Move it to where it is."""
        self._done = hours
        self._show_hours()

    def step(self, name: str) -> None:
        """Write the step's name beside it."""
        self._bars.update(self._bar, description=name, refresh=True)

    def finished(self, report: Report) -> None:
        """Show the summary in the bar's place."""
        self.close()
        super().finished(report)

    def close(self) -> None:
        """Take the bar away."""
        self._bars.stop()

    def _show_hours(self) -> None:
        said = f"{self._done}/{self._hours} hours"
        self._bars.update(self._bar, description=said, completed=self._done, total=self._hours, refresh=True)


def deserves_a_line(record: logging.LogRecord) -> bool:
    """Whether a record is shown above a bar: a task that will be tried again, the traceback of a defect.

    What else Prefect logs of a run, its states, failures and warnings, the summary says at the end.
    """
    if record.name.partition(".")[0] != "prefect":
        return record.levelno >= logging.WARNING
    return bool(record.exc_info) or "Retry %s/%s will start" in str(record.msg)

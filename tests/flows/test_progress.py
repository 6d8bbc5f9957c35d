"""Who watches a run."""

from __future__ import annotations

import contextvars

from core.hours import ExportHour, ExportWindow
from core.report import ExtractReport
from core.transfer import Transfer
from flows.progress import Progress, watcher

HOUR = ExportHour.parse("2025-12-23T19")


def test_nobody_watches_unless_somebody_was_put_in_place() -> None:
    nobody = watcher.get()
    assert type(nobody) is Progress
    nobody.planned(3)
    nobody.hour_done()
    nobody.step("load")
    nobody.finished(ExtractReport(ExportWindow(HOUR, HOUR), Transfer()))


def test_who_watches_one_run_does_not_watch_another() -> None:
    ours = Progress()

    def watched() -> Progress:
        watcher.set(ours)
        return watcher.get()

    assert contextvars.copy_context().run(watched) is ours
    assert watcher.get() is not ours

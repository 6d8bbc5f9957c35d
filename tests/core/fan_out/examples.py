"""Plans to cut."""

from __future__ import annotations

from collections.abc import Iterable

from core.fan_out.shares import Share
from core.gaps import GapPlan, Why
from core.hours import ExportHour, ExportWindow, windows_of
from tests.core.lake.examples import at

NOW = at("2025-12-23T22:10")
NEWEST = ExportHour.parse("2025-12-23T19")


def plan_for(
    hours: Iterable[ExportHour], *, window_hours: int = 24, why: Why = Why.MISSING, **others: Why
) -> GapPlan:
    """A plan that exports these hours; ``others`` says of single ones, as ``h3``, what else for."""
    listed = sorted(hours)
    reasons = dict.fromkeys(listed, why)
    for number, reason in others.items():
        reasons[listed[int(number[1:])]] = reason
    windows = tuple(windows_of(listed, window_hours=window_hours))
    return GapPlan(NOW, ExportWindow(listed[0], NEWEST), reasons, windows)


def share_of(*hours: ExportHour, why: Why = Why.MISSING) -> Share:
    """A share of hours that are exported for one reason."""
    return Share(hours, (why,) * len(hours))

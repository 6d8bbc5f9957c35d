"""What a gap-fill did, and whether it is green."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.gap_survey import Review
from core.gaps import GapPlan, Why
from core.hours import ExportHour
from core.report import LakeReport
from core.wording import counted, listed

_NAMED = 20


@dataclass(slots=True, kw_only=True)
class GapReport(LakeReport):
    """Everything that a gap-fill has to say.

    Attributes:
        accepted: How an hour has shrunk whose smaller export counts now.
        review: What the lake holds of the range afterwards; None if it could not be looked at.
    """

    plan: GapPlan
    accepted: Mapping[ExportHour, str] = field(default_factory=dict)
    review: Review | None = None

    @property
    def hours_to_count(self) -> list[ExportHour]:
        """Hours whose rows are compared with the lake: those touched, and those to be verified."""
        return sorted({*self.touched, *self.plan.to_verify})

    @property
    def unpublished(self) -> list[ExportHour]:
        """Hours that have no content and are too young to be called empty."""
        return [hour for hour in self.transfer.unpublished if self.plan.why.get(hour) is Why.MISSING]

    @property
    def restored(self) -> list[ExportHour]:
        """Hours whose objects were damaged and are there again, oldest first."""
        exported = {manifest.hour for manifest in self.transfer.manifests}
        return sorted(self.plan.damaged.keys() & exported - self._shrunk.keys())

    def problems(self) -> dict[ExportHour, str]:
        """As of every run; and hours that have shrunk, or whose objects could not be brought back."""
        damaged = {
            hour: f"{how}, and could not be brought back"
            for hour, how in self.plan.damaged.items()
            if hour not in self.restored
        }
        kinds = (damaged, LakeReport.problems(self), self._shrunk)
        hours = sorted({hour for kind in kinds for hour in kind})
        return {hour: "; ".join(kind[hour] for kind in kinds if hour in kind) for hour in hours}

    @property
    def _shrunk(self) -> Mapping[ExportHour, str]:
        return self.review.shrunk if self.review else {}

    def warnings(self) -> list[str]:
        """As of every run; and what is left out on purpose."""
        found = LakeReport.warnings(self)
        found += [f"{hour}: {how}; accepted" for hour, how in self.accepted.items()]
        if self.review:
            found += _given_up(self.review)
        rejected = self.load.receipt.rejected if self.load else {}
        for hour, lines in rejected.items():
            found.append(f"{hour}: {counted(lines, 'line')} refused by Snowflake, kept in events_rejected")
        return found


def _given_up(review: Review) -> list[str]:
    hours = list(review.given_up)
    if not hours:
        return []
    named = [f"{counted(len(hours), 'hour')} given up, and not asked for: {listed(hours)}"]
    named += [f"  {hour}: {review.given_up[hour]}" for hour in hours[:_NAMED]]
    return named

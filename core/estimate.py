"""What a plan would cost, judged by what the lake holds already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from core.gaps import GapPlan
from core.hours import ExportHour
from core.lake.layout import ManifestName
from core.lake.manifest import Manifest
from core.lake.reading import read_manifests
from core.lake.store import Lake
from core.lake.verdict import HourVerdict, verdicts_of
from core.wording import counted, duration

_SAMPLE_HOURS = 48
_WEEK_HOURS = 168

#: Two requests that lie further apart belong to two runs.
_SAME_RUN = timedelta(minutes=15)

#: Fewer requests of one run say nothing of its pace: two archives are on their way at once.
_FEWEST_REQUESTS = 4


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a plan would cost.

    Attributes:
        requests: To the Export API, at least: if no window is halved, and no hour without data asked twice.
        json_bytes: Gunzipped, by the hours committed so far; None if there is none with events.
        seconds: By the pace of the runs so far; None if they cannot tell.
    """

    requests: int
    json_bytes: int | None
    seconds: float | None

    def __str__(self) -> str:
        size = "size unknown" if self.json_bytes is None else f"about {self.json_bytes / 1e9:,.2f} GB of JSON"
        time = "time unknown" if self.seconds is None else f"about {duration(self.seconds)}"
        return f"{counted(self.requests, 'request')}, {size}, {time}"


def estimate(lake: Lake, plan: GapPlan, verdicts: Mapping[ExportHour, HourVerdict]) -> Estimate:
    """Judge a plan by what is committed: sizes by the manifests of the newest hours with events, 48 at most.

    Raises:
        LakeUnavailable: Transient. LakeRefused, LakeConflict: Permanent.
    """
    held = [verdict.content for verdict in verdicts.values() if verdict.content]
    return judge(plan, _sample(lake, held), [name.exported_at for name in held])


def json_bytes_per_hour(lake: Lake) -> float:
    """What an hour gunzips to, on average, by the newest hours that have events; 0 on an empty lake.

    Costs a listing of the days, one of the last week, and 48 GETs at most.

    Raises:
        LakeUnavailable: Transient. LakeRefused, LakeConflict: Permanent.
    """
    newest = lake.newest_day()
    if newest is None:
        return 0.0
    verdicts = verdicts_of(lake.manifest_names(newest - _WEEK_HOURS, newest + 23))
    return _average(_sample(lake, [verdict.content for verdict in verdicts.values() if verdict.content]))


def _sample(lake: Lake, held: Sequence[ManifestName]) -> list[Manifest]:
    newest = [name for name in held if name.events][-_SAMPLE_HOURS:]
    return [one for one in read_manifests(lake, newest).values() if isinstance(one, Manifest)]


def _average(sample: Sequence[Manifest]) -> float:
    return sum(one.json_bytes for one in sample) / len(sample) if sample else 0.0


def judge(plan: GapPlan, sample: Sequence[Manifest], exported_at: Iterable[datetime]) -> Estimate:
    """The same, from what is at hand.

    Args:
        sample: Manifests of hours with events.
        exported_at: Of every committed hour; the hours of one request have one time.
    """
    hours = len(plan.why)
    json_bytes = round(hours * _average(sample)) if sample else None
    paces = [seconds for run in _runs(exported_at) if (seconds := _seconds_per_hour(run)) is not None]
    return Estimate(len(plan.windows), json_bytes, hours * median(paces) if paces else None)


def _runs(exported_at: Iterable[datetime]) -> Iterator[list[tuple[datetime, int]]]:
    """The requests of each run: when it was sent, and how many hours it brought."""
    run: list[tuple[datetime, int]] = []
    for sent, hours in sorted(Counter(exported_at).items()):
        if run and sent - run[-1][0] > _SAME_RUN:
            yield run
            run = []
        run.append((sent, hours))
    if run:
        yield run


def _seconds_per_hour(run: Sequence[tuple[datetime, int]]) -> float | None:
    """How long a run took for one hour; the last two requests were still on their way."""
    if len(run) < _FEWEST_REQUESTS:
        return None
    return (run[-1][0] - run[0][0]).total_seconds() / sum(hours for _, hours in run[:-2])

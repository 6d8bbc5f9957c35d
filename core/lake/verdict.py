"""Which of an hour's manifests counts: the one rule, applied by every reader.

Read the names in order. Each takes the place of the one before it, unless it has fewer events and
its status is not ``accepted``. So neither the order of writing nor a race can lose an hour: what
was exported later, and holds less, is kept and shown, and changes nothing until somebody accepts
it or a later export holds no less.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter

from core.hours import ONE_HOUR, ExportHour
from core.lake.layout import ManifestName, Status


@dataclass(frozen=True, slots=True)
class HourVerdict:
    """What the lake holds for one hour.

    Attributes:
        content: The manifest that counts; None if no export of the hour has landed.
        shrunk: Later exports that hold fewer events and were not accepted, oldest first.
        give_up: The newest word of somebody who said not to ask for the hour any more; None if nobody
            said so, or if it has ended since.
        restored_at: When the hour was last exported because its objects were damaged: rows that were loaded
            before are not to be believed. None if it never was.
    """

    hour: ExportHour
    content: ManifestName | None
    shrunk: tuple[ManifestName, ...] = ()
    give_up: ManifestName | None = None
    restored_at: datetime | None = None

    @property
    def given_up(self) -> bool:
        """Whether somebody said not to ask for the hour any more."""
        return self.give_up is not None

    @property
    def is_committed(self) -> bool:
        """Whether the hour needs no export to be whole: it has content, or it was given up."""
        return self.content is not None or self.given_up

    def is_settled(self, settle: timedelta) -> bool:
        """Whether the hour was exported when it had rested for ``settle``; zero switches settling off.

        An hour that was given up before anything landed counts as settled.
        """
        if self.content is None:
            return self.given_up
        return not settle or self.content.exported_at >= settled_from(self.hour, settle)


def settled_from(hour: ExportHour, settle: timedelta) -> datetime:
    """When another export of the hour settles it."""
    return hour.start + ONE_HOUR + settle


def verdict_of(hour: ExportHour, names: Iterable[ManifestName]) -> HourVerdict:
    """Decide between the manifests of one hour, given in any order."""
    content: ManifestName | None = None
    shrunk: list[ManifestName] = []
    give_up: ManifestName | None = None
    restored_at: datetime | None = None
    given_up_without_content = False
    for name in sorted(names):
        if name.status is Status.GIVEN_UP:
            give_up, given_up_without_content = name, content is None
        elif name.status is Status.RETRY:
            give_up = None
        elif content is not None and name.events < content.events and name.status is not Status.ACCEPTED:
            shrunk.append(name)
        else:
            content = name
            shrunk.clear()
            if name.status is Status.RESTORED:
                restored_at = name.exported_at
            if given_up_without_content:
                give_up = None
    return HourVerdict(hour, content, tuple(shrunk), give_up, restored_at)


def verdicts_of(names: Iterable[ManifestName]) -> dict[ExportHour, HourVerdict]:
    """Decide for every hour that has a manifest."""
    hour_of = attrgetter("hour")
    return {hour: verdict_of(hour, group) for hour, group in groupby(sorted(names), key=hour_of)}

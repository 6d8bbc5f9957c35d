"""Where things lie in the lake. All keys here are relative to the lake's prefix.

::

    lake.json                                                      what this lake holds, created once
    wanted/2025-12-01T00                                           from here on hours are wanted
    events/date=2025-12-23/hour=19/100011471_2025-12-23_19_0-1a2b3c4d.json       (or .json.gz)
    manifests/date=2025-12-23/hour=19/20251223T221503.120Z-data-48211-5f0c9a….json

A part's key ends in the CRC-32 of the object's own bytes, so a part is never overwritten with
other bytes. A manifest's name answers what planning asks; its body is read only for hours that
are being loaded or audited.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal

from core.errors import InvalidInput, LakeConflict
from core.hours import ExportHour

Compression = Literal["none", "gzip"]

IDENTITY_KEY = "lake.json"
EVENTS = "events/"
MANIFESTS = "manifests/"
WANTED = "wanted/"

_EXTENSIONS: dict[Compression, str] = {"none": "json", "gzip": "json.gz"}
_DIGEST_CHARACTERS = 32
_MANIFEST_KEY = re.compile(
    r"manifests/date=(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})/hour=(?P<hour>[0-9]{2})/"
    r"(?P<exported_at>[0-9]{8}T[0-9]{6}\.[0-9]{3})Z-(?P<status>[a-z]+)-(?P<events>0|[1-9][0-9]{0,17})-(?P<digest>[0-9a-f]{32})"
    r"\.json"
)


class Status(StrEnum):
    """What a manifest says about its hour."""

    DATA = "data"
    EMPTY = "empty"  #: asked for late enough to believe that nothing happened
    ACCEPTED = "accepted"  #: fewer events than before, and somebody said that this is right
    RESTORED = "restored"  #: exported because its objects were missing or differed: to be loaded again
    GIVEN_UP = "givenup"  #: no content: the hour is not asked for any more
    RETRY = "retry"  #: no content: ends every give-up

    @property
    def has_content(self) -> bool:
        """Whether it says what the hour consists of."""
        return self not in {Status.GIVEN_UP, Status.RETRY}


@dataclass(frozen=True, slots=True, order=True)
class ManifestName:
    """A manifest as the listing shows it.

    Order: by hour, then in the order in which every reader decides between them.

    Attributes:
        exported_at: UTC, whole milliseconds.
        digest: 32 hexadecimal characters; equal digests mean equal content.
    """

    hour: ExportHour
    exported_at: datetime
    status: Status
    events: int
    digest: str

    @property
    def key(self) -> str:
        """``manifests/date=…/hour=…/<exported_at>-<status>-<events>-<digest>.json``."""
        name = f"{stamp(self.exported_at)}-{self.status}-{self.events}-{self.digest}.json"
        return manifest_folder(self.hour) + name

    @classmethod
    def parse(cls, key: str) -> ManifestName:
        """Read a manifest's key.

        Raises:
            LakeConflict: It is not one of ours; what lies there must be looked at by somebody. Permanent.
        """
        match = _MANIFEST_KEY.fullmatch(key)
        try:
            if match is None:
                raise ValueError
            name = cls(
                hour=ExportHour.parse(f"{match['day']}T{match['hour']}"),
                exported_at=datetime.strptime(match["exported_at"], "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC),
                status=Status(match["status"]),
                events=int(match["events"]),
                digest=match["digest"],
            )
            if name.key != key:  # a year before 1000 is written in fewer digits
                raise ValueError
            return name
        except Exception as error:
            raise _foreign(key) from error


def stamp(instant: datetime) -> str:
    """``20251223T221503.120Z``: sorts as time does, to the millisecond."""
    return f"{instant:%Y%m%dT%H%M%S}.{instant.microsecond // 1000:03d}Z"


def whole_milliseconds(instant: datetime) -> datetime:
    """The instant as a manifest's name can hold it: UTC, cut to the millisecond."""
    utc = instant.astimezone(UTC)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def part_key(hour: ExportHour, stem: str, *, crc32: int, compression: Compression) -> str:
    """Where a part goes.

    Args:
        stem: The member's base name without extension, ``100011471_2025-12-23_19#0``.
        crc32: Of the object's own bytes, gzipped or not.
    """
    name = stem.replace("#", "_")
    return f"{part_folder(hour)}{name}-{crc32:08x}.{_EXTENSIONS[compression]}"


def part_folder(hour: ExportHour) -> str:
    """Every object of one hour, whether a manifest names it or not; sorts as time does."""
    return f"{EVENTS}date={hour.day}/hour={hour.hour_of_day}/"


def manifest_folder(hour: ExportHour) -> str:
    """Everything said about one hour; sorts as time does."""
    return f"{MANIFESTS}date={hour.day}/hour={hour.hour_of_day}/"


def day_of(folder: str) -> ExportHour:
    """The first hour of a day's folder of manifests, ``manifests/date=2025-12-23/``.

    Raises:
        LakeConflict: It is not one of ours. Permanent.
    """
    try:
        return ExportHour.parse(folder.removeprefix(f"{MANIFESTS}date=").removesuffix("/") + "T00")
    except InvalidInput:
        raise _foreign(folder) from None


def wanted_key(hour: ExportHour) -> str:
    """The empty object which says that hours from here on are wanted."""
    return f"{WANTED}{hour}"


def _foreign(key: str) -> LakeConflict:
    return LakeConflict(f"{ascii(key)[:200]} lies among the manifests and is none. Move it out of the lake.")

"""Which hour each member of an archive belongs to, by its name alone; pure.

Members are named ``<app>/<app>_<yyyy-mm-dd>_<H>#<part>.json.gz``, the hour without a leading
zero; the zip has been seen with its folder and flat. Names are matched against that pattern and
never used as paths. A short, closed list of other names is skipped; anything else is an error,
for a stranger that is skipped could be data.

Source: https://amplitude.com/docs/apis/analytics/export
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zipfile import ZipInfo

from core.errors import StrangeArchive
from core.hours import ExportHour, ExportWindow

_MEMBER = re.compile(
    r"(?:(?P<folder>[0-9]+)/)?"
    r"(?P<stem>(?P<app>[0-9]{1,18})_(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})_(?P<hour>[0-9]{1,2})#(?P<part>[0-9]{1,9}))"
    r"\.json\.gz"
)

#: What Amplitude is known to put beside the data: completion markers, a readme, merged ids, folders.
_SKIPPED = re.compile(
    r"(?:[0-9]+/)?(?:[A-Za-z0-9_.#-]*_complete|(?i:readme)(?:\.(?:txt|md))?|-[A-Za-z0-9]+_[0-9_#-]+(?:\.json)?\.gz)?"
)


@dataclass(frozen=True, slots=True)
class Member:
    """One ``.json.gz`` file of an archive.

    Attributes:
        name: As it stands in the zip.
        stem: Its base name without extension, ``100011471_2025-12-23_19#0``.
        size_bytes: Its gzip bytes.
        crc32: CRC-32 of its gzip bytes, from the zip's directory.
    """

    name: str
    stem: str
    app_id: int
    hour: ExportHour
    size_bytes: int
    crc32: int


@dataclass(frozen=True, slots=True)
class Directory:
    """What an archive holds.

    Attributes:
        app_id: The one Amplitude project that all members belong to; None in an empty archive.
        hours: The members of each hour that has any, by name.
        skipped: Names on the closed list that were passed over.
    """

    app_id: int | None
    hours: dict[ExportHour, tuple[Member, ...]]
    skipped: tuple[str, ...] = field(default=())


def sort_members(entries: Iterable[ZipInfo], window: ExportWindow) -> Directory:
    """Sort an archive's members into their hours.

    Args:
        entries: The zip's directory.
        window: What was asked for; no member may lie outside.

    Raises:
        StrangeArchive: A name that fits neither the pattern nor the closed list, a second project,
            a duplicate, or a member outside the window. Permanent.
    """
    hours: dict[ExportHour, list[Member]] = {}
    skipped: list[str] = []
    seen: set[str] = set()
    app_id: int | None = None
    for info in entries:
        member = _member(info)
        if member is None:
            skipped.append(shown(info.filename))
            continue
        if member.hour not in window:
            msg = f"{shown(info.filename)} lies outside {window}, which was asked for."
            raise StrangeArchive(msg)
        if app_id not in {None, member.app_id}:
            msg = f"{shown(info.filename)} belongs to a second project beside {app_id}."
            raise StrangeArchive(msg)
        if member.stem in seen:
            msg = f"{shown(info.filename)} is in the archive twice."
            raise StrangeArchive(msg)
        app_id = member.app_id
        seen.add(member.stem)
        hours.setdefault(member.hour, []).append(member)
    ordered = {hour: tuple(sorted(hours[hour], key=lambda member: member.stem)) for hour in sorted(hours)}
    return Directory(app_id, ordered, tuple(skipped))


def _member(info: ZipInfo) -> Member | None:
    """The member behind a directory entry, or None if it is on the closed list."""
    name = info.orig_filename  # zipfile cuts filename at a NUL
    match = _MEMBER.fullmatch(name)
    if match is None:
        if _SKIPPED.fullmatch(name):
            return None
        msg = (
            f"The archive holds a stranger, {shown(name)}. Nothing of this archive is taken, "
            "for what is not recognised could be data. Please report the name."
        )
        raise StrangeArchive(msg)
    if match["folder"] not in {None, match["app"]}:
        msg = f"{shown(info.filename)} lies in another project's folder."
        raise StrangeArchive(msg)
    try:
        start = datetime.strptime(match["day"], "%Y-%m-%d").replace(hour=int(match["hour"]), tzinfo=UTC)
    except ValueError:
        msg = f"{shown(info.filename)} names an hour that does not exist."
        raise StrangeArchive(msg) from None
    stem = f"{match['app']}_{match['day']}_{int(match['hour'])}#{int(match['part'])}"
    return Member(info.filename, stem, int(match["app"]), ExportHour(start), info.file_size, info.CRC)


def shown(name: str) -> str:
    """A foreign name, fit for a log: escaped and cut to length."""
    text = ascii(name)
    return text if len(text) <= 80 else f"{text[:76]}…'"  # noqa: PLR2004

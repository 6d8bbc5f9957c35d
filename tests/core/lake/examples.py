"""Hours, parts and manifests to test with, and strategies that make more of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from core.hours import ExportHour, ExportWindow
from core.lake.layout import ManifestName, Status, part_key, whole_milliseconds
from core.lake.manifest import Manifest, Part

APP = 100011471
HOST = "amplitude.com"
HOUR = ExportHour.parse("2025-12-23T19")
DIGEST = "5f0c9a" + "0" * 26


def at(text: str) -> datetime:
    """A UTC instant."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def member_of(hour: ExportHour, number: int = 0) -> str:
    """What Amplitude calls a member, without its extension; the hour has no leading zero."""
    return f"{APP}_{hour.day}_{int(hour.hour_of_day)}#{number}"


def name(
    exported_at: datetime,
    status: Status = Status.DATA,
    events: int = 0,
    *,
    hour: ExportHour = HOUR,
    digest: str = DIGEST,
) -> ManifestName:
    """A manifest as the listing shows it."""
    return ManifestName(hour, exported_at, status, events, digest)


def part(hour: ExportHour = HOUR, number: int = 0, *, events: int = 10, crc32: int = 0x1A2B3C4D) -> Part:
    """A part of plain JSON."""
    member = member_of(hour, number)
    return Part(
        key=part_key(hour, member, crc32=crc32, compression="none"),
        member=member,
        events=events,
        json_bytes=events * 1800,
        json_crc32=f"{crc32:08x}",
        size_bytes=events * 1800,
        crc32=f"{crc32:08x}",
    )


def manifest(
    *parts: Part,
    hour: ExportHour = HOUR,
    exported_at: datetime | None = None,
    status: Status | None = None,
) -> Manifest:
    """An export of one hour, some hours after it."""
    return Manifest(
        hour=hour,
        app_id=APP,
        api_host=HOST,
        exported_at=exported_at or hour.start + timedelta(hours=3, minutes=15),
        window=ExportWindow(hour, hour),
        status=status or (Status.DATA if parts else Status.EMPTY),
        parts=parts,
    )


hours = st.datetimes(datetime(2014, 11, 12), datetime(2079, 12, 31), timezones=st.just(UTC)).map(  # noqa: DTZ001
    ExportHour.containing
)
instants = st.datetimes(
    datetime(2014, 11, 12),  # noqa: DTZ001
    datetime(2079, 12, 31),  # noqa: DTZ001
    timezones=st.just(UTC),
).map(whole_milliseconds)
digests = st.text("0123456789abcdef", min_size=32, max_size=32)
checksums = st.integers(0, 2**32 - 1)
counts = st.integers(0, 10**12)


@st.composite
def parts(draw: st.DrawFn, hour: ExportHour = HOUR) -> Part:
    """Any part that an export can bring."""
    member = f"{draw(st.integers(1, 10**12))}_{hour.day}_{int(hour.hour_of_day)}#{draw(st.integers(0, 999))}"
    crc32 = draw(checksums)
    key = part_key(hour, member, crc32=crc32, compression=draw(st.sampled_from(["none", "gzip"])))
    return Part(
        key, member, draw(counts), draw(counts), f"{draw(checksums):08x}", draw(counts), f"{crc32:08x}"
    )


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    """Any manifest that can be written."""
    hour = draw(hours)
    first, last = hour - draw(st.integers(0, 23)), hour + draw(st.integers(0, 23))
    status = draw(st.sampled_from(Status))
    return Manifest(
        hour=hour,
        app_id=draw(st.integers(1, 10**12)),
        api_host=draw(st.sampled_from([HOST, "analytics.eu.amplitude.com", "127.0.0.1:8080"])),
        exported_at=draw(instants),
        window=ExportWindow(first, last),
        status=status,
        parts=tuple(draw(st.lists(parts(hour), max_size=4))) if status.has_content else (),
        reason=draw(st.text(max_size=600)) if status is Status.GIVEN_UP else "",
    )


@st.composite
def names(draw: st.DrawFn, hour: ExportHour = HOUR) -> ManifestName:
    """Any manifest of one hour, from a few moments and with few events, so that they meet."""
    status = draw(st.sampled_from(Status))
    events = draw(st.integers(0, 5)) if status in {Status.DATA, Status.ACCEPTED} else 0
    exported_at = hour.start + timedelta(hours=draw(st.integers(3, 12)))
    return ManifestName(hour, exported_at, status, events, f"{draw(st.integers(0, 3)):032x}")

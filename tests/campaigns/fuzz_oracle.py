"""What the standard library makes of an archive: the second opinion on what ours made of it."""

from __future__ import annotations

import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from core.amplitude.archive import ArchiveLimits
from core.amplitude.directory import Directory
from core.errors import DamagedMember
from core.unpacking import ExtractedHour, UnpackedHour
from tests.campaigns.fuzz_archives import ArchiveInput
from tests.campaigns.fuzz_reading import Reading

_DATA = re.compile(r"(?:[0-9]+/)?[0-9][^/]*\.json\.gz")
_RATIO_COUNTS_FROM = 1 << 20
_FOREIGN = (zipfile.BadZipFile, OSError, EOFError, zlib.error, ValueError, KeyError, RuntimeError)


def doubts_about(drawn: ArchiveInput, reading: Reading) -> Iterator[str]:
    """Where the standard library disagrees: in what was accepted, left out, or wrongly refused."""
    if reading.directory is None:
        return
    try:
        with zipfile.ZipFile(io.BytesIO(drawn.data)) as archive:
            entries = [(info.orig_filename, archive.read(info)) for info in archive.infolist()]
    except _FOREIGN as error:
        yield f"zipfile refuses the archive ({type(error).__name__}: {error})"
        return
    payloads = dict(entries)
    yield from _left_out(reading.directory, [name for name, _ in entries])
    for hour in reading.hours.values():
        yield from _parts(hour, reading.directory, payloads)
    for refused, why in reading.refused.items():
        if refused is not None and isinstance(why, DamagedMember):
            members = [payloads[member.name] for member in reading.directory.hours[refused]]
            if _sound(members, drawn.limits):
                yield f"{refused} is sound and within the limits, and was refused: {why}"


def events_in(content: bytes) -> int:
    """Lines with something else in them than white space."""
    return sum(1 for line in content.split(b"\n") if line.strip())


def _left_out(directory: Directory, names: list[str]) -> Iterator[str]:
    """Members whose names are those of data, and that are in no hour."""
    taken = {member.name for members in directory.hours.values() for member in members}
    for name in names:
        if name not in taken and _DATA.fullmatch(name):
            yield f"{name!a} holds data and is in no hour"
    if len(taken) + len(directory.skipped) != len(names):
        yield f"{len(names)} members, {len(taken)} taken and {len(directory.skipped)} skipped"


def _parts(
    hour: UnpackedHour | ExtractedHour, directory: Directory, payloads: dict[str, bytes]
) -> Iterator[str]:
    """Events, bytes and checksums of one hour, file by file."""
    members = directory.hours[hour.hour]
    paths = [part.path for part in hour.parts] if isinstance(hour, UnpackedHour) else list(hour.written)
    contents: list[bytes] = []
    for member, path in zip(members, paths, strict=True):
        payload = payloads[member.name]
        try:
            contents.append(gzip.decompress(payload))
        except _FOREIGN as error:
            yield f"gzip refuses {member.name!a} ({type(error).__name__}: {error})"
            return
        if path.read_bytes() != (payload if path.suffix == ".gz" else contents[-1]):
            yield f"{path.name} is not what {member.name!a} holds"
    events, size_bytes = sum(map(events_in, contents)), sum(map(len, contents))
    if (hour.events, hour.json_bytes) != (events, size_bytes):
        stated = f"{hour.events} events in {hour.json_bytes} bytes"
        yield f"{hour.hour}: {stated} instead of {events} in {size_bytes}"
    if isinstance(hour, UnpackedHour):
        yield from _receipts(hour, contents)


def _receipts(hour: UnpackedHour, contents: list[bytes]) -> Iterator[str]:
    """What goes into the manifest, part by part."""
    for part, content in zip(hour.parts, contents, strict=True):
        body = part.path.read_bytes()
        stated = part.events, part.json_bytes, part.json_crc32, part.size_bytes, part.crc32
        found = events_in(content), len(content), zlib.crc32(content), len(body), zlib.crc32(body)
        if stated != found:
            yield f"{part.path.name}: {stated} instead of {found}"


def _sound(payloads: list[bytes], limits: ArchiveLimits) -> bool:
    """Whether zlib takes every member to its end, and no limit is reached."""
    total = 0
    for payload in payloads:
        size_bytes = _gunzipped_bytes(payload)
        if size_bytes is None or size_bytes > limits.max_member_json_bytes:
            return False
        if size_bytes > max(_RATIO_COUNTS_FROM, len(payload) * limits.max_ratio):
            return False
        total += size_bytes
    return total <= limits.max_hour_json_bytes


def _gunzipped_bytes(payload: bytes) -> int | None:
    """How much zlib makes of a payload; None if it is not sound from end to end."""
    size_bytes = 0
    while True:
        stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            size_bytes += len(stream.decompress(payload, 4 << 20))
        except zlib.error:
            return None
        if not stream.eof:
            return None
        payload = stream.unused_data
        if not payload:
            return size_bytes


def stray_files(folder: Path, limits: ArchiveLimits) -> Iterator[str]:
    """Files below the folder of an input that have no business there, or are larger than the limits allow."""
    for hour in folder.iterdir():
        sizes = {path.name: path.stat().st_size for path in hour.iterdir()}
        for name in sizes:
            if not re.fullmatch(r"[0-9]{1,18}_[0-9-]{10}_[0-9]{1,2}_[0-9]{1,9}\.json(\.gz)?", name):
                yield f"a file is called {hour.name}/{name!a}"
        plain = [size for name, size in sizes.items() if name.endswith(".json")]
        if plain and (max(plain) > limits.max_member_json_bytes or sum(plain) > limits.max_hour_json_bytes):
            yield f"{sum(plain):,} bytes of JSON were written for {hour.name}"
        if sum(sizes.values()) - sum(plain) > limits.max_archive_gzip_bytes:
            yield f"{sum(sizes.values()):,} bytes were written for {hour.name}"

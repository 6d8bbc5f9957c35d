"""What one hour consists of. A manifest is written last: its presence commits the hour."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from core.errors import HourUnusable, InvalidInput
from core.hours import ExportHour, ExportWindow
from core.lake.layout import ManifestName, Status, stamp

VERSION = 1
_MAX_BODY_BYTES = 64 << 20
_MAX_REASON_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Part:
    """One object of the lake.

    Attributes:
        key: Relative to the lake's prefix.
        member: Base name of the archive's member it comes from, ``100011471_2025-12-23_19#0``.
        events: Lines with an event.
        json_bytes: Size of the JSON, gunzipped.
        json_crc32: CRC-32 of the JSON, eight hexadecimal characters: the one in Amplitude's gzip trailer.
        size_bytes: Size of the object.
        crc32: CRC-32 of the object's bytes: what S3 has checked and stores.
    """

    key: str
    member: str
    events: int
    json_bytes: int
    json_crc32: str
    size_bytes: int
    crc32: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """One export of one hour, immutable.

    Attributes:
        exported_at: UTC, whole milliseconds, just before the request was sent.
        window: What that request asked for.
        reason: Why the hour is given up, in somebody's own words; kept as :func:`reason_line` has it.
    """

    hour: ExportHour
    app_id: int
    api_host: str
    exported_at: datetime
    window: ExportWindow
    status: Status
    parts: tuple[Part, ...]
    reason: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", reason_line(self.reason))

    @property
    def events(self) -> int:
        """Of all parts."""
        return sum(part.events for part in self.parts)

    @property
    def json_bytes(self) -> int:
        """Of all parts, gunzipped."""
        return sum(part.json_bytes for part in self.parts)

    @property
    def size_bytes(self) -> int:
        """Of all objects."""
        return sum(part.size_bytes for part in self.parts)

    @property
    def digest(self) -> str:
        """Equal for equal content, however it was packed: see :func:`content_digest`."""
        return content_digest(self.parts)

    @property
    def name(self) -> ManifestName:
        """Where it lies, and what the listing shows of it."""
        return ManifestName(self.hour, self.exported_at, self.status, self.events, self.digest)

    def to_json(self) -> bytes:
        """Canonical: sorted keys, no spaces, UTF-8; a reason only if there is one."""
        body: dict[str, Any] = {
            "version": VERSION,
            "hour": str(self.hour),
            "app_id": self.app_id,
            "api_host": self.api_host,
            "exported_at": stamp(self.exported_at),
            "window": [str(self.window.first), str(self.window.last)],
            "status": self.status.value,
            "parts": [{name: getattr(part, name) for name in Part.__slots__} for part in self.parts],
            "totals": {"events": self.events, "json_bytes": self.json_bytes, "size_bytes": self.size_bytes},
        }
        if self.reason:
            body["reason"] = self.reason
        return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, body: bytes, name: ManifestName) -> Manifest:
        """Read a manifest and hold it against its name.

        Raises:
            HourUnusable: It is damaged, of a newer version, or not what its name says. Permanent.
        """
        try:
            if len(body) > _MAX_BODY_BYTES:
                msg = f"{len(body):,} bytes"
                raise ValueError(msg)
            manifest = cls._from_fields(json.loads(body))
        except (InvalidInput, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            why = f"{type(error).__name__}: {reason_line(str(error))[:100]}"
            msg = f"The manifest {name.key} cannot be read ({why})."
            raise HourUnusable(msg) from None
        if manifest.name != name:
            msg = f"The manifest {name.key} holds something else than its name says."
            raise HourUnusable(msg)
        return manifest

    @classmethod
    def _from_fields(cls, fields: Mapping[str, Any]) -> Manifest:
        if fields["version"] != VERSION:
            msg = f"version {fields['version']!r}, this release reads {VERSION}"
            raise ValueError(msg)
        first, last = (ExportHour.parse(hour) for hour in fields["window"])
        return cls(
            hour=ExportHour.parse(fields["hour"]),
            app_id=_integer(fields["app_id"]),
            api_host=_text(fields["api_host"]),
            exported_at=datetime.strptime(fields["exported_at"], "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC),
            window=ExportWindow(first, last),
            status=Status(fields["status"]),
            parts=tuple(_part(part) for part in fields["parts"]),
            reason=_text(fields["reason"]) if "reason" in fields else "",
        )


def content_digest(parts: tuple[Part, ...]) -> str:
    """The identity of an hour's content: 32 hexadecimal characters of SHA-256.

    Over base name of the member, events, bytes and CRC-32 of each part's JSON, sorted; so neither the
    order of an answer nor the lake's compression makes a difference.
    """
    facts = sorted([part.member, part.events, part.json_bytes, part.json_crc32] for part in parts)
    return hashlib.sha256(json.dumps(facts, separators=(",", ":")).encode()).hexdigest()[:32]


def reason_line(text: str) -> str:
    """A reason as a manifest keeps it: one line of at most 500 characters that can be shown."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(shown.split())[:_MAX_REASON_CHARACTERS].rstrip()


def _part(fields: Mapping[str, Any]) -> Part:
    if set(fields) != set(Part.__slots__):
        msg = f"a part with the fields {sorted(fields)}"
        raise ValueError(msg)
    numbers = {name: _integer(fields[name]) for name in ("events", "json_bytes", "size_bytes")}
    texts = {name: _text(fields[name]) for name in ("key", "member", "json_crc32", "crc32")}
    return Part(**numbers, **texts)  # type: ignore[arg-type]


def _integer(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        msg = f"{value!r} is not a count"
        raise ValueError(msg)
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        msg = f"{value!r} is not a text"
        raise ValueError(msg)
    value.encode()  # half a character, as JSON can spell it, could not be written again
    return value

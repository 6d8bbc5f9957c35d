"""Events, one JSON line each, drawn from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from random import Random

from core.hours import ONE_HOUR, ExportHour
from emulators.amplitude.people import Person, draw_crowd, hex_uuid
from emulators.amplitude.templates import KINDS, WEIGHTS, event_template

#: So many events were made days before they were received: their device had no network.
_LATE_SHARE = 0.03
_LATE_MS = timedelta(days=10) // timedelta(milliseconds=1)

#: A person has so many events in a row.
_IN_A_ROW = 3

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR_MS = ONE_HOUR // timedelta(milliseconds=1)


class EventWriter:
    """The events of one project, about 40 MB of JSON a second.

    Guarantees: the same seed, project, hour, purpose and count give the same lines; no two lines
    share a ``uuid`` or an ``$insert_id``. Safe to share between threads.
    """

    def __init__(self, seed: int, app_id: int) -> None:
        self._seed = seed
        self._app_id = app_id
        self._crowd = draw_crowd(seed, app_id)
        self._templates: dict[tuple[int, int, bool], str] = {}

    def lines(self, hour: ExportHour, count: int, purpose: str) -> Iterator[bytes]:
        """``count`` events that were received within ``hour``, in the order in which they came in."""
        chance = Random(f"{self._seed}:{self._app_id}:{hour}:{purpose}")  # noqa: S311
        weights = list(accumulate(WEIGHTS))
        kinds = range(len(KINDS))
        person = self._crowd[0]
        for number in range(count):
            if number % _IN_A_ROW == 0:
                person = chance.choice(self._crowd)
            template = self._template(
                person, chance.choices(kinds, cum_weights=weights)[0], plan=number % 4 == 0
            )
            upload = hour.start + timedelta(milliseconds=int((number + chance.random()) * _HOUR_MS / count))
            yield (template % _slots(chance, person, hour, number, upload)).encode()

    def _template(self, person: Person, kind: int, *, plan: bool) -> str:
        key = person.number, kind, plan
        if key not in self._templates:
            self._templates[key] = event_template(self._app_id, person, kind, plan=plan)
        return self._templates[key]


def _slots(
    chance: Random, person: Person, hour: ExportHour, number: int, upload: datetime
) -> dict[str, object]:
    """What differs from event to event: the values for a template's slots."""
    received = _stamp(upload - timedelta(milliseconds=4))
    ago_ms = 5 + chance.randrange(30_000)
    if chance.random() < _LATE_SHARE:
        ago_ms += chance.randrange(_LATE_MS)
    happened = _stamp(upload - timedelta(milliseconds=ago_ms))
    bits = chance.getrandbits(64)
    return {
        "insert_id": hex_uuid(chance.getrandbits(128)),
        "uuid": hex_uuid(chance.getrandbits(128)),
        "event_id": number,
        "session_id": (hour.start - _EPOCH) // timedelta(milliseconds=1) - person.number * 20_011,
        "client_event_time": happened,
        "client_upload_time": received,
        "event_time": happened,
        "server_received_time": received,
        "server_upload_time": _stamp(upload),
        "processed_time": _stamp(upload + timedelta(milliseconds=1449)),
        "small": bits % 17,
        "large": bits % 4099,
        "huge": 9_007_199_254_740_993 + bits % 100_003,
        "token": f"{bits:016x}",
    }


def _stamp(instant: datetime) -> str:
    """An instant as Amplitude writes it: ``2025-12-23 19:25:16.820000``, UTC, without a zone."""
    return instant.replace(tzinfo=None).isoformat(" ", "microseconds")

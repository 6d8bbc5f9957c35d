"""What goes wrong, how often, and for whom."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from threading import Lock
from typing import Literal, Self, get_args

from core.errors import InvalidInput
from core.hours import ExportHour, ExportWindow
from emulators.amplitude.specs import Hours, concerns, read_count, read_hours, read_number, read_pairs

#: Instead of an answer, or around one.
WireFault = Literal["status", "redirect", "reset", "html", "empty", "slow"]

#: On the way of a sound archive.
BodyFault = Literal["truncated", "cut", "stall"]

#: Inside an archive that arrives whole.
ArchiveFault = Literal[
    "flipped-gzip", "flipped-zip", "truncated-gzip", "bomb", "stranger", "second-app", "duplicate", "outside"
]

_OVERTAKING = frozenset(get_args(WireFault))
_KINDS = (*get_args(WireFault), *get_args(BodyFault), *get_args(ArchiveFault))


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong ``times`` times, and then heals.

    ========================  ======================================================================
    ``status``                an answer with ``status``, ``text`` and ``retry_after``
    ``redirect``              302 to ``location``
    ``reset``                 the connection is reset before a byte was sent
    ``html``, ``empty``       200 with a page instead of a zip, 200 with nothing
    ``slow``                  the first byte comes ``seconds`` later, then all is well
    ``truncated``             the body ends early, and Content-Length agrees with it
    ``cut``                   the connection ends before the body does
    ``stall``                 ``seconds`` of silence amid the body, then all is well
    ``flipped-gzip``          a bit is wrong in a member's gzip; the zip's checksum agrees with it
    ``flipped-zip``           a bit is wrong in a member; the zip's checksum tells
    ``truncated-gzip``        a member's gzip ends early; the zip around it is sound
    ``bomb``                  one member more, of ``megabytes`` of blank lines, about 1000:1
    ``stranger``              one member more, called ``name``
    ``second-app``            one member more, of another project
    ``duplicate``             a member is there twice
    ``outside``               one member more, of the hour after the window
    ========================  ======================================================================

    Guarantees: kinds from ``truncated`` on wait for a request that would have been answered with
    an archive (holding one of ``hours``, if given); the first member of the first such hour is
    the one that suffers. Nothing is used up by requests that do not match.

    Args:
        kind: See above.
        times: How often; None for always.
        skip: How many matching requests are spared first.
        hours: Only requests that ask for one of these hours; None for all requests.
        min_hours: Only requests for at least so many hours.
        status: For ``status``.
        retry_after: Value of a Retry-After header: seconds, or an HTTP date.
        text: The body, for ``status``; None for what Amplitude would say.
        seconds: For ``slow`` and ``stall``.
        megabytes: For ``bomb``.
        fraction: Where in the body ``truncated``, ``cut`` and ``stall`` come, 0 to 1.
        name: For ``stranger``.
        location: For ``redirect``.
    """

    kind: WireFault | BodyFault | ArchiveFault
    times: int | None = 1
    skip: int = 0
    hours: Hours = None
    min_hours: int = 1
    status: int = 500
    retry_after: int | str | None = None
    text: str | None = None
    seconds: float = 1.0
    megabytes: int = 100
    fraction: float = 0.5
    name: str = "stranger.bin"
    location: str = "http://127.0.0.1:9/api/2/export"

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            msg = f"There is no fault {self.kind!r}; there are {', '.join(_KINDS)}."
            raise InvalidInput(msg)
        if not 0 <= self.fraction <= 1 or not 200 <= self.status <= 599:  # noqa: PLR2004
            msg = "A fault's fraction lies between 0 and 1, its status between 200 and 599."
            raise InvalidInput(msg)

    @property
    def label(self) -> str:
        """How the log of requests calls it: its kind, or the status."""
        return str(self.status) if self.kind == "status" else self.kind

    def strikes(self, window: ExportWindow, served: Collection[ExportHour]) -> bool:
        """Whether it concerns a request for ``window`` that would be answered with ``served`` hours."""
        candidates: Iterable[ExportHour] = window if self.kind in _OVERTAKING else served
        if len(window) < self.min_hours:
            return False
        return any(concerns(self.hours, hour) for hour in candidates)

    @classmethod
    def parse(cls, text: str) -> Self:
        """``cut``, ``429:times=2,retry_after=1``, ``flipped-gzip:hours=2025-12-23T19,times=always``.

        A number is a status; settings are those of this class, except for ``status`` and ``text``.

        Raises:
            InvalidInput: It says something else. Permanent.
        """
        kind, _, rest = text.partition(":")
        pairs = read_pairs(rest, cls.__dataclass_fields__.keys() - {"kind", "status", "text"})
        times = pairs.get("times", "1")
        number = kind.isascii() and kind.isdigit()
        if not number and (kind == "status" or kind not in _KINDS):
            msg = f"There is no fault {kind!r}; there are statuses (503) and {', '.join(_KINDS[1:])}."
            raise InvalidInput(msg)
        return cls(
            "status" if number else kind,  # type: ignore[arg-type]
            times=None if times == "always" else read_count("times", times),
            skip=read_count("skip", pairs.get("skip", "0")),
            hours=read_hours(pairs["hours"]) if "hours" in pairs else None,
            min_hours=read_count("min_hours", pairs.get("min_hours", "1")),
            status=int(kind) if number else 500,
            retry_after=pairs.get("retry_after"),
            seconds=read_number("seconds", pairs.get("seconds", "1")),
            megabytes=read_count("megabytes", pairs.get("megabytes", "100")),
            fraction=read_number("fraction", pairs.get("fraction", "0.5")),
            name=pairs.get("name", "stranger.bin"),
            location=pairs.get("location", "http://127.0.0.1:9/api/2/export"),
        )


class FaultPlan:
    """The faults that are still to come, in their order; may be added to at any time.

    Guarantees: a request meets at most one fault, the first that strikes; one that has struck
    ``times`` times is gone. Safe to share between threads.
    """

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._lock = Lock()
        self._left: list[tuple[Fault, list[int]]] = []
        for fault in faults:
            self.add(fault)

    def __iter__(self) -> Iterator[Fault]:
        """The faults that have not healed."""
        with self._lock:
            return iter([fault for fault, _ in self._left])

    def add(self, fault: Fault) -> None:
        """One more thing to go wrong, after the others."""
        if fault.times != 0:
            with self._lock:
                self._left.append((fault, [0]))

    def clear(self) -> None:
        """Heal everything."""
        with self._lock:
            self._left.clear()

    def take(self, window: ExportWindow, served: Collection[ExportHour]) -> Fault | None:
        """The fault that a request meets, one of its times used up."""
        with self._lock:
            for place, (fault, met) in enumerate(self._left):
                if not fault.strikes(window, served):
                    continue
                met[0] += 1
                if met[0] <= fault.skip:
                    continue
                if fault.times is not None and met[0] == fault.skip + fault.times:
                    del self._left[place]
                return fault
        return None

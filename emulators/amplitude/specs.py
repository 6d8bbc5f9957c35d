"""Settings on one line, as a shell gives them: ``times=2,hours=2025-12-23T19..2025-12-23T21``."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from core.errors import InvalidInput
from core.hours import ExportHour, ExportWindow

#: Which hours something concerns: a window, some hours, or (None) every hour.
Hours = ExportWindow | Collection[ExportHour] | None


def concerns(hours: Hours, hour: ExportHour) -> bool:
    """Whether ``hour`` is one of ``hours``."""
    return hours is None or hour in hours


def read_pairs(text: str, known: Collection[str]) -> dict[str, str]:
    """``a=1,b=2`` as a dict; an empty text is an empty dict.

    Raises:
        InvalidInput: A pair without ``=``, or a name that is not in ``known``. Permanent.
    """
    pairs: dict[str, str] = {}
    for item in filter(None, text.split(",")):
        name, equals, value = item.partition("=")
        if not equals or name not in known:
            msg = f"{item!r} is not a setting; there are {', '.join(f'{name}=…' for name in sorted(known))}."
            raise InvalidInput(msg)
        pairs[name] = value
    return pairs


def read_hours(text: str) -> ExportWindow:
    """``2025-12-23T19`` or, both included, ``2025-12-23T19..2025-12-23T21``."""
    first, _, last = text.partition("..")
    return ExportWindow(ExportHour.parse(first), ExportHour.parse(last or first))


def read_number(name: str, text: str) -> float:
    """A number that is not negative.

    Raises:
        InvalidInput: It is not one. Permanent.
    """
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        msg = f"{name} takes a number from 0 up, not {text!r}."
        raise InvalidInput(msg)
    return number


def read_count(name: str, text: str) -> int:
    """A whole number that is not negative.

    Raises:
        InvalidInput: It is not one. Permanent.
    """
    if not (text.isascii() and text.isdigit()):
        msg = f"{name} takes a whole number from 0 up, not {text!r}."
        raise InvalidInput(msg)
    return int(text)


def read_instant(name: str, text: str) -> datetime:
    """An ISO instant with its time zone, ``2025-12-24T06:00:00Z``.

    Raises:
        InvalidInput: It is not one, or it has no time zone. Permanent.
    """
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        msg = f"{name} takes an instant with its time zone, such as 2025-12-24T06:00:00Z, not {text!r}."
        raise InvalidInput(msg)
    return instant

"""What the caller of a gap-fill asks for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from core.errors import InvalidInput
from core.hours import ExportHour, ExportWindow
from core.lake.manifest import reason_line
from core.planning import check_range


@dataclass(frozen=True, slots=True)
class GapWishes:
    """What the caller of a gap-fill asks for.

    Attributes:
        first, last: The range, as far as it was given; if none was, that of the named hours.
        settle: Whether hours that have rested long enough are exported once more.
        verify: Whether the objects and rows of the whole range are compared, not of the last days only.
        accept_smaller: Whether an hour that holds fewer events than before is taken as it is now.
        dry_run: Whether nothing is written anywhere.
        give_up: Hours that are not asked for any more, for ``reason``.
        retry: Hours that are exported again, whether they were given up or not.
        reject: Hours of which Snowflake may refuse lines.
        only_named: Whether the range is that of the named hours, for none was given.
    """

    first: ExportHour | None = None
    last: ExportHour | None = None
    settle: bool = True
    verify: bool = False
    accept_smaller: bool = False
    dry_run: bool = False
    give_up: tuple[ExportHour, ...] = ()
    reason: str = ""
    retry: tuple[ExportHour, ...] = ()
    reject: tuple[ExportHour, ...] = ()
    only_named: bool = False

    def __post_init__(self) -> None:
        if self.give_up and not reason_line(self.reason):
            msg = "Giving an hour up needs a reason: --give-up HOUR --reason TEXT."
            raise InvalidInput(msg)
        if self.reason and not self.give_up:
            msg = "A reason belongs to an hour that is given up: --give-up HOUR --reason TEXT."
            raise InvalidInput(msg)
        if both := {*self.give_up} & {*self.retry, *self.reject}:
            msg = f"{min(both)} cannot be given up and asked for at once."
            raise InvalidInput(msg)
        if self.dry_run and (self.named or self.accept_smaller):
            orders = "--give-up, --retry, --reject-bad-lines and --accept-smaller"
            msg = f"A dry run writes nothing: leave out --dry-run, or {orders}."
            raise InvalidInput(msg)
        if self.accept_smaller and (self.first is None or self.last is None):
            msg = "--accept-smaller needs --start and --end: it accepts every hour of them that has shrunk."
            raise InvalidInput(msg)
        for hour in self.named:
            if (self.first and hour < self.first) or (self.last and hour > self.last):
                msg = f"{hour} lies outside the range that --start and --end give."
                raise InvalidInput(msg)

    @classmethod
    def read(  # noqa: PLR0913  # the parameters of the flow
        cls,
        now: datetime,
        start: str | None = None,
        end: str | None = None,
        *,
        give_up: Iterable[str] = (),
        retry: Iterable[str] = (),
        reject: Iterable[str] = (),
        reason: str = "",
        settle: bool = True,
        verify: bool = False,
        accept_smaller: bool = False,
        dry_run: bool = False,
    ) -> Self:
        """The same, with hours as texts.

        Args:
            now: The run's actual start, aware.

        Raises:
            InvalidInput: An hour that is none or cannot be exported yet, or wishes that exclude each
                other. Permanent.
        """
        up, again, refusing = (tuple(map(ExportHour.parse, hours)) for hours in (give_up, retry, reject))
        first, last = (ExportHour.parse(hour) if hour else None for hour in (start, end))
        named = [*up, *again, *refusing]
        for hour in (*named, first, last):
            check_range(now, hour, None)
        only_named = bool(named) and first is None and last is None
        if only_named:
            first, last = min(named), max(named)
            if len({*named}) != len(ExportWindow(first, last)):
                msg = "Name hours that follow one another, or give --start and --end, or run once for each."
                raise InvalidInput(msg)
        return cls(
            first, last, settle, verify, accept_smaller, dry_run, up, reason, again, refusing, only_named
        )

    @property
    def named(self) -> list[ExportHour]:
        """Hours that are asked for one by one."""
        return [*self.give_up, *self.retry, *self.reject]

    @property
    def explicit(self) -> bool:
        """Whether the caller named the range."""
        return self.first is not None or self.last is not None

"""What may be asked of a gap-fill, and what is refused before anything is done."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import InvalidInput
from core.gap_wishes import GapWishes
from core.hours import ExportHour
from tests.core.lake.examples import HOUR, at

NOW = at("2025-12-23T22:10")
EARLIER = HOUR - 10


def read(start: str | None = None, end: str | None = None, **wishes: Any) -> GapWishes:
    return GapWishes.read(NOW, start, end, **wishes)


def wishing(wish: str, *hours: ExportHour) -> dict[str, Any]:
    """One wish for some hours, with the reason that it may need."""
    reason = {"reason": "too large"} if wish == "give_up" else {}
    return {wish: list(map(str, hours)), **reason}


def test_nothing_asked_for_is_everything_and_what_is_due() -> None:
    assert read() == GapWishes()
    assert (read().settle, read().verify, read().dry_run, read().accept_smaller) == (
        True,
        False,
        False,
        False,
    )
    assert read().named == []
    assert not read().explicit


def test_wishes_are_handed_on_as_they_are() -> None:
    assert read(
        "20251223T09", "2025-12-23T19", settle=False, verify=True, retry=["2025-12-23T18"]
    ) == GapWishes(EARLIER, HOUR, settle=False, verify=True, retry=(HOUR - 1,))
    assert read(dry_run=True) == GapWishes(dry_run=True)
    assert read("2025-12-23T09", "2025-12-23T19", accept_smaller=True).accept_smaller


@pytest.mark.parametrize(("start", "end"), [("2025-12-23T09", None), (None, "2025-12-23T09")])
def test_a_range_is_explicit_as_soon_as_one_end_of_it_is_given(start: str | None, end: str | None) -> None:
    assert read(start, end).explicit


# Hours that are named one by one


@pytest.mark.parametrize("wish", ["retry", "reject", "give_up"])
def test_without_a_range_the_run_answers_for_the_named_hours(wish: str) -> None:
    wishes = read(**wishing(wish, HOUR, HOUR - 2, HOUR - 1))
    assert (wishes.first, wishes.last) == (HOUR - 2, HOUR)
    assert getattr(wishes, wish) == (HOUR, HOUR - 2, HOUR - 1)
    assert wishes.explicit
    assert wishes.only_named


@pytest.mark.parametrize("wish", ["retry", "reject", "give_up"])
def test_hours_between_named_ones_are_never_meant(wish: str) -> None:
    with pytest.raises(InvalidInput, match="Name hours that follow one another"):
        read(**wishing(wish, HOUR, HOUR - 2))
    assert not read(str(HOUR - 2), str(HOUR), **wishing(wish, HOUR, HOUR - 2)).only_named


def test_the_range_covers_hours_of_every_kind() -> None:
    wishes = read(give_up=[str(HOUR - 1)], reason="gone", retry=[str(HOUR - 2)], reject=[str(HOUR)])
    assert (wishes.first, wishes.last) == (HOUR - 2, HOUR)
    assert wishes.named == [HOUR - 1, HOUR - 2, HOUR]


def test_a_range_that_was_given_is_left_as_it_is() -> None:
    assert read(str(EARLIER), retry=[str(HOUR - 3)]) == GapWishes(EARLIER, None, retry=(HOUR - 3,))
    assert read(None, str(HOUR), retry=[str(HOUR - 3)]) == GapWishes(None, HOUR, retry=(HOUR - 3,))


def test_an_hour_may_be_asked_for_again_and_lose_its_bad_lines_at_once() -> None:
    assert read(retry=[str(HOUR)], reject=[str(HOUR)]).named == [HOUR, HOUR]


# What cannot be


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({"give_up": [str(HOUR)]}, "Giving an hour up needs a reason: --give-up HOUR --reason TEXT"),
        ({"give_up": [str(HOUR)], "reason": " \n"}, "needs a reason"),
        ({"reason": "too large"}, "A reason belongs to an hour that is given up"),
        ({"reason": "too large", "retry": [str(HOUR)]}, "A reason belongs to an hour that is given up"),
        (
            {"give_up": [str(HOUR)], "reason": "gone", "retry": [str(HOUR)]},
            f"{HOUR} cannot be given up and asked for at once",
        ),
        (
            {"give_up": [str(HOUR)], "reason": "gone", "reject": [str(HOUR)]},
            f"{HOUR} cannot be given up and asked for at once",
        ),
        ({"dry_run": True, "accept_smaller": True}, "A dry run writes nothing"),
        ({"accept_smaller": True}, "--accept-smaller needs --start and --end"),
        ({"accept_smaller": True, "start": str(HOUR)}, "--accept-smaller needs --start and --end"),
        ({"end": str(HOUR + 1)}, "is complete at"),
        ({"dry_run": True, "retry": [str(HOUR)]}, "A dry run writes nothing"),
        ({"dry_run": True, "reject": [str(HOUR)]}, "A dry run writes nothing"),
        ({"dry_run": True, "give_up": [str(HOUR)], "reason": "gone"}, "A dry run writes nothing"),
    ],
)
def test_wishes_that_exclude_each_other_are_refused_with_what_to_do(
    wishes: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        read(**wishes)


@pytest.mark.parametrize(
    ("start", "end", "named"),
    [(HOUR - 2, None, HOUR - 3), (None, HOUR - 2, HOUR - 1), (HOUR - 5, HOUR - 2, HOUR)],
)
@pytest.mark.parametrize("wish", ["retry", "reject", "give_up"])
def test_an_hour_outside_the_range_is_refused(
    start: ExportHour | None, end: ExportHour | None, named: ExportHour, wish: str
) -> None:
    first, last = (str(hour) if hour else None for hour in (start, end))
    with pytest.raises(InvalidInput, match=f"{named} lies outside the range"):
        read(first, last, **wishing(wish, named))


@pytest.mark.parametrize("wish", ["retry", "reject", "give_up"])
@pytest.mark.parametrize(
    ("hour", "words"),
    [
        (HOUR + 1, "is complete at 2025-12-23T23:00Z"),
        (HOUR + 100, "lies in the future"),
        (ExportHour.parse("2014-11-11T23"), "hold whole days"),
    ],
)
def test_an_hour_that_cannot_be_exported_is_refused_whatever_is_wished_of_it(
    wish: str, hour: ExportHour, words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        read(**wishing(wish, HOUR, hour))


@pytest.mark.parametrize(
    "wishes", [{"start": "yesterday"}, {"end": "2025-12-23T24"}, {"retry": ["2025-12-23 19:00"]}]
)
def test_what_is_no_hour_is_refused(wishes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="Not an export hour"):
        read(**wishes)

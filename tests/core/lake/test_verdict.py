"""Which of an hour's manifests counts: the rules one by one, and the laws behind them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.hours import ExportHour
from core.lake.layout import ManifestName, Status
from core.lake.verdict import HourVerdict, settled_from, verdict_of, verdicts_of
from tests.core.lake.examples import HOUR, name, names

DATA, EMPTY, ACCEPTED = Status.DATA, Status.EMPTY, Status.ACCEPTED
GIVEN_UP, RETRY = Status.GIVEN_UP, Status.RETRY

histories = st.lists(names(), max_size=8, unique=True)


def moment(number: int) -> datetime:
    return HOUR.start + timedelta(hours=3 + number)


def history(*said: Status | tuple[Status, int]) -> list[ManifestName]:
    """Manifests in the order of their exports, an hour apart."""
    pairs = [(one, 0) if isinstance(one, Status) else one for one in said]
    return [name(moment(number), status, events) for number, (status, events) in enumerate(pairs)]


def judged(*said: Status | tuple[Status, int]) -> HourVerdict:
    return verdict_of(HOUR, history(*said))


def content_of(verdict: HourVerdict) -> tuple[int, int] | None:
    """Which of the history counts, and with how many events."""
    if verdict.content is None:
        return None
    exported_at = verdict.content.exported_at
    return int((exported_at - moment(0)) / timedelta(hours=1)), verdict.content.events


@settings(max_examples=50)
@given(histories, st.randoms())
def test_the_verdict_does_not_depend_on_the_order_of_arrival(found: list[ManifestName], chance: Any) -> None:
    arrived = list(found)
    chance.shuffle(arrived)
    assert verdict_of(HOUR, arrived) == verdict_of(HOUR, found)


@settings(max_examples=50)
@given(histories)
def test_no_event_is_lost_unless_somebody_accepted_that(found: list[ManifestName]) -> None:
    said = sorted(one for one in found if one.status.has_content)
    accepted = max((place for place, one in enumerate(said) if one.status is ACCEPTED), default=0)
    content = verdict_of(HOUR, found).content
    if not said:
        assert content is None
    else:
        assert content is not None
        assert content.events == max(one.events for one in said[accepted:])


@settings(max_examples=50)
@given(histories)
def test_an_hour_that_an_export_landed_in_has_content_for_ever(found: list[ManifestName]) -> None:
    landed = any(one.status.has_content for one in found)
    assert (verdict_of(HOUR, found).content is not None) == landed
    assert not landed or verdict_of(HOUR, found).is_committed


@settings(max_examples=50)
@given(histories)
def test_what_does_not_count_and_came_later_is_shown(found: list[ManifestName]) -> None:
    verdict = verdict_of(HOUR, found)
    said = sorted(one for one in found if one.status.has_content)
    if verdict.content is not None:
        assert list(verdict.shrunk) == said[said.index(verdict.content) + 1 :]
        assert all(one.events < verdict.content.events for one in verdict.shrunk)
    else:
        assert verdict.shrunk == ()


@settings(max_examples=50)
@given(histories)
def test_the_content_is_one_that_was_exported(found: list[ManifestName]) -> None:
    content = verdict_of(HOUR, found).content
    assert content is None or (content in found and content.status.has_content)


@settings(max_examples=50)
@given(histories)
def test_a_retry_at_the_end_ends_every_give_up(found: list[ManifestName]) -> None:
    last = name(moment(20), RETRY)
    before, after = verdict_of(HOUR, found), verdict_of(HOUR, [*found, last])
    assert not after.given_up
    assert (after.content, after.shrunk) == (before.content, before.shrunk)


@settings(max_examples=50)
@given(histories)
def test_giving_up_takes_no_content_away(found: list[ManifestName]) -> None:
    last = name(moment(20), GIVEN_UP)
    before, after = verdict_of(HOUR, found), verdict_of(HOUR, [*found, last])
    assert after.given_up
    assert (after.content, after.shrunk) == (before.content, before.shrunk)


@pytest.mark.parametrize(
    ("said", "content"),
    [
        ([], None),
        ([(DATA, 5)], (0, 5)),
        ([EMPTY], (0, 0)),
        ([EMPTY, EMPTY], (1, 0)),
        ([EMPTY, (DATA, 5)], (1, 5)),
        ([(DATA, 5), (DATA, 6)], (1, 6)),
        ([(DATA, 5), (DATA, 5)], (1, 5)),
        ([(DATA, 5), (DATA, 4)], (0, 5)),
        ([(DATA, 5), EMPTY], (0, 5)),
        ([(DATA, 5), (DATA, 4), (DATA, 5)], (2, 5)),
        ([(DATA, 5), (DATA, 4), (ACCEPTED, 4)], (2, 4)),
        ([(DATA, 5), (ACCEPTED, 0)], (1, 0)),
        ([(DATA, 5), (ACCEPTED, 3), (DATA, 2)], (1, 3)),
        ([(DATA, 5), (ACCEPTED, 3), (DATA, 4)], (2, 4)),
        ([(DATA, 0), EMPTY], (1, 0)),
        ([GIVEN_UP], None),
        ([RETRY], None),
        ([(DATA, 5), GIVEN_UP], (0, 5)),
        ([GIVEN_UP, (DATA, 5)], (1, 5)),
        ([(DATA, 5), GIVEN_UP, RETRY], (0, 5)),
    ],
)
def test_which_export_counts(
    said: list[Status | tuple[Status, int]], content: tuple[int, int] | None
) -> None:
    assert content_of(judged(*said)) == content


@pytest.mark.parametrize(
    ("said", "given_up"),
    [
        ([], False),
        ([GIVEN_UP], True),
        ([GIVEN_UP, GIVEN_UP], True),
        ([GIVEN_UP, RETRY], False),
        ([RETRY, GIVEN_UP], True),
        ([GIVEN_UP, RETRY, GIVEN_UP], True),
        # any export that lands ends the give-up of a missing hour
        ([GIVEN_UP, (DATA, 5)], False),
        ([GIVEN_UP, EMPTY], False),
        ([GIVEN_UP, (ACCEPTED, 1)], False),
        ([GIVEN_UP, (DATA, 5), (DATA, 4)], False),
        ([GIVEN_UP, GIVEN_UP, (DATA, 5)], False),
        # with content, only a retry ends it
        ([(DATA, 5), GIVEN_UP], True),
        ([EMPTY, GIVEN_UP], True),
        ([(DATA, 5), GIVEN_UP, (DATA, 6)], True),
        ([(DATA, 5), GIVEN_UP, (DATA, 4)], True),
        ([(DATA, 5), GIVEN_UP, (ACCEPTED, 4)], True),
        ([(DATA, 5), GIVEN_UP, (DATA, 6), RETRY], False),
        ([GIVEN_UP, (DATA, 5), GIVEN_UP, (DATA, 6)], True),
    ],
)
def test_when_an_hour_is_given_up(said: list[Status | tuple[Status, int]], given_up: bool) -> None:
    assert judged(*said).given_up is given_up


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ([GIVEN_UP], 0),
        ([GIVEN_UP, GIVEN_UP], 1),
        ([GIVEN_UP, RETRY, GIVEN_UP], 2),
        ([(DATA, 5), GIVEN_UP, (DATA, 6)], 1),
        ([GIVEN_UP, EMPTY, GIVEN_UP], 2),
    ],
)
def test_who_gave_an_hour_up_last_is_told(said: list[Status | tuple[Status, int]], place: int) -> None:
    assert judged(*said).give_up == history(*said)[place]


@settings(max_examples=50)
@given(histories)
def test_a_give_up_that_is_told_is_one_that_was_said(found: list[ManifestName]) -> None:
    verdict = verdict_of(HOUR, found)
    assert verdict.given_up == (verdict.give_up is not None)
    assert verdict.give_up is None or (verdict.give_up in found and verdict.give_up.status is GIVEN_UP)


@pytest.mark.parametrize(
    ("said", "committed"),
    [
        ([], False),
        ([RETRY], False),
        ([GIVEN_UP, RETRY], False),
        ([GIVEN_UP], True),
        ([EMPTY], True),
        ([(DATA, 5)], True),
        ([(DATA, 5), GIVEN_UP, RETRY], True),
    ],
)
def test_an_hour_is_committed_by_content_or_by_giving_up(
    said: list[Status | tuple[Status, int]], committed: bool
) -> None:
    assert judged(*said).is_committed is committed


def test_shrunk_exports_are_kept_until_an_export_holds_no_less() -> None:
    shrunk = judged((DATA, 5), (DATA, 4), EMPTY, (DATA, 3))
    assert [one.events for one in shrunk.shrunk] == [4, 0, 3]
    assert judged((DATA, 5), (DATA, 4), EMPTY, (DATA, 5)).shrunk == ()
    assert judged((DATA, 5), (DATA, 4), EMPTY, (ACCEPTED, 0)).shrunk == ()


@pytest.mark.parametrize("settle_hours", [1, 24, 72])
def test_an_hour_is_settled_by_an_export_after_it_has_rested(settle_hours: int) -> None:
    settle = timedelta(hours=settle_hours)
    due = HOUR.start + timedelta(hours=1) + settle
    assert settled_from(HOUR, settle) == due
    just_before = verdict_of(HOUR, [name(due - timedelta(milliseconds=1))])
    assert not just_before.is_settled(settle)
    assert verdict_of(HOUR, [name(due)]).is_settled(settle)


def test_the_same_content_exported_again_settles_the_hour() -> None:
    settle = timedelta(hours=24)
    early, late = name(HOUR.complete_at, DATA, 5), name(HOUR.start + timedelta(hours=25), DATA, 5)
    assert not verdict_of(HOUR, [early]).is_settled(settle)
    assert verdict_of(HOUR, [early, late]).is_settled(settle)


def test_a_shrunk_export_settles_nothing() -> None:
    early, late = name(HOUR.complete_at, DATA, 5), name(HOUR.start + timedelta(hours=25), DATA, 4)
    assert not verdict_of(HOUR, [early, late]).is_settled(timedelta(hours=24))


def test_without_settling_every_content_is_settled_and_nothing_else() -> None:
    assert judged((DATA, 5)).is_settled(timedelta(0))
    assert judged(EMPTY).is_settled(timedelta(0))
    assert not judged().is_settled(timedelta(0))
    assert not judged(GIVEN_UP, RETRY).is_settled(timedelta(0))


def test_an_hour_given_up_before_anything_landed_counts_as_settled() -> None:
    assert judged(GIVEN_UP).is_settled(timedelta(hours=24))
    assert not judged(GIVEN_UP, RETRY).is_settled(timedelta(hours=24))


@given(st.lists(st.integers(-3, 3).flatmap(lambda shift: names(HOUR + shift)), max_size=20, unique=True))
def test_hours_are_judged_each_by_its_own_manifests(found: list[ManifestName]) -> None:
    verdicts = verdicts_of(found)
    assert verdicts.keys() == {one.hour for one in found}
    assert list(verdicts) == sorted(verdicts)
    for hour, verdict in verdicts.items():
        assert verdict == verdict_of(hour, [one for one in found if one.hour == hour])


def test_nothing_listed_is_no_verdict() -> None:
    verdicts: dict[ExportHour, HourVerdict] = verdicts_of([])
    assert verdicts == {}


def test_an_hour_that_was_restored_says_when_unless_the_export_does_not_count() -> None:
    first, restored, settled = (HOUR.complete_at + timedelta(hours=later) for later in (1, 5, 9))
    before = [name(first, DATA, 5)]
    assert verdict_of(HOUR, before).restored_at is None
    assert verdict_of(HOUR, [*before, name(restored, Status.RESTORED, 5)]).restored_at == restored
    later = [*before, name(restored, Status.RESTORED, 5), name(settled, DATA, 5)]
    assert verdict_of(HOUR, later).restored_at == restored
    assert verdict_of(HOUR, [*before, name(restored, Status.RESTORED, 4)]).restored_at is None

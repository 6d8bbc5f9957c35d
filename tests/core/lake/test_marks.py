"""What somebody says about an hour, and what every reader makes of it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import HourUnusable, InvalidInput, LakeConflict, LakeUnavailable
from core.hours import ExportHour, ExportWindow
from core.lake.identity import LakeIdentity
from core.lake.layout import ManifestName, Status
from core.lake.manifest import Manifest
from core.lake.marks import accept_smaller, give_up, retry
from core.lake.verdict import HourVerdict, verdict_of
from tests.core.lake.examples import APP, HOST, HOUR, manifest, part
from tests.core.lakes import Pond

pytestmark = pytest.mark.slow

SETTLE = timedelta(hours=24)


def moment(number: float) -> datetime:
    return HOUR.complete_at + timedelta(hours=number)


@pytest.fixture
def ours(pond: Pond) -> Pond:
    """A lake that an archive has landed in."""
    pond.lake.claim(LakeIdentity(APP, HOST))
    return pond


def judged(pond: Pond, hour: ExportHour = HOUR) -> HourVerdict:
    return verdict_of(hour, pond.lake.manifest_names(hour, hour))


def export(pond: Pond, number: float, events: int) -> Manifest:
    """An export of the hour, at a moment, with this many events."""
    parts = [part(events=events, crc32=events)] if events else []
    written = manifest(*parts, exported_at=moment(number))
    pond.lake.put_manifest(written)
    return written


# Given up, and retried


def test_a_give_up_says_who_gave_what_up_when_and_why(ours: Pond) -> None:
    berlin = timezone(timedelta(hours=1))
    now = moment(1).astimezone(berlin) + timedelta(microseconds=1999)
    mark = give_up(ours.lake, HOUR, reason="Amplitude has lost it", now=now)
    assert mark == Manifest(
        hour=HOUR, app_id=APP, api_host=HOST, exported_at=moment(1) + timedelta(milliseconds=1),
        window=ExportWindow(HOUR, HOUR), status=Status.GIVEN_UP, parts=(), reason="Amplitude has lost it",
    )  # fmt: skip
    assert ours.lake.manifest_names(HOUR, HOUR) == [mark.name]
    assert ours.lake.read_manifest(mark.name) == mark


def test_an_hour_given_up_without_content_is_committed_and_settled(ours: Pond) -> None:
    assert not judged(ours).is_committed
    mark = give_up(ours.lake, HOUR, reason="lost", now=moment(1))
    verdict = judged(ours)
    assert (verdict.content, verdict.give_up, verdict.given_up) == (None, mark.name, True)
    assert verdict.is_committed
    assert verdict.is_settled(SETTLE)


def test_an_hour_given_up_with_content_keeps_it(ours: Pond) -> None:
    content = export(ours, 0, 5)
    give_up(ours.lake, HOUR, reason="wrong events", now=moment(1))
    verdict = judged(ours)
    assert (verdict.content, verdict.given_up) == (content.name, True)
    assert not verdict.is_settled(SETTLE)


@pytest.mark.parametrize("events", [5, 0])
def test_any_export_that_lands_ends_the_give_up_of_a_missing_hour(ours: Pond, events: int) -> None:
    give_up(ours.lake, HOUR, reason="lost", now=moment(1))
    landed = export(ours, 2, events)
    verdict = judged(ours)
    assert (verdict.content, verdict.given_up) == (landed.name, False)


def test_an_export_does_not_end_the_give_up_of_an_hour_with_content(ours: Pond) -> None:
    export(ours, 0, 5)
    mark = give_up(ours.lake, HOUR, reason="wrong events", now=moment(1))
    landed = export(ours, 2, 6)
    verdict = judged(ours)
    assert (verdict.content, verdict.give_up) == (landed.name, mark.name)


@pytest.mark.parametrize("events", [None, 5])
def test_a_later_retry_ends_every_give_up(ours: Pond, events: int | None) -> None:
    content = export(ours, 0, events).name if events else None
    for number in (1, 2):
        give_up(ours.lake, HOUR, reason="lost", now=moment(number))
    mark = retry(ours.lake, HOUR, now=moment(3))
    assert (mark.status, mark.parts, mark.reason, mark.window) == (
        Status.RETRY, (), "", ExportWindow(HOUR, HOUR)
    )  # fmt: skip
    verdict = judged(ours)
    assert (verdict.content, verdict.given_up, verdict.is_committed) == (content, False, bool(events))


def test_a_retry_in_the_millisecond_of_a_give_up_ends_it(ours: Pond) -> None:
    retry(ours.lake, HOUR, now=moment(1))
    give_up(ours.lake, HOUR, reason="lost", now=moment(1))
    assert not judged(ours).given_up


def test_an_hour_may_be_given_up_again_after_a_retry(ours: Pond) -> None:
    give_up(ours.lake, HOUR, reason="lost", now=moment(1))
    retry(ours.lake, HOUR, now=moment(2))
    mark = give_up(ours.lake, HOUR, reason="still lost", now=moment(3))
    assert judged(ours).give_up == mark.name


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.sampled_from(["give up", "retry", "accept"]), st.integers(0, 4)), max_size=8))
def test_whatever_is_said_in_whatever_order_every_reader_finds_the_same(
    ours: Pond, said: list[str | int]
) -> None:
    """The rules of the design, kept beside the lake as one walks through what was said."""
    pond = Pond(ours.s3)
    pond.lake.claim(LakeIdentity(APP, HOST))
    content: int | None = None
    shrunk: list[int] = []
    given = ends_with_an_export = False
    for number, word in enumerate(said):
        if word == "give up":
            give_up(pond.lake, HOUR, reason="lost", now=moment(number))
            given, ends_with_an_export = True, content is None
        elif word == "retry":
            retry(pond.lake, HOUR, now=moment(number))
            given = False
        elif word == "accept":
            assert (accept_smaller(pond.lake, judged(pond)) is None) == (not shrunk)
            content, shrunk = (shrunk[-1], []) if shrunk else (content, shrunk)
        elif isinstance(word, int):
            export(pond, number, word)
            if content is not None and word < content:
                shrunk.append(word)
            else:
                content, shrunk = word, []
                given = given and not ends_with_an_export
        verdict = judged(pond)
        assert (verdict.content.events if verdict.content else None) == content
        assert [one.events for one in verdict.shrunk] == shrunk
        assert verdict.given_up == given
        assert verdict.is_committed == (given or content is not None)


@pytest.mark.parametrize("reason", ["", " \n\t", "\x00\x7f"])
def test_nobody_gives_an_hour_up_without_a_reason(ours: Pond, reason: str) -> None:
    with pytest.raises(InvalidInput, match=r"give up 2025-12-23T19, say why"):
        give_up(ours.lake, HOUR, reason=reason, now=moment(1))
    assert ours.contents() == ["lake.json"]


def test_a_lake_that_is_nobody_s_is_not_marked(pond: Pond) -> None:
    with pytest.raises(LakeConflict, match="no archive has yet said whose lake"):
        give_up(pond.lake, HOUR, reason="lost", now=moment(1))
    with pytest.raises(LakeConflict, match="2025-12-23T19 cannot be marked"):
        retry(pond.lake, HOUR, now=moment(1))
    assert pond.contents() == []


def test_a_mark_whose_answer_was_lost_may_be_repeated(ours: Pond) -> None:
    ours.s3.fail("lost-answer", key="manifests/")
    with pytest.raises(LakeUnavailable):
        give_up(ours.lake, HOUR, reason="lost", now=moment(1))
    mark = give_up(ours.lake, HOUR, reason="lost", now=moment(1))
    assert ours.lake.manifest_names(HOUR, HOUR) == [mark.name]
    for _ in range(2):
        retry(ours.lake, HOUR, now=moment(2))
    assert len(ours.lake.manifest_names(HOUR, HOUR)) == 2


# Accepted


@pytest.mark.parametrize("events", [4, 0])
def test_an_accepted_export_is_the_hour_s_content(ours: Pond, events: int) -> None:
    export(ours, 0, 5)
    smaller = export(ours, 1, events)
    accepted = accept_smaller(ours.lake, judged(ours))
    assert accepted is not None
    assert (accepted.status, accepted.exported_at) == (Status.ACCEPTED, smaller.exported_at)
    assert accepted.parts == smaller.parts
    verdict = judged(ours)
    assert verdict.content is not None
    assert (verdict.content.digest, verdict.content.events) == (smaller.digest, events)
    assert verdict.content.exported_at == smaller.exported_at
    assert ours.lake.read_manifest(verdict.content).parts == smaller.parts
    assert verdict.shrunk == ()


def test_of_several_smaller_exports_the_newest_is_accepted(ours: Pond) -> None:
    export(ours, 0, 5)
    export(ours, 1, 4)
    newest = export(ours, 2, 3)
    accept_smaller(ours.lake, judged(ours))
    content = judged(ours).content
    assert content is not None
    assert content.digest == newest.digest


def test_an_hour_that_has_not_shrunk_needs_no_acceptance(ours: Pond) -> None:
    assert accept_smaller(ours.lake, judged(ours)) is None
    export(ours, 0, 5)
    before = ours.contents()
    assert accept_smaller(ours.lake, judged(ours)) is None
    assert ours.contents() == before


def test_accepting_twice_writes_once(ours: Pond) -> None:
    export(ours, 0, 5)
    export(ours, 1, 4)
    verdict = judged(ours)
    assert accept_smaller(ours.lake, verdict) == accept_smaller(ours.lake, verdict)
    assert len(ours.lake.manifest_names(HOUR, HOUR)) == 3
    assert accept_smaller(ours.lake, judged(ours)) is None


def test_after_an_acceptance_an_export_with_no_fewer_events_counts_again(ours: Pond) -> None:
    export(ours, 0, 5)
    export(ours, 1, 3)
    accept_smaller(ours.lake, judged(ours))
    assert judged(ours).content != export(ours, 2, 2).name
    for number, events in ((3, 3), (4, 4)):
        landed = export(ours, number, events)
        assert judged(ours).content == landed.name


def test_an_export_that_landed_before_the_word_was_said_keeps_its_place(ours: Pond) -> None:
    export(ours, 0, 5)
    export(ours, 1, 3)
    seen = judged(ours)
    whole = export(ours, 2, 5)
    accept_smaller(ours.lake, seen)
    assert judged(ours).content == whole.name


def test_an_acceptance_does_not_end_a_give_up(ours: Pond) -> None:
    export(ours, 0, 5)
    mark = give_up(ours.lake, HOUR, reason="wrong events", now=moment(1))
    export(ours, 2, 3)
    accept_smaller(ours.lake, judged(ours))
    assert judged(ours).give_up == mark.name


def test_an_export_whose_manifest_is_damaged_is_not_accepted(ours: Pond) -> None:
    export(ours, 0, 5)
    smaller: ManifestName = export(ours, 1, 3).name
    ours.put(smaller.key, b"rubbish")
    with pytest.raises(HourUnusable, match="cannot be read"):
        accept_smaller(ours.lake, judged(ours))
    assert len(ours.lake.manifest_names(HOUR, HOUR)) == 2


def test_a_real_hour_shrinks_and_is_accepted(ours: Pond, tmp_path: Path) -> None:
    ours.fill(tmp_path, HOUR, 3, 4)
    smaller = ours.fill(tmp_path, HOUR, 3, exported_at=moment(30))
    accepted = accept_smaller(ours.lake, judged(ours))
    assert accepted is not None
    assert [ours.head(one.key)["ContentLength"] for one in accepted.parts] == [
        one.size_bytes for one in smaller.parts
    ]

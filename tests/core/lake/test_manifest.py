"""What one hour consists of: the body of a manifest, and its digest."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import HourUnusable
from core.lake.layout import Status
from core.lake.manifest import Manifest, Part, content_digest
from tests.core.lake.examples import HOUR, manifest, manifests, part, parts

GOOD = manifest(part(number=0, events=3), part(number=1, events=4, crc32=7))


def changed(**fields: Any) -> bytes:
    return json.dumps(json.loads(GOOD.to_json()) | fields).encode()


def changed_part(**fields: Any) -> bytes:
    body = json.loads(GOOD.to_json())
    body["parts"][0] |= fields
    return json.dumps(body).encode()


@settings(max_examples=50)
@given(manifests())
def test_a_manifest_survives_writing_and_reading(written: Manifest) -> None:
    assert Manifest.from_json(written.to_json(), written.name) == written


@settings(max_examples=50)
@given(manifests())
def test_a_manifest_has_one_spelling(written: Manifest) -> None:
    body = written.to_json()
    assert Manifest.from_json(body, written.name).to_json() == body
    assert (
        body
        == json.dumps(json.loads(body), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    )


@settings(max_examples=50)
@given(manifests())
def test_a_manifest_states_its_totals_for_whoever_reads_it_by_hand(written: Manifest) -> None:
    assert json.loads(written.to_json())["totals"] == {
        "events": sum(part.events for part in written.parts),
        "json_bytes": sum(part.json_bytes for part in written.parts),
        "size_bytes": sum(part.size_bytes for part in written.parts),
    }


@settings(max_examples=50)
@given(manifests())
def test_the_name_says_what_the_body_says(written: Manifest) -> None:
    name = written.name
    assert (name.hour, name.exported_at, name.status) == (
        written.hour, written.exported_at, written.status
    )  # fmt: skip
    assert (name.events, name.digest) == (written.events, written.digest)


@settings(max_examples=50)
@given(manifests(), st.data())
def test_a_manifest_that_was_cut_anywhere_is_refused(written: Manifest, data: st.DataObject) -> None:
    body = written.to_json()
    with pytest.raises(HourUnusable, match="cannot be read"):
        Manifest.from_json(body[: data.draw(st.integers(0, len(body) - 1))], written.name)


@given(st.binary(max_size=200))
def test_rubbish_is_refused(body: bytes) -> None:
    with pytest.raises(HourUnusable):
        Manifest.from_json(body, GOOD.name)


@pytest.mark.parametrize(
    "body",
    [
        changed(version=2),
        changed(version=None),
        changed(window=["2025-12-23T19"]),
        changed(exported_at="2025-12-23T22:15:03Z"),
        changed(exported_at=1766527000),
        changed(status="perfect"),
        changed(app_id="1"),
        changed(app_id=-1),
        changed(api_host="\ud800"),
        changed(api_host=None),
        changed(parts={}),
        changed(parts=None),
        changed(parts=[None]),
        changed_part(events=-1),
        changed_part(events=True),
        changed_part(events=3.0),
        changed_part(key=""),
        changed_part(crc32=439041101),
        changed_part(added=1),
        b"[]",
        b"null",
        b'{"version":1}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_a_body_that_this_release_did_not_write_is_refused(body: bytes) -> None:
    with pytest.raises(HourUnusable) as refused:
        Manifest.from_json(body, GOOD.name)
    assert GOOD.name.key in str(refused.value)


@pytest.mark.parametrize(
    "body",
    [
        changed(hour="2025-12-23"),
        changed(window=["2025-12-23T20", "2025-12-23T19"]),
    ],
)
def test_hours_that_cannot_be_make_a_manifest_damaged(body: bytes) -> None:
    with pytest.raises(HourUnusable, match="cannot be read"):
        Manifest.from_json(body, GOOD.name)


def test_a_body_that_cannot_be_one_of_ours_for_its_size_is_refused() -> None:
    with pytest.raises(HourUnusable, match="67,108,865 bytes"):
        Manifest.from_json(b" " * ((64 << 20) + 1), GOOD.name)


@pytest.mark.parametrize(
    "other",
    [
        manifest(*GOOD.parts, hour=HOUR + 1),
        manifest(*GOOD.parts[:1]),
        manifest(*GOOD.parts, status=Status.ACCEPTED),
        manifest(*GOOD.parts, exported_at=HOUR.complete_at),
        manifest(replace(GOOD.parts[0], json_crc32="00000000"), GOOD.parts[1]),
    ],
)
def test_a_body_that_contradicts_its_name_is_refused(other: Manifest) -> None:
    with pytest.raises(HourUnusable, match="something else than its name says"):
        Manifest.from_json(other.to_json(), GOOD.name)


@settings(max_examples=50)
@given(st.lists(parts(), max_size=5), st.randoms())
def test_the_digest_does_not_depend_on_the_order_of_an_answer(found: list[Part], chance: Any) -> None:
    shuffled = list(found)
    chance.shuffle(shuffled)
    assert content_digest(tuple(shuffled)) == content_digest(tuple(found))


@given(parts(), st.integers(0, 10**9), st.integers(0, 2**32 - 1))
def test_the_digest_does_not_depend_on_how_the_lake_packs(one: Part, size: int, crc32: int) -> None:
    packed = replace(one, key=one.key + ".gz", size_bytes=size, crc32=f"{crc32:08x}")
    assert content_digest((packed,)) == content_digest((one,))


@pytest.mark.parametrize(
    "difference",
    [
        {"member": part(number=1).member},
        {"events": 11},
        {"json_bytes": 18001},
        {"json_crc32": "1a2b3c4e"},
    ],
)
def test_the_digest_depends_on_everything_else(difference: dict[str, Any]) -> None:
    one = part(events=10)
    assert content_digest((replace(one, **difference),)) != content_digest((one,))


def test_the_digest_counts_every_part() -> None:
    one, two = part(number=0), part(number=1)
    digests = {content_digest(some) for some in [(), (one,), (two,), (one, two)]}
    assert len(digests) == 4


def test_the_digest_is_the_same_in_every_release() -> None:
    """A lake outlives the release that wrote it: a new digest would load every hour again."""
    assert content_digest(()) == "4f53cda18c2baa0c0354bb5f9a3ecbe5"
    assert content_digest((part(events=10),)) == "cd8bab50ecdd868d28a39db0c9787fe6"


# Why an hour was given up


def test_a_reason_is_kept_and_stands_in_the_body_only_if_there_is_one() -> None:
    mark = replace(manifest(status=Status.GIVEN_UP), reason="Amplitude lost it, ticket 42 – für immer")
    assert b'"reason":' in mark.to_json()
    assert Manifest.from_json(mark.to_json(), mark.name) == mark
    assert Manifest.from_json(mark.to_json(), mark.name).reason == "Amplitude lost it, ticket 42 – für immer"
    assert b"reason" not in GOOD.to_json()


def test_a_body_from_before_there_were_reasons_is_read() -> None:
    assert "reason" not in json.loads(GOOD.to_json())
    assert Manifest.from_json(GOOD.to_json(), GOOD.name).reason == ""


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("x" * 500, "x" * 500),
        ("x" * 501, "x" * 500),
        ("é" * 10_000, "é" * 500),
        ("x" * 499 + " y", "x" * 499),
        ("  two\r\n\tlines ", "two lines"),
        ("\udce9t\x1b[31m\x7f", "t [31m"),
        ("", ""),
    ],
)
def test_a_reason_is_one_line_of_bounded_length(said: str, kept: str) -> None:
    mark = replace(manifest(status=Status.GIVEN_UP), reason=said)
    assert mark.reason == kept
    assert Manifest.from_json(mark.to_json(), mark.name) == mark


@pytest.mark.parametrize("reason", ["", None, 7, ["a"]])
def test_a_reason_that_this_release_did_not_write_is_refused(reason: object) -> None:
    with pytest.raises(HourUnusable, match="cannot be read"):
        Manifest.from_json(changed(reason=reason), GOOD.name)


def test_a_body_is_utf_8_that_can_be_read_by_hand() -> None:
    written = replace(GOOD, status=Status.GIVEN_UP, parts=(), reason="Zürich, 東京")
    assert "Zürich, 東京".encode() in written.to_json()
    assert Manifest.from_json(written.to_json(), written.name) == written


def test_a_part_may_hold_nothing() -> None:
    empty = replace(GOOD, parts=(replace(GOOD.parts[0], events=0, json_bytes=0),))
    assert Manifest.from_json(empty.to_json(), empty.name).events == 0


def test_a_reason_does_not_show_in_the_name() -> None:
    mark = manifest(status=Status.GIVEN_UP)
    assert replace(mark, reason="because").name == mark.name


# What is said of it


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (changed(version=2), "ValueError: version 2, this release reads 1"),
        (changed(app_id="1"), "ValueError: '1' is not a count"),
        (changed_part(events=3.0), "ValueError: 3.0 is not a count"),
        (changed_part(key=""), "ValueError: '' is not a text"),
        (changed(parts=[{"key": "k"}]), "ValueError: a part with the fields ['key']"),
        (b"{}", "KeyError: 'version'"),
    ],
)
def test_a_refusal_says_what_is_wrong_with_which_manifest(body: bytes, said: str) -> None:
    with pytest.raises(HourUnusable) as refused:
        Manifest.from_json(body, GOOD.name)
    assert str(refused.value) == f"The manifest {GOOD.name.key} cannot be read ({said})."


def test_a_refusal_can_be_shown_whatever_stands_in_the_body() -> None:
    with pytest.raises(HourUnusable) as refused:
        Manifest.from_json(changed(exported_at="20251223T221503.120Z\x19\n\u202e"), GOOD.name)
    assert str(refused.value).isprintable()


def test_a_refusal_shows_a_hundred_characters_of_the_reason() -> None:
    with pytest.raises(HourUnusable) as refused:
        Manifest.from_json(changed(version="x" * 500), GOOD.name)
    assert str(refused.value).endswith(f"(ValueError: version '{'x' * 91}).")


def test_a_body_as_large_as_one_of_ours_can_be_is_looked_into() -> None:
    with pytest.raises(HourUnusable, match="JSONDecodeError"):
        Manifest.from_json(b" " * (64 << 20), GOOD.name)

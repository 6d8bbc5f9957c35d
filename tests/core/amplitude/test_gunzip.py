"""What comes out of gzip, and what must not."""

from __future__ import annotations

import gzip
import random
import tracemalloc
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import accumulate, pairwise

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from core.amplitude.gunzip import JsonFacts, LineMeter, gunzip
from core.errors import DamagedMember, is_transient
from tests.core.amplitude.archives import LINES, gzipped

UNLIMITED = 1 << 40

contents = st.binary(max_size=400) | st.integers(0, 20_000).map(lambda count: b'{"a":1}\n' * count)
sizes = st.sampled_from([1, 2, 7, 8, 9, 100, 65_536])


def cut(whole: bytes, size: int) -> list[bytes]:
    return [whole[start : start + size] for start in range(0, len(whole), size)]


def gunzipped(chunks: Iterable[bytes], *, max_bytes: int = UNLIMITED, max_ratio: int = 2_000) -> bytes:
    pieces = list(gunzip(chunks, what="a member", max_bytes=max_bytes, max_ratio=max_ratio))
    assert all(pieces), "an empty piece came out"
    return b"".join(pieces)


def refused(chunks: Iterable[bytes], *, max_bytes: int = UNLIMITED, max_ratio: int = 2_000) -> str:
    with pytest.raises(DamagedMember) as error:
        gunzipped(chunks, max_bytes=max_bytes, max_ratio=max_ratio)
    assert "a member" in str(error.value)
    assert not is_transient(error.value)
    return str(error.value)


def inflated(whole: bytes | bytearray) -> bytes:
    """What a reader takes who looks at the data alone, not at the checksum behind them."""
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(whole[10:])


# What is sound


@given(contents, st.integers(0, 9), sizes)
def test_anything_that_was_gzipped_comes_out_again(content: bytes, level: int, size: int) -> None:
    assert gunzipped(cut(gzip.compress(content, level, mtime=0), size)) == content


@given(st.lists(contents, min_size=1, max_size=4), sizes)
def test_streams_in_a_row_are_one_content(parts: list[bytes], size: int) -> None:
    whole = b"".join(gzipped(part) for part in parts)
    assert gunzipped(cut(whole, size)) == b"".join(parts)


def test_a_reader_of_one_stream_would_lose_the_second() -> None:
    whole = gzipped(b'{"uuid":1}\n') + gzipped(b'{"uuid":2}\n')
    assert zlib.decompressobj(31).decompress(whole) == b'{"uuid":1}\n'
    assert gunzipped([whole]) == b'{"uuid":1}\n{"uuid":2}\n'


def with_header(flags: int, fields: bytes) -> bytes:
    deflated = zlib.compress(LINES, wbits=-zlib.MAX_WBITS)
    trailer = zlib.crc32(LINES).to_bytes(4, "little") + len(LINES).to_bytes(4, "little")
    return b"\x1f\x8b\x08" + bytes([flags]) + b"\0" * 5 + b"\3" + fields + deflated + trailer


@pytest.mark.parametrize("size", [1, 3, 11, 65_536])
def test_the_name_in_a_header_is_passed_over(size: int) -> None:
    assert gunzipped(cut(with_header(0b01000, b"events.json\0"), size)) == LINES


def test_a_header_may_say_more_than_it_must() -> None:
    assert gunzipped([with_header(0b11100, b"\x02\x00hievents.json\0a comment\0")]) == LINES


def test_empty_chunks_mean_nothing() -> None:
    whole = gzipped()
    assert gunzipped([b"", whole[:5], b"", whole[5:], b""]) == LINES


def test_what_comes_out_is_handed_on_before_the_rest_goes_in() -> None:
    taken: list[int] = []

    def chunks() -> Iterator[bytes]:
        for number in range(3):
            taken.append(number)
            yield gzipped()

    next(gunzip(chunks(), what="a member", max_bytes=UNLIMITED, max_ratio=2_000))
    assert taken == [0]


def test_memory_does_not_grow_with_the_member() -> None:
    stream = gzipped(random.Random(1).randbytes(50_000).hex().encode())
    tracemalloc.start()
    try:
        chunks = (stream for _ in range(400))
        total = sum(
            len(piece) for piece in gunzip(chunks, what="a member", max_bytes=UNLIMITED, max_ratio=500)
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == 400 * 100_000
    assert peak < 2_000_000


# What is not


@settings(max_examples=200)
@given(st.binary(max_size=200), st.data(), sizes)
def test_a_flipped_bit_never_changes_what_comes_out(content: bytes, data: st.DataObject, size: int) -> None:
    whole = bytearray(gzipped(content))
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    whole[bit // 8] ^= 1 << bit % 8
    with suppress(DamagedMember):
        assert gunzipped(cut(bytes(whole), size)) == content  # a time stamp in the header, say


@given(st.binary(max_size=200), st.integers(0, 8 * 8 - 1), sizes)
def test_a_flipped_bit_of_checksum_or_length_is_refused(content: bytes, bit: int, size: int) -> None:
    whole = bytearray(gzipped(content))
    whole[-8 + bit // 8] ^= 1 << bit % 8
    refused(cut(bytes(whole), size))
    assert inflated(whole) == content  # a reader without the checksum would never know


def test_data_that_inflate_to_something_else_are_refused() -> None:
    good, bad = b'{"uuid":1}\n', b'{"uuid":2}\n'
    whole = gzip.compress(bad, 0, mtime=0)[:-8] + gzipped(good)[-8:]
    assert inflated(whole) == bad
    refused([whole])


@given(contents, st.data(), sizes)
def test_a_member_that_was_cut_is_refused(content: bytes, data: st.DataObject, size: int) -> None:
    whole = gzipped(content)
    refused(cut(whole[: data.draw(st.integers(0, len(whole) - 1))], size))


@given(st.integers(1, len(gzipped()) - 1), sizes)
def test_a_second_stream_that_was_cut_is_refused(length: int, size: int) -> None:
    refused(cut(gzipped() + gzipped()[:length], size))


@given(st.binary(min_size=1, max_size=50), sizes)
@example(b"\0" * 8, 65_536)
@example(b"\n", 1)
@example(b"\x1f", 1)
@example(b"\x1f\x8b", 65_536)
def test_anything_behind_the_end_is_refused(rubbish: bytes, size: int) -> None:
    assume(rubbish[:3] != b"\x1f\x8b\x08")
    refused(cut(gzipped() + rubbish, size))


def test_a_lenient_reader_would_have_passed_over_padding() -> None:
    padded = gzipped() + b"\0" * 512
    assert gzip.decompress(padded) == LINES
    refused([padded])


@pytest.mark.parametrize("chunks", [[], [b""], [b"", b""]])
def test_nothing_at_all_is_refused(chunks: list[bytes]) -> None:
    assert "empty" in refused(chunks)


@pytest.mark.parametrize("whole", [LINES, b"PK\x03\x04" + b"\0" * 40, zlib.compress(LINES), b"\0" * 20])
def test_what_is_no_gzip_is_refused(whole: bytes) -> None:
    refused([whole])


# What is too much


def test_a_member_may_be_as_long_as_allowed_and_not_a_byte_longer() -> None:
    assert gunzipped([gzipped()], max_bytes=len(LINES)) == LINES
    message = refused([gzipped()], max_bytes=len(LINES) - 1)
    assert f"{len(LINES) - 1} bytes" in message


def test_the_limit_holds_for_all_streams_together() -> None:
    refused([gzipped() * 3], max_bytes=2 * len(LINES))


def test_a_bomb_is_refused_when_little_of_it_has_gone_off() -> None:
    bomb = gzipped(b"\n" * 50_000_000)
    came: list[int] = []
    with pytest.raises(DamagedMember, match="500 times"):
        came.extend(
            len(piece)
            for piece in gunzip(cut(bomb, 1_024), what="a member", max_bytes=UNLIMITED, max_ratio=500)
        )
    assert sum(came) < 2 << 20
    assert gunzipped(cut(bomb, 65_536)) == b"\n" * 50_000_000  # a limit above 1032 would never bite


def test_a_small_member_may_be_as_monotonous_as_it_likes() -> None:
    monotonous = b'{"a":1}\n' * 100_000
    assert len(monotonous) > 300 * len(gzipped(monotonous))
    assert gunzipped([gzipped(monotonous)], max_ratio=10) == monotonous


# What it amounts to

ODDITIES = [b"\n", b"\r\n", b" ", b"\t", b"{}", b'{"a":"b c"}', b"x", b"\0", b"\x1c", b"\xc2\xa0", b"\x0b"]
fragments = st.lists(st.sampled_from(ODDITIES)).map(b"".join)


def measured(chunks: Iterable[bytes]) -> JsonFacts:
    meter = LineMeter()
    for chunk in chunks:
        meter.feed(chunk)
    return meter.facts


@settings(max_examples=300)
@given(fragments)
def test_events_are_the_lines_with_something_in_them(content: bytes) -> None:
    events = len([line for line in content.split(b"\n") if line.strip()])
    assert measured([content]) == JsonFacts(events, len(content), zlib.crc32(content))


@settings(max_examples=300)
@given(fragments, st.lists(st.integers(0, 20)))
def test_it_makes_no_difference_where_the_chunks_were_cut(content: bytes, lengths: list[int]) -> None:
    places = [0, *(place for place in accumulate(lengths) if place < len(content)), len(content)]
    chunks = [content[start:end] for start, end in pairwise(places)]
    assert b"".join(chunks) == content
    assert measured(chunks) == measured([content])


@pytest.mark.parametrize(
    ("content", "events"),
    [
        (b"", 0),
        (b"\n", 0),
        (b" \r\n\t\n", 0),
        (b"{}", 1),
        (b"{}\n", 1),
        (b"{}\n{}", 2),
        (b"{}\r\n\r\n{}\r\n", 2),
        (b"\n\n{}\n\n", 1),
        (b"  {}\n", 1),
    ],
)
def test_the_last_line_counts_and_blank_ones_do_not(content: bytes, events: int) -> None:
    assert measured([content]).events == events


def test_counting_newlines_would_miss_the_last_event_and_find_blank_ones() -> None:
    content = b"{}\n\n\n{}"
    assert content.count(b"\n") == 3
    assert measured([content]).events == 2


def test_figures_can_be_read_on_the_way() -> None:
    meter = LineMeter()
    meter.feed(b"{}\n{")
    assert meter.facts.events == 2
    meter.feed(b"}\n")
    assert meter.facts == measured([b"{}\n{}\n"])


def test_meters_are_independent() -> None:
    one, other = LineMeter(), LineMeter()
    one.feed(LINES)
    assert other.facts == JsonFacts(0, 0, 0)


# What is said of it


def test_a_refusal_says_whether_the_member_is_broken_inside_or_something_follows_it() -> None:
    whole = gzipped(random.Random(7).randbytes(200_000))
    middle = bytearray(gzip.compress(bytes(200_000), 0, mtime=0))
    middle[65_551] ^= 0xFF  # the length of a stored block, when some have come out already
    assert refused(cut(bytes(middle), 4_096)).startswith("a member is not sound gzip (inside: ")
    assert refused([b"no gzip at all"]).startswith("a member is not sound gzip (inside: ")
    for chunks in ([whole + b"rubbish" * 9], [whole, b"rubbish" * 9]):
        assert refused(chunks).startswith("a member is not sound gzip (behind its end: ")


def test_a_second_stream_that_is_broken_inside_is_not_taken_for_rubbish() -> None:
    second = bytearray(gzip.compress(bytes(200_000), 0, mtime=0))
    second[65_551] ^= 0xFF
    assert "(inside: " in refused([gzipped(), *cut(bytes(second), 4_096)])


def test_a_refusal_names_the_setting_that_allows_more() -> None:
    whole = gzip.compress(bytes((1 << 20) + 1), mtime=0)
    assert refused([whole], max_bytes=1_000) == (
        "a member gunzips to more than 1,000 bytes (setting max_member_json_gib or max_hour_json_gib)."
    )
    assert refused([whole], max_ratio=7) == (
        "a member gunzips to more than 7 times its size, which no real export does (setting max_gzip_ratio)."
    )


def test_the_ratio_counts_from_the_first_byte_beyond_a_mebibyte() -> None:
    assert len(gunzipped([gzip.compress(bytes(1 << 20), mtime=0)], max_ratio=1)) == 1 << 20
    refused([gzip.compress(bytes((1 << 20) + 1), mtime=0)], max_ratio=1)

"""A plan cut into shares: each hour in one of them, none too large."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.fan_out.shares import Share, in_share, shares_of
from core.gaps import GapPlan, Why
from core.hours import hours_between
from tests.core.fan_out.examples import NEWEST, plan_for

GB = 1_000_000_000


def cut(plan: GapPlan, *, hours: int = 72, size: int = 32 * GB, per_hour: float = 0) -> tuple[Share, ...]:
    return shares_of(plan, max_hours=hours, max_json_bytes=size, json_bytes_per_hour=per_hour)


def a_month() -> GapPlan:
    return plan_for(hours_between(NEWEST - 719, NEWEST))


def test_a_month_makes_ten_shares_of_three_days() -> None:
    assert [len(share) for share in cut(a_month())] == [72] * 10


def test_what_fits_is_one_share() -> None:
    assert len(cut(plan_for(hours_between(NEWEST - 71, NEWEST)))) == 1
    assert len(cut(plan_for(hours_between(NEWEST - 72, NEWEST)))) == 2
    assert cut(GapPlan(a_month().now, a_month().wanted, {}, ())) == ()


def test_heavy_hours_make_smaller_shares_and_a_single_one_is_never_cut() -> None:
    assert {len(share) for share in cut(a_month(), per_hour=GB)} == {24}
    assert {len(share) for share in cut(a_month(), per_hour=2 * GB)} == {16, 8}
    assert {len(share) for share in cut(a_month(), per_hour=100 * GB)} == {1}


def test_export_windows_stay_whole_if_they_can() -> None:
    shares = cut(a_month(), hours=50)
    assert {len(share) for share in shares} == {48}
    assert {len(share) for share in cut(a_month(), hours=20)} == {20, 4}


def test_each_hour_keeps_what_it_is_exported_for() -> None:
    plan = plan_for(hours_between(NEWEST - 3, NEWEST), window_hours=1, h1=Why.ASKED)
    first, second = cut(plan, hours=2)
    assert first.whys == (Why.MISSING, Why.ASKED)
    assert second.whys == (Why.MISSING, Why.MISSING)
    assert str(first) == f"{NEWEST - 3}…T17"


def test_a_run_is_told_rows_of_hours_not_each_of_them() -> None:
    plan = plan_for([NEWEST - 90, *hours_between(NEWEST - 71, NEWEST - 1)], window_hours=24, h5=Why.DAMAGED)
    (share,) = cut(plan)
    damaged = NEWEST - 67
    assert share.told() == {
        "missing": [
            str(NEWEST - 90),
            f"{NEWEST - 71}...T{(damaged - 1).hour_of_day}",
            f"{damaged + 1}...{NEWEST - 1}",
        ],
        "damaged": [str(damaged)],
    }


@given(st.dictionaries(st.integers(0, 400), st.sampled_from(Why), min_size=1))
def test_what_a_run_was_told_is_the_share_again(whys: dict[int, Why]) -> None:
    gaps = sorted(whys, reverse=True)
    share = Share(tuple(NEWEST - gap for gap in gaps), tuple(whys[gap] for gap in gaps))
    assert Share.read(share.told()) == share


@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        ({}, "A part needs hours"),
        ({"missing": []}, "A part needs hours"),
        ({"lost": ["2025-12-23T00...T01"]}, "not for 'lost'"),
        ({"missing": ["yesterday...T01"]}, "Not an export hour: 'yesterday'"),
        ({"missing": ["2025-12-23T02...T01"]}, "The end lies before the start"),
    ],
)
def test_what_no_gap_fill_tells_is_refused(told: dict[str, list[str]], complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        Share.read(told)


@given(
    st.sets(st.integers(0, 400), min_size=1),
    st.integers(1, 60),
    st.integers(1, 100),
    st.floats(0, 10 * GB),
)
def test_every_hour_is_in_one_share_in_order_and_none_is_too_large(
    gaps: set[int], window_hours: int, most: int, per_hour: float
) -> None:
    plan = plan_for((NEWEST - gap for gap in gaps), window_hours=window_hours)
    shares = cut(plan, hours=most, per_hour=per_hour)
    assert [hour for share in shares for hour in share.hours] == list(plan.why)
    assert all(1 <= len(share) <= most for share in shares)
    assert all(len(share) == 1 or len(share) * per_hour <= 32 * GB for share in shares)
    assert all(one.range.last < other.range.first for one, other in pairwise(shares))
    assert in_share(shares).keys() == plan.why.keys()

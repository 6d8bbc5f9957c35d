"""A plan cut into shares: each hour in one of them, none too large."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

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


def test_hours_that_were_asked_for_by_name_stay_so() -> None:
    plan = plan_for(hours_between(NEWEST - 3, NEWEST), window_hours=1, h1=Why.ASKED)
    first, second = cut(plan, hours=2)
    assert first.asked == (NEWEST - 2,)
    assert second.asked == ()
    assert str(first) == f"{NEWEST - 3}…T17"


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

"""The parameters of a part; what it brings, the tests of parts say."""

from __future__ import annotations

import inspect

import pytest

from core.errors import InvalidInput
from flows.gap_fill import gap_fill
from flows.gap_fill_part import gap_fill_part


def test_a_part_is_a_gap_fill_by_name_and_needs_a_range() -> None:
    assert gap_fill_part.name == gap_fill.name
    needed = [
        name
        for name, parameter in inspect.signature(gap_fill_part.fn).parameters.items()
        if parameter.default is parameter.empty
    ]
    assert needed == ["start", "end"]


@pytest.mark.slow
def test_a_part_refuses_what_cannot_be(prefect_server: None) -> None:
    with pytest.raises(InvalidInput, match="Not an export hour"):
        gap_fill_part("yesterday", "2025-12-23T19")

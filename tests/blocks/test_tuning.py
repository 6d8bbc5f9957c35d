"""What a pipeline can be tuned to."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from blocks.tuning import Tuning
from core.amplitude.archive import ArchiveLimits
from core.planning import PlanRules


def test_the_defaults_are_those_of_core() -> None:
    assert Tuning().rules == PlanRules()
    assert Tuning().archive_limits == ArchiveLimits()


def test_parts_of_a_gap_fill_are_bounded() -> None:
    tuned = Tuning()
    assert (tuned.part_hours, tuned.part_gib, tuned.parts_at_once) == (72, 32, 8)
    with pytest.raises(ValidationError):
        Tuning(parts_at_once=9)


def test_a_blank_scratch_folder_is_none() -> None:
    assert Tuning.model_validate({"scratch_folder": ""}).scratch_folder is None

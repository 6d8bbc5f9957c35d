from __future__ import annotations

import pytest

from core.errors import HourUnusable, LakeUnavailable
from core.lake.reading import read_manifests
from tests.core.lake.examples import HOUR, manifest, part
from tests.core.lakes import Pond

pytestmark = pytest.mark.slow

MADE = [manifest(part(hour), hour=hour) for hour in (HOUR - 2, HOUR - 1, HOUR)]


def test_manifests_are_read_in_the_order_that_was_asked_for(pond: Pond) -> None:
    for one in MADE:
        pond.lake.put_manifest(one)
    found = read_manifests(pond.lake, (one.name for one in reversed(MADE)))
    assert list(found.items()) == [(one.name, one) for one in reversed(MADE)]
    assert read_manifests(pond.lake, []) == {}


def test_one_that_is_damaged_or_gone_keeps_no_other_from_being_read(pond: Pond) -> None:
    pond.lake.put_manifest(MADE[0])
    pond.put(MADE[1].name.key, b"not a manifest")
    found = read_manifests(pond.lake, [one.name for one in MADE])
    assert found[MADE[0].name] == MADE[0]
    for one, said in ((MADE[1], "cannot be read"), (MADE[2], "is gone")):
        error = found[one.name]
        assert isinstance(error, HourUnusable)
        assert said in str(error)


def test_a_lake_that_does_not_answer_is_no_damaged_manifest(pond: Pond) -> None:
    pond.lake.put_manifest(MADE[0])
    pond.s3.fail("error", method="GET", key="manifests/", times=100)
    with pytest.raises(LakeUnavailable):
        read_manifests(pond.lake, [MADE[0].name])

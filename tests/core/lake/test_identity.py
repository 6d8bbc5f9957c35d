"""Whose events a lake holds."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import LakeConflict
from core.lake.identity import LakeIdentity

WHERE = "s3://lake/amplitude/"


@given(st.integers(1, 10**12), st.sampled_from(["amplitude.com", "analytics.eu.amplitude.com"]))
def test_an_identity_survives_writing_and_reading(app_id: int, api_host: str) -> None:
    identity = LakeIdentity(app_id, api_host)
    assert LakeIdentity.from_json(identity.to_json(), where=WHERE) == identity


def test_the_layout_s_version_is_written_down() -> None:
    assert json.loads(LakeIdentity(1, "amplitude.com").to_json())["version"] == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"[" * 100_000,
        b'{"version":1,"app_id":"x","api_host":"h"}',
        b'{"version":1,"app_id":Infinity,"api_host":"h"}',
        b'{"version":1,"app_id":1.0,"api_host":"h"}',
        b'{"version":1,"app_id":true,"api_host":"h"}',
        b'{"version":1,"app_id":1,"api_host":null}',
    ],
)
def test_a_lake_json_that_this_project_did_not_write_is_refused(body: bytes) -> None:
    with pytest.raises(LakeConflict, match=f"lake.json of {WHERE} cannot be read"):
        LakeIdentity.from_json(body, where=WHERE)


def test_a_lake_of_another_layout_is_refused_with_both_versions() -> None:
    with pytest.raises(LakeConflict, match="layout version 2, this release reads 1"):
        LakeIdentity.from_json(b'{"version":2,"app_id":1,"api_host":"amplitude.com"}', where=WHERE)


def test_a_version_that_is_none_is_shown_cut() -> None:
    body = json.dumps({"version": "\u202e" + "v" * 5000}).encode()
    with pytest.raises(LakeConflict) as refused:
        LakeIdentity.from_json(body, where=WHERE)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 200


def test_a_later_layout_may_have_other_fields_and_is_still_told_by_its_version() -> None:
    with pytest.raises(LakeConflict, match="layout version 2, this release reads 1"):
        LakeIdentity.from_json(b'{"version":2,"project":{"id":1}}', where=WHERE)


def test_an_identity_names_project_and_host() -> None:
    assert str(LakeIdentity(100011471, "amplitude.com")) == "app 100011471 from amplitude.com"

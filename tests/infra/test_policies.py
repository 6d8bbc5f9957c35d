"""Who may do what in the lake."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.errors import InvalidInput
from emulators.s3.policy import BucketPolicy
from infra.policies import bucket_policy, reader_policy, trust_policy, uploader_policy

KEY = "arn:aws:kms:eu-west-1:123456789012:key/0a1b2c3d"
USER = "arn:aws:iam::210987654321:user/abc1-b-self1234"
WRITES = ("Put", "Delete", "Create", "Abort", "Restore", "Replicate", "kms:Encrypt", "GenerateDataKey", "*")
NAME = "s3:x-amz-server-side-encryption"


def actions_of(policy: dict[str, Any]) -> set[str]:
    found: set[str] = set()
    for statement in policy["Statement"]:
        action = statement["Action"]
        found |= {action} if isinstance(action, str) else set(action)
    return found


def denies(action: str, context: dict[str, str], key: str | None = KEY) -> bool:
    judge = BucketPolicy.parse(json.dumps(bucket_policy("lake", key)).encode())
    return judge.denies(action, "arn:aws:s3:::lake/a", {"aws:securetransport": "true"} | context)


def test_the_uploader_writes_and_reads_and_deletes_nothing() -> None:
    assert actions_of(uploader_policy("lake", "amp", KEY)) == {
        "s3:PutObject",
        "s3:GetObject",
        "s3:AbortMultipartUpload",
        "s3:ListBucket",
        "kms:GenerateDataKey",
        "kms:Decrypt",
    }


def test_the_reader_writes_nothing() -> None:
    actions = actions_of(reader_policy("lake", "amp", KEY))
    assert actions == {
        "s3:GetObject",
        "s3:GetObjectVersion",
        "s3:ListBucket",
        "s3:GetBucketLocation",
        "kms:Decrypt",
    }
    assert not [action for action in actions for word in WRITES if word in action]


@pytest.mark.parametrize("policy", [uploader_policy, reader_policy])
def test_objects_are_those_of_the_prefix(policy: Any) -> None:
    assert policy("lake", "a/b", None)["Statement"][0]["Resource"] == "arn:aws:s3:::lake/a/b/*"
    assert policy("lake", "", None)["Statement"][0]["Resource"] == "arn:aws:s3:::lake/*"
    assert not any("kms" in action for action in actions_of(policy("lake", "a/b", None)))


def test_the_reader_lists_its_prefix_only() -> None:
    listing = reader_policy("lake", "amp")["Statement"][1]
    assert listing["Condition"] == {"StringLike": {"s3:prefix": ["amp/*"]}}
    assert listing["Resource"] == "arn:aws:s3:::lake"


def test_what_comes_without_tls_is_denied() -> None:
    assert denies("s3:GetObject", {"aws:securetransport": "false"})
    assert not denies("s3:GetObject", {})
    assert denies("s3:GetObject", {"aws:securetransport": "false"}, key=None)


@pytest.mark.parametrize(
    ("context", "denied"),
    [
        ({}, False),
        ({NAME: "aws:kms", f"{NAME}-aws-kms-key-id": KEY}, False),
        ({NAME: "aws:kms"}, True),  # the account's managed key
        ({NAME: "aws:kms", f"{NAME}-aws-kms-key-id": f"{KEY}0"}, True),
        ({NAME: "AES256"}, True),
    ],
)
def test_another_key_is_denied_and_the_default_is_let_through(context: dict[str, str], denied: bool) -> None:
    assert denies("s3:PutObject", context) is denied
    assert not denies("s3:PutObject", context, key=None)


def test_without_its_statement_the_managed_key_would_be_let_through() -> None:
    policy = bucket_policy("lake", KEY)
    policy["Statement"] = [one for one in policy["Statement"] if one["Sid"] != "DenyAwsManagedKey"]
    judge = BucketPolicy.parse(json.dumps(policy).encode())
    context = {"aws:securetransport": "true", NAME: "aws:kms"}
    assert not judge.denies("s3:PutObject", "arn:aws:s3:::lake/a", context)


def test_if_exists_alone_would_deny_the_default_as_well() -> None:
    policy = bucket_policy("lake", KEY)
    policy["Statement"][1]["Condition"] = {"StringNotEqualsIfExists": {f"{NAME}-aws-kms-key-id": KEY}}
    judge = BucketPolicy.parse(json.dumps(policy).encode())
    assert judge.denies("s3:PutObject", "arn:aws:s3:::lake/a", {"aws:securetransport": "true"})


def test_the_role_is_taken_by_snowflake_s_user_with_our_external_id() -> None:
    (statement,) = trust_policy(USER, "ours")["Statement"]
    assert statement["Principal"] == {"AWS": USER}
    assert statement["Action"] == "sts:AssumeRole"
    assert statement["Condition"] == {"StringEquals": {"sts:ExternalId": "ours"}}


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (bucket_policy, ("Lake", KEY)),
        (bucket_policy, ("lake/*", None)),
        (bucket_policy, ("la..ke", None)),
        (bucket_policy, ("lake", "alias/lake")),
        (bucket_policy, ("lake", "")),
        (uploader_policy, ("lake", "amp/", KEY)),
        (uploader_policy, ("lake", "*", KEY)),
        (uploader_policy, ("lake", "amp", "arn:aws:kms:eu-west-1:123456789012:alias/lake")),
        (reader_policy, ("lake", "${aws:username}", None)),
        (trust_policy, ("*", "ours")),
        (trust_policy, (USER, "a b")),
        (trust_policy, (USER, "")),
    ],
)
def test_odd_names_are_refused(function: Any, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(InvalidInput):
        function(*arguments)

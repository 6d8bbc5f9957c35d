"""Names that AWS takes, and names that it does not."""

from __future__ import annotations

import re

import pytest

from blocks.names import BUCKET_NAME, KMS_KEY_ARN, LAKE_PREFIX

KEY = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab"
ALIAS = KEY.replace("key/", "alias/")


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        (BUCKET_NAME, ["acme-amplitude", "a.b.c", "123"]),
        (LAKE_PREFIX, ["amplitude", "a/b=c/d", "(x)!+@:,_.-"]),
        (KMS_KEY_ARN, [KEY, KEY.replace("aws", "aws-cn"), KEY.replace("key/", "key/mrk-")]),
    ],
)
def test_what_can_be_is_taken(pattern: re.Pattern[str], names: list[str]) -> None:
    assert [name for name in names if not pattern.fullmatch(name)] == []


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        (BUCKET_NAME, ["", "ab", "Acme", "a_b", "a..b", "-ab", "ab-", "a" * 64, "abc\n"]),
        (LAKE_PREFIX, ["", "/a", "a/", "a//b", "a*", "a b", "it's", "a\n"]),
        (KMS_KEY_ARN, ["", "1234abcd", "alias/x", ALIAS, KEY + "\n"]),
    ],
)
def test_what_cannot_be_is_not(pattern: re.Pattern[str], names: list[str]) -> None:
    assert [name for name in names if pattern.fullmatch(name)] == []

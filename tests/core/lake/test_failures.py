"""What S3's error codes mean for us."""

from __future__ import annotations

import pytest

from core.errors import LakeRefused, LakeUnavailable, is_transient
from core.lake.failures import lake_error


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (503, "SlowDown"),
        (503, "ServiceUnavailable"),
        (500, "InternalError"),
        (502, ""),
        (504, "GatewayTimeout"),
        (400, "RequestTimeout"),
        (400, "BadDigest"),
        (400, "IncompleteBody"),
        (409, "ConditionalRequestConflict"),
        (409, "OperationAborted"),
        (400, "KMS.ThrottlingException"),
        (404, "NoSuchUpload"),
    ],
)
def test_what_passes_is_transient(status: int, code: str) -> None:
    error = lake_error("Could not put a part", code=code, status=status)
    assert isinstance(error, LakeUnavailable)
    assert is_transient(error)
    assert str(error).startswith("Could not put a part: ")
    assert code in str(error)


@pytest.mark.parametrize(
    ("status", "code", "remedy"),
    [
        (404, "NoSuchBucket", "BUCKET_NAME"),
        (403, "InvalidAccessKeyId", "AWS_ACCESS_KEY"),
        (403, "SignatureDoesNotMatch", "AWS_SECRET_KEY"),
        (403, "AccessDenied", "policy"),
        (403, "403", "decrypt"),
        (301, "PermanentRedirect", "AWS_REGION"),
        (400, "AuthorizationHeaderMalformed", "AWS_REGION"),
        (400, "ExpiredToken", "get new ones"),
        (403, "RequestTimeTooSkewed", "clock"),
        (400, "EntityTooLarge", "5 GiB"),
        (400, "SomethingNew", "Check"),
    ],
)
def test_what_somebody_must_act_on_is_permanent_and_says_how(status: int, code: str, remedy: str) -> None:
    error = lake_error("Could not put a part", code=code, status=status)
    assert isinstance(error, LakeRefused)
    assert not is_transient(error)
    assert code in str(error)
    assert remedy in str(error)

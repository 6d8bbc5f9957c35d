"""What S3's error codes mean for us, and what to do about each; pure.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

from __future__ import annotations

from core.errors import LakeError, LakeRefused, LakeUnavailable

_SERVER_ERROR = 500

_BUSY = {
    "BadDigest", "ConditionalRequestConflict", "IncompleteBody", "InternalError", "KMS.ThrottlingException",
    "NoSuchUpload", "OperationAborted", "RequestTimeout", "ServiceUnavailable", "SlowDown", "Throttling",
    "ThrottlingException", "TooManyRequestsException", "XAmzContentSHA256Mismatch",
}  # fmt: skip
_REMEDIES = {
    "NoSuchBucket": "The bucket does not exist: check BUCKET_NAME and AWS_REGION.",
    "InvalidAccessKeyId": "AWS does not know the access key: check AWS_ACCESS_KEY.",
    "SignatureDoesNotMatch": "The secret key does not belong to the access key: check AWS_SECRET_KEY.",
    "AccessDenied": "Check the uploader's policy, the bucket policy and the rights on the KMS key.",
    # a HEAD is answered without a code
    "403": "Check the uploader's policy, the bucket policy and the right to decrypt with the KMS key.",
    "PermanentRedirect": "The bucket is in another region: check AWS_REGION.",
    "AuthorizationHeaderMalformed": "The bucket is in another region: check AWS_REGION.",
    "ExpiredToken": "The session's credentials have ended: get new ones.",
    "RequestTimeTooSkewed": "This machine's clock is wrong: set it.",
    "EntityTooLarge": "One object may be put whole up to 5 GiB.",
}


def lake_error(where: str, *, code: str, status: int) -> LakeError:
    """The error that an answer of S3 stands for.

    Args:
        where: What could not be done, the beginning of the message.
        code: S3's error code, such as ``NoSuchBucket``.
        status: The HTTP status.
    """
    if code in _BUSY or status >= _SERVER_ERROR:
        return LakeUnavailable(f"{where}: S3 answered {status} {code}. Another attempt can help.")
    remedy = _REMEDIES.get(code, "Check bucket, credentials and key.")
    return LakeRefused(f"{where}: S3 answered {status} {code}. {remedy}")

"""Who sent it: AWS Signature Version 4, worked out again from the configured secret.

Verified are header signatures with a hashed, an unsigned and a streaming payload. Not verified are
the signatures of single chunks in a streaming body, pre-signed URLs (refused) and the clock.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

import hashlib
import hmac
import re
from functools import lru_cache
from http import HTTPStatus
from urllib.parse import quote, unquote

from emulators.s3.errors import S3Error, access_denied, invalid_request
from emulators.s3.messages import Message

#: What x-amz-content-sha256 may hold instead of a hash.
UNHASHED_PAYLOADS = frozenset(
    {
        "UNSIGNED-PAYLOAD",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    }
)

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256\s+Credential=(?P<key>[^/,\s]+)/(?P<day>\d{8})/(?P<region>[^/,]+)/(?P<service>[^/,]+)"
    r"/aws4_request,\s*SignedHeaders=(?P<headers>[^,\s]+),\s*Signature=(?P<signature>[0-9a-f]{64})\s*"
)


def verify_signature(message: Message, access_key: str, secret_key: str, region: str) -> str:
    """See that the holder of the key pair signed this very message, for S3 in this region.

    STS, KMS and IAM take a signature for any region: there they are global, or in every one.

    Returns:
        The service that it is signed for: ``s3``, ``kms``, ``sts``, ``iam``.

    Raises:
        S3Error: 403 AccessDenied without a signature, InvalidAccessKeyId for a stranger,
            SignatureDoesNotMatch for a wrong secret or a message that was changed on the way; 400
            AuthorizationHeaderMalformed for another region, which names the right one, as boto3
            expects when it asks again; 400 if the payload's hash is missing.
    """
    text = message.headers.get("authorization")
    if text is None:
        raise access_denied()
    match = _AUTHORIZATION.fullmatch(text)
    if match is None:
        words = "The authorization header that you provided is not valid."
        raise S3Error(HTTPStatus.BAD_REQUEST, "AuthorizationHeaderMalformed", words)
    if match["key"] != access_key:
        words = "The AWS Access Key Id you provided does not exist in our records."
        raise S3Error(HTTPStatus.FORBIDDEN, "InvalidAccessKeyId", words, AWSAccessKeyId=match["key"])
    if match["service"] == "s3" and match["region"] != region:
        words = (
            f"The authorization header is malformed; the region '{match['region']}' is wrong;"
            f" expecting '{region}'"
        )
        raise S3Error(HTTPStatus.BAD_REQUEST, "AuthorizationHeaderMalformed", words, Region=region)
    scope = f"{match['day']}/{match['region']}/{match['service']}/aws4_request"
    request = canonical_request(message, match["headers"], _payload_hash(message, match["service"]))
    to_sign = "\n".join(
        (
            "AWS4-HMAC-SHA256",
            message.headers.get("x-amz-date", ""),
            scope,
            hashlib.sha256(request.encode("utf-8", "surrogateescape")).hexdigest(),
        )
    )
    key = _signing_key(secret_key, match["day"], match["region"], match["service"])
    expected = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, match["signature"]):
        raise S3Error(
            HTTPStatus.FORBIDDEN,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided."
            " Check your key and signing method.",
            AWSAccessKeyId=access_key,
        )
    return match["service"]


def canonical_request(message: Message, signed_headers: str, payload_hash: str) -> str:
    """The text that the signature is made over. S3 takes the path as it was sent, without normalizing it."""
    headers = "".join(
        f"{name}:{' '.join(message.headers.get(name, '').split())}\n" for name in signed_headers.split(";")
    )
    pairs = (pair.partition("=") for pair in message.raw_query.split("&") if pair)
    quoted = sorted((_requote(name), _requote(value)) for name, _, value in pairs)
    query = "&".join(f"{name}={value}" for name, value in quoted)
    return f"{message.method}\n{message.raw_path}\n{query}\n{headers}\n{signed_headers}\n{payload_hash}"


def _payload_hash(message: Message, service: str) -> str:
    stated = message.headers.get("x-amz-content-sha256")
    if stated is not None:
        return stated
    if service == "s3":
        msg = "Missing required header for this request: x-amz-content-sha256"
        raise invalid_request(msg)
    return hashlib.sha256(message.body).hexdigest()


def _requote(text: str) -> str:
    return quote(unquote(text), safe="-_.~")


@lru_cache(maxsize=64)
def _signing_key(secret_key: str, day: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key

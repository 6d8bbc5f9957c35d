"""Storing an object in one piece.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from moto.s3.utils import metadata_from_headers

from emulators.s3.checksums import Checksum
from emulators.s3.errors import invalid_argument, no_such_key, precondition_failed
from emulators.s3.messages import Answer, Message
from emulators.s3.store import Store

SSE = "x-amz-server-side-encryption"
SSE_KEY = f"{SSE}-aws-kms-key-id"
SSE_BUCKET_KEY = f"{SSE}-bucket-key-enabled"

_WITH_KMS = frozenset({"aws:kms", "aws:kms:dsse"})
_ENCRYPTIONS = _WITH_KMS | {"AES256"}

#: moto would keep these as metadata of the object.
_NO_METADATA = {"x-amz-content-sha256", "content-md5", "x-amz-checksum-algorithm", "x-amz-checksum-type"}


def put_object(store: Store, message: Message, checksum: Checksum | None) -> Answer:
    """Store an object whose checksums have been compared.

    All or nothing, and alone with its key: of any number of conditional writes one succeeds.

    Raises:
        S3Error: 412 PreconditionFailed; 404 NoSuchBucket, NoSuchKey; 400 InvalidArgument.
    """
    with store.writing(message.bucket, message.key):
        check_conditions(store, message)
        encryption = encryption_of(store, message)
        key = store.backend.put_object(
            message.bucket,
            message.key,
            message.body,
            storage=message.headers.get("x-amz-storage-class", "STANDARD"),
            # under SSE-KMS the ETag is no MD5, and nobody may take it for one
            etag=secrets.token_hex(16) if encryption.get(SSE) in _WITH_KMS else None,
            encryption=encryption.get(SSE),
            kms_key_id=encryption.get(SSE_KEY),
            bucket_key_enabled=encryption.get(SSE_BUCKET_KEY),
            checksum_value=checksum.value if checksum else None,
        )
        key.set_metadata(metadata_of(message.headers))
        if checksum is not None:
            key.checksum_algorithm = checksum.algorithm
            key.checksum_type = "FULL_OBJECT"
        if tagging := message.headers.get("x-amz-tagging"):
            tags = {name: values[0] for name, values in parse_qs(tagging, keep_blank_values=True).items()}
            store.backend.put_object_tagging(key, tags)
    headers = {"etag": key.etag, **encryption_headers(key), **checksum_headers(key)}
    if key.version_id != "null":
        headers["x-amz-version-id"] = key.version_id
    return Answer(200, headers)


def check_conditions(store: Store, message: Message) -> None:
    """Judge If-None-Match and If-Match of a write.

    Raises:
        S3Error: 412 PreconditionFailed; 404 NoSuchKey.
    """
    present = store.newest(message.bucket, message.key)
    if message.headers.get("if-none-match") == "*" and present is not None:
        raise precondition_failed(message.key, "If-None-Match")
    if wanted := message.headers.get("if-match"):
        if present is None:
            raise no_such_key(message.key)
        if present.etag.strip('"') != wanted.strip('"'):
            raise precondition_failed(message.key, "If-Match")


def encryption_of(store: Store, message: Message) -> dict[str, str]:
    """The encryption headers of a write, completed as S3 completes them.

    The bucket's default speaks for a write that names neither a kind nor a key. ``aws:kms`` without a
    key, in the request or in the default, is the account's managed key.

    Raises:
        S3Error: 400 InvalidArgument, a kind that S3 does not know, or a key without ``aws:kms``.
    """
    stated = {
        name: message.headers[name].strip()
        for name in (SSE, SSE_KEY, SSE_BUCKET_KEY)
        if name in message.headers
    }
    if SSE in stated and stated[SSE] not in _ENCRYPTIONS:
        words = "The encryption method specified is not supported"
        raise invalid_argument(words, SSE, stated[SSE])
    if SSE_KEY in stated and stated.get(SSE) not in _WITH_KMS:
        words = f"Server Side Encryption with AWS KMS managed key requires HTTP header {SSE} : aws:kms"
        raise invalid_argument(words, SSE, stated.get(SSE, "null"))
    configured: Mapping[str, Any] | None = store.bucket(message.bucket).encryption
    if configured is not None and SSE not in stated:
        rule = configured["Rule"]
        default = rule["ApplyServerSideEncryptionByDefault"]
        stated[SSE] = default["SSEAlgorithm"]
        if default.get("KMSMasterKeyID"):
            stated[SSE_KEY] = default["KMSMasterKeyID"]
        if rule.get("BucketKeyEnabled"):
            stated.setdefault(SSE_BUCKET_KEY, str(rule["BucketKeyEnabled"]).lower())
    if stated.get(SSE) in _WITH_KMS:
        stated.setdefault(SSE_KEY, f"arn:aws:kms:{store.region}:{store.account}:alias/aws/s3")
    return stated


def encryption_headers(key: Any) -> dict[str, str]:
    """How an object is encrypted, as S3 says it in every answer about the object."""
    headers = {SSE: key.encryption or "AES256"}
    if key.encryption in _WITH_KMS:
        if key.kms_key_id:
            headers[SSE_KEY] = key.kms_key_id
        if str(key.bucket_key_enabled).lower() == "true":
            headers[SSE_BUCKET_KEY] = "true"
    return headers


def checksum_headers(key: Any) -> dict[str, str]:
    """An object's stored checksum, as S3 answers it."""
    if not key.checksum_algorithm or not key.checksum_value:
        return {}
    kind = key.checksum_type or "FULL_OBJECT"
    parts = f"-{key.checksum_parts}" if kind == "COMPOSITE" else ""
    checksum = Checksum(key.checksum_algorithm, key.checksum_value + parts)
    return {checksum.header: checksum.value, "x-amz-checksum-type": kind}


def metadata_of(headers: Mapping[str, str]) -> Any:
    """The user's metadata and the content headers that S3 keeps with an object."""
    return metadata_from_headers({name: text for name, text in headers.items() if name not in _NO_METADATA})


def complete_head(store: Store, message: Message, answer: Answer) -> Answer:
    """Add to the answer of a HEAD or GET what moto leaves out: encryption, and the checksum if asked for."""
    key = store.newest(message.bucket, message.key)
    if key is None or answer.status not in {200, 206} or "versionId" in message.query:
        return answer
    for name in [name for name in answer.headers if name.startswith("x-amz-checksum-")]:
        del answer.headers[name]
    answer.headers |= encryption_headers(key)
    whole = answer.status == 200  # noqa: PLR2004
    if message.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED" and whole:
        answer.headers |= checksum_headers(key)
    return answer

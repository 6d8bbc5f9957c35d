"""Storing an object in parts.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html and, for the checksum of
the whole, https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from xml.sax.saxutils import escape

from emulators.s3.checksums import Checksum, stated_checksum, verify
from emulators.s3.errors import S3Error, invalid_request, no_such_upload
from emulators.s3.messages import Answer, Message
from emulators.s3.objects import (
    SSE,
    SSE_BUCKET_KEY,
    SSE_KEY,
    check_conditions,
    checksum_headers,
    encryption_headers,
    encryption_of,
    metadata_of,
)
from emulators.s3.store import Store, stored_key

_ALGORITHM = "x-amz-checksum-algorithm"
_TYPE = "x-amz-checksum-type"
_SIZE = "x-amz-mp-object-size"
_PART_NUMBER = re.compile(rb"<PartNumber>\s*(\d+)\s*</PartNumber>")


def is_step(message: Message) -> bool:
    """Whether the request is one step of a multipart upload."""
    return bool(message.key) and bool(message.query.keys() & {"uploadId", "uploads"})


def headers_of_body(message: Message) -> Mapping[str, str]:
    """The headers that speak of the request's own body: on completing, the checksum is that of the object."""
    if message.method != "POST" or "uploadId" not in message.query:
        return message.headers
    of_object = ("x-amz-checksum-", "x-amz-sdk-checksum-")
    return {name: text for name, text in message.headers.items() if not name.startswith(of_object)}


def upload_of(store: Store, message: Message) -> Any | None:
    """The upload that a step belongs to, or None if there is none (any more)."""
    upload_id = message.query.get("uploadId")
    return store.bucket(message.bucket).multiparts.get(upload_id) if upload_id else None


def take_step(store: Store, message: Message, checksum: Checksum | None) -> Answer:
    """Begin, continue, complete or abort a multipart upload.

    Args:
        checksum: That of the part's body, already compared.

    Raises:
        S3Error: 404 NoSuchUpload; 400 BadDigest, InvalidPart, EntityTooSmall; 412 PreconditionFailed.
    """
    if "uploads" in message.query and message.method == "POST":
        return _begin(store, message)
    upload = upload_of(store, message)
    if upload is None or upload.key_name != message.key:
        return _repeated(store, message)
    if message.method == "PUT":
        answer = store.ask_s3(message)
        return Answer(answer.status, answer.headers | _stated(checksum), answer.body)
    if message.method == "POST":
        return _complete(store, message, upload)
    return store.ask_s3(message)


def _begin(store: Store, message: Message) -> Answer:
    algorithm, kind = message.headers.get(_ALGORITHM, ""), message.headers.get(_TYPE, "").upper()
    if kind and not algorithm:
        msg = "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
        raise invalid_request(msg)
    if kind == "FULL_OBJECT" and algorithm.upper() in {"SHA1", "SHA256"}:
        msg = f"The FULL_OBJECT checksum type cannot be used with the {algorithm.lower()} checksum algorithm."
        raise invalid_request(msg)
    encryption = encryption_of(store, message)
    upload = store.backend.create_multipart_upload(
        message.bucket,
        message.key,
        metadata_of(message.headers),
        message.headers.get("x-amz-storage-class", "STANDARD"),
        {},
        None,
        encryption.get(SSE),
        encryption.get(SSE_KEY),
    )
    if algorithm:
        upload.metadata[_ALGORITHM] = algorithm.upper()
        upload.metadata[_TYPE] = kind or ("FULL_OBJECT" if algorithm.upper() == "CRC64NVME" else "COMPOSITE")
    upload.bucket_key_enabled = encryption.get(SSE_BUCKET_KEY)
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<InitiateMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Bucket>{message.bucket}</Bucket><Key>{escape(message.key)}</Key><UploadId>{upload.id}</UploadId>"
        "</InitiateMultipartUploadResult>"
    )
    headers = {SSE: "AES256", **encryption, "content-type": "application/xml"}
    for name in (_ALGORITHM, _TYPE):
        if name in upload.metadata:
            headers[name] = upload.metadata[name]
    return Answer(HTTPStatus.OK, headers, body.encode())


def _complete(store: Store, message: Message, upload: Any) -> Answer:
    numbers = [int(number) for number in _PART_NUMBER.findall(message.body)]
    with store.writing(message.bucket, message.key):
        check_conditions(store, message)
        _verify_whole(message, upload, numbers)
        plain = {name: text for name, text in message.headers.items() if name != "if-none-match"}
        answer = store.ask_s3(Message(message.method, message.target, plain, message.body))
        if answer.status != HTTPStatus.OK:
            return answer
        key: Any = stored_key(store, message)
        key.bucket_key_enabled = upload.bucket_key_enabled
        for name in (_ALGORITHM, _TYPE):
            key.metadata.pop(name, None)
        upload.dispose()  # the object holds the bytes now
    result = answer.body.decode().removesuffix("</CompleteMultipartUploadResult>")
    checksums = checksum_headers(key)
    for name, value in checksums.items():
        element = "ChecksumType" if name == _TYPE else f"Checksum{key.checksum_algorithm}"
        result += f"<{element}>{value}</{element}>"
    result += "</CompleteMultipartUploadResult>"
    return Answer(answer.status, answer.headers | encryption_headers(key), result.encode())


def _verify_whole(message: Message, upload: Any, numbers: list[int]) -> None:
    """Compare size and checksum of the whole, before anything is stored."""
    parts = [upload.parts[number].value for number in numbers if number in upload.parts]
    size = message.headers.get(_SIZE)
    if size is not None and int(size) != sum(map(len, parts)):
        msg = "The provided 'x-amz-mp-object-size' header does not match what was computed."
        raise invalid_request(msg)
    kind = message.headers.get(_TYPE, "").upper()
    begun = upload.metadata.get(_TYPE, "")
    if kind and kind != begun:
        msg = (
            f"The upload was created using the {begun or 'COMPOSITE'} checksum mode."
            " The complete request must use the same checksum mode."
        )
        raise invalid_request(msg)
    stated = stated_checksum(message.headers)
    if stated is None or begun != "FULL_OBJECT":
        return
    if stated.algorithm != upload.metadata[_ALGORITHM]:
        raise S3Error(HTTPStatus.BAD_REQUEST, "BadDigest", "The checksum's algorithm is not the upload's.")
    verify(stated, parts)


def _repeated(store: Store, message: Message) -> Answer:
    """An upload that is over: completing it once more succeeds, anything else does not."""
    upload_id = message.query.get("uploadId", "")
    done: Any = store.newest(message.bucket, message.key)
    if message.method == "POST" and done is not None and done.multipart and done.multipart.id == upload_id:
        return store.ask_s3(message)
    raise no_such_upload(upload_id)


def _stated(checksum: Checksum | None) -> dict[str, str]:
    return {checksum.header: checksum.value} if checksum else {}

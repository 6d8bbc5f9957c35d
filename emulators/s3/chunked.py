r"""aws-chunked: how SDKs stream a body whose checksum they learn on the way.

Each chunk is ``<hex size>[;chunk-signature=…]\r\n<data>\r\n``; an empty chunk ends the data, and
trailers (``x-amz-checksum-crc32:…``) may follow.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from emulators.s3.errors import S3Error
from emulators.s3.messages import Message


def is_chunked(headers: Mapping[str, str]) -> bool:
    """Whether a request's body is in aws-chunked."""
    return headers.get("x-amz-content-sha256", "").startswith("STREAMING-")


def decode(message: Message) -> Message:
    """The message with its plain body, and its trailers among its headers.

    Raises:
        S3Error: 400, the body ends early, is no aws-chunked, or has another length than stated.
    """
    body = bytearray()
    view, position = message.body, 0
    try:
        while True:
            end = view.index(b"\r\n", position)
            size = int(view[position:end].partition(b";")[0], 16)
            position = end + 2
            if size == 0:
                break
            body += view[position : position + size]
            position += size + 2
    except ValueError as error:
        raise _incomplete() from error
    trailers = dict(_trailers(view[position:]))
    stated = message.headers.get("x-amz-decoded-content-length")
    if stated is not None and int(stated) != len(body):
        raise _incomplete()
    missing = {name.strip().lower() for name in message.headers.get("x-amz-trailer", "").split(",")} - {""}
    if missing - trailers.keys():
        code, words = "MalformedTrailerError", "The request contained trailing data that was not well-formed."
        raise S3Error(HTTPStatus.BAD_REQUEST, code, words)
    encodings = [word.strip() for word in message.headers.get("content-encoding", "").split(",")]
    kept = ",".join(word for word in encodings if word not in {"", "aws-chunked"})
    headers = {**message.headers, **trailers, "content-length": str(len(body))}
    headers.pop("content-encoding", None)
    if kept:
        headers["content-encoding"] = kept
    return Message(message.method, message.target, headers, bytes(body))


def _trailers(text: bytes) -> list[tuple[str, str]]:
    lines = (line.decode("latin-1").partition(":") for line in text.split(b"\r\n") if line.strip())
    return [(name.strip().lower(), value.strip()) for name, _, value in lines]


def _incomplete() -> S3Error:
    code = "IncompleteBody"
    words = "You did not provide the number of bytes specified by the Content-Length HTTP header"
    return S3Error(HTTPStatus.BAD_REQUEST, code, words)

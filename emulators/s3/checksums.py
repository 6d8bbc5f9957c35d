"""What arrived is what was sent: the checksums that S3 compares before it stores anything.

CRC-32, SHA-1 and SHA-256 run in C. CRC-32C and CRC-64/NVME have no C implementation among this
project's packages and are worked out in Python, at a few megabytes a second.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus

from isal import isal_zlib

from emulators.s3.errors import S3Error, invalid_request

_HEADER = "x-amz-checksum-"


@dataclass(frozen=True, slots=True)
class Checksum:
    """One checksum as S3 writes it: ``CRC32`` and its value in base64."""

    algorithm: str
    value: str

    @property
    def header(self) -> str:
        """``x-amz-checksum-crc32``."""
        return _HEADER + self.algorithm.lower()


def checksum_of(algorithm: str, chunks: Iterable[bytes]) -> Checksum:
    """The checksum of the chunks, one after the other.

    Raises:
        S3Error: 400, S3 does not know the algorithm.
    """
    compute = _ALGORITHMS.get(algorithm.upper())
    if compute is None:
        msg = "Checksum algorithm provided is unsupported. Please try again with any of the valid types"
        raise invalid_request(msg)
    return Checksum(algorithm.upper(), base64.b64encode(compute(chunks)).decode())


def stated_checksum(headers: Mapping[str, str]) -> Checksum | None:
    """The checksum that a request's headers (or trailers) state, if any.

    Raises:
        S3Error: 400, more than one is stated, or its value cannot be one.
    """
    stated = [
        Checksum(name.removeprefix(_HEADER).upper(), value)
        for name, value in headers.items()
        if name.startswith(_HEADER) and name.removeprefix(_HEADER).upper() in _ALGORITHMS
    ]
    if not stated:
        return None
    if len(stated) > 1:
        msg = "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
        raise invalid_request(msg)
    checksum = stated[0]
    if len(_decoded(checksum.value) or b"") != _LENGTHS[checksum.algorithm]:
        msg = f"Value for {checksum.header} header is invalid."
        raise invalid_request(msg)
    return checksum


def verify_body(headers: Mapping[str, str], body: bytes) -> Checksum | None:
    """Compare a body with every checksum that came with it.

    Returns:
        The checksum to store with the object: the one stated, or, if only an algorithm was named
        (``x-amz-sdk-checksum-algorithm``), the one computed.

    Raises:
        S3Error: 400 BadDigest, XAmzContentSHA256Mismatch, InvalidDigest or InvalidRequest.
    """
    digest = headers.get("x-amz-content-sha256", "")
    if len(digest) == hashlib.sha256().digest_size * 2 and hashlib.sha256(body).hexdigest() != digest:
        words = "The provided 'x-amz-content-sha256' header does not match what was computed."
        raise S3Error(
            HTTPStatus.BAD_REQUEST, "XAmzContentSHA256Mismatch", words, ClientComputedContentSHA256=digest
        )
    _verify_md5(headers.get("content-md5"), body)
    stated = stated_checksum(headers)
    named = headers.get("x-amz-sdk-checksum-algorithm")
    if stated is None:
        return checksum_of(named, [body]) if named else None
    if named and named.upper() != stated.algorithm:
        msg = "Value for x-amz-sdk-checksum-algorithm header is invalid."
        raise invalid_request(msg)
    verify(stated, [body])
    return stated


def verify(stated: Checksum, chunks: Iterable[bytes]) -> None:
    """Compare.

    Raises:
        S3Error: 400 BadDigest.
    """
    if checksum_of(stated.algorithm, chunks) != stated:
        msg = f"The {stated.algorithm} you specified did not match the calculated checksum."
        raise S3Error(HTTPStatus.BAD_REQUEST, "BadDigest", msg)


def _verify_md5(stated: str | None, body: bytes) -> None:
    if stated is None:
        return
    digest = _decoded(stated)
    if digest is None or len(digest) != hashlib.md5(usedforsecurity=False).digest_size:
        raise S3Error(HTTPStatus.BAD_REQUEST, "InvalidDigest", "The Content-MD5 you specified was invalid.")
    if hashlib.md5(body, usedforsecurity=False).digest() != digest:
        msg = "The Content-MD5 you specified did not match what we received."
        raise S3Error(HTTPStatus.BAD_REQUEST, "BadDigest", msg, ExpectedDigest=stated)


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _crc32(chunks: Iterable[bytes]) -> bytes:
    crc = 0
    for chunk in chunks:
        crc = isal_zlib.crc32(chunk, crc)
    return crc.to_bytes(4, "big")


def _hashed(name: str) -> Callable[[Iterable[bytes]], bytes]:
    def compute(chunks: Iterable[bytes]) -> bytes:
        digest = hashlib.new(name, usedforsecurity=False)
        for chunk in chunks:
            digest.update(chunk)
        return digest.digest()

    return compute


def _reflected_crc(polynomial: int, bits: int) -> Callable[[Iterable[bytes]], bytes]:
    @lru_cache(maxsize=1)
    def table() -> tuple[int, ...]:
        entries = []
        for entry in range(256):
            remainder = entry
            for _ in range(8):
                remainder = remainder >> 1 ^ polynomial * (remainder & 1)
            entries.append(remainder)
        return tuple(entries)

    def compute(chunks: Iterable[bytes]) -> bytes:
        entries = table()
        ones = (1 << bits) - 1
        crc = ones
        for chunk in chunks:
            for byte in chunk:
                crc = crc >> 8 ^ entries[(crc ^ byte) & 0xFF]
        return (crc ^ ones).to_bytes(bits // 8, "big")

    return compute


_ALGORITHMS: dict[str, Callable[[Iterable[bytes]], bytes]] = {
    "CRC32": _crc32,
    "CRC32C": _reflected_crc(0x82F63B78, 32),
    "CRC64NVME": _reflected_crc(0x9A6C9329AC4BC9B5, 64),
    "SHA1": _hashed("sha1"),
    "SHA256": _hashed("sha256"),
}
_LENGTHS = {"CRC32": 4, "CRC32C": 4, "CRC64NVME": 8, "SHA1": 20, "SHA256": 32}

"""A file that is larger than one PUT: it goes up in pieces, which become one object or none.

The CRC-32 of the whole is known beforehand and goes up at the end: S3 combines those of the pieces and
refuses to make an object of them if the result differs. So an object that came in pieces carries the
same checksum as one that came whole.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html and, for the checksum of
the whole, https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import BotoCoreError, ClientError
from isal import isal_zlib
from s3transfer.utils import ReadFileChunk

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
MOST_PIECES = 10_000

_READ_BYTES = 1 << 20


def checksum_field(crc32: int) -> str:
    """A CRC-32 as S3 writes it: four bytes, the highest first, in base64."""
    return base64.b64encode(crc32.to_bytes(4, "big")).decode()


def slices_of(size_bytes: int, *, piece_bytes: int, most: int = MOST_PIECES) -> Iterator[tuple[int, int]]:
    """Start and length of each piece, in bytes.

    Guarantees: the pieces lie one after the other and cover the file; there are at most ``most`` of
    them; all but the last are of one size, which is at least ``piece_bytes``.
    """
    step = max(piece_bytes, -(-size_bytes // most))
    for start in range(0, size_bytes, step):
        yield start, min(step, size_bytes - start)


def put_in_pieces(
    client: S3Client,
    path: Path,
    where: Mapping[str, Any],
    *,
    crc32: int,
    size_bytes: int,
    piece_bytes: int,
    settings: Mapping[str, Any],
) -> None:
    """Make one object of a file's pieces, one after the other; no piece is held in memory.

    All or nothing: whatever goes wrong, the pieces that went up are given back, and if that does not
    succeed either, the bucket's rule for incomplete uploads takes them. Safe to repeat.

    Args:
        where: Bucket and Key.
        crc32: Of the whole file; S3 refuses to complete the upload if it differs.
        size_bytes: Of the whole file; likewise.
        piece_bytes: The least size of a piece but the last.
        settings: Content type and encryption of the object.

    Raises:
        botocore.exceptions.ClientError: S3 refused it.
        botocore.exceptions.BotoCoreError: S3 cannot be reached.
        OSError: The file cannot be read.
    """
    begun = client.create_multipart_upload(
        **where, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT", **settings
    )
    upload: dict[str, Any] = {**where, "UploadId": begun["UploadId"]}
    try:
        slices = slices_of(size_bytes, piece_bytes=piece_bytes)
        done: list[Any] = [
            _put_piece(client, path, upload, number=number, start=start, length=length)
            for number, (start, length) in enumerate(slices, 1)
        ]
        client.complete_multipart_upload(
            **upload,
            MultipartUpload={"Parts": done},
            ChecksumCRC32=checksum_field(crc32),
            ChecksumType="FULL_OBJECT",
            MpuObjectSize=size_bytes,
        )
    except BaseException:
        with suppress(BotoCoreError, ClientError):
            client.abort_multipart_upload(**upload)
        raise


def _put_piece(
    client: S3Client, path: Path, upload: Mapping[str, Any], *, number: int, start: int, length: int
) -> dict[str, Any]:
    """Put one slice; its own checksum goes up with it, so that a damaged one is refused at once."""
    with ReadFileChunk.from_filename(str(path), start, length) as body:
        crc32 = 0
        while chunk := body.read(_READ_BYTES):
            crc32 = isal_zlib.crc32(chunk, crc32)
        body.seek(0)
        checksum = checksum_field(crc32)
        answer = client.upload_part(
            **upload,
            PartNumber=number,
            Body=cast(Any, body),
            ChecksumAlgorithm="CRC32",
            ChecksumCRC32=checksum,
        )
    return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumCRC32": checksum}

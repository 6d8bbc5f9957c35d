"""ListObjectsV2: byte order, 1,000 a page, whatever else is in the bucket.

A page costs as much as what is on it: names are kept sorted between writes, and a common prefix is
jumped over, not walked through. Where keys beyond StartAfter lie under a common prefix that does not
(StartAfter ``a/b``, delimiter ``/``), the prefix is left out.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
"""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

from emulators.s3.errors import S3Error
from emulators.s3.messages import Answer

PAGE = 1000


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be listed."""

    prefix: str = ""
    delimiter: str = ""
    start_after: str = ""
    token: str | None = None
    max_keys: int = PAGE
    encoded: bool = False

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Question:
        """Read the query of a ListObjectsV2.

        Raises:
            S3Error: 400 InvalidArgument.
        """
        max_keys = query.get("max-keys", str(PAGE))
        if not max_keys.isdecimal():
            raise _invalid(max_keys, "max-keys")
        return cls(
            query.get("prefix", ""),
            query.get("delimiter", ""),
            query.get("start-after", ""),
            query.get("continuation-token"),
            min(int(max_keys), PAGE),
            query.get("encoding-type") == "url",
        )


@dataclass(frozen=True, slots=True)
class Page:
    """What one answer lists: keys and common prefixes in one order, and where the next one begins."""

    entries: tuple[str, ...]
    prefixes: frozenset[str]
    next_token: str | None


def page_of(names: Sequence[str], question: Question, is_live: Callable[[str], bool]) -> Page:
    """Choose what is on the page.

    Args:
        names: Every name in the bucket, sorted. Code points sort as their UTF-8 bytes do.
        is_live: Whether the newest version of a name is an object, and no delete marker.

    Raises:
        S3Error: 400 InvalidArgument, the continuation token is not one of ours.
    """
    found = _entries(names, question, is_live)
    entries: list[str] = []
    prefixes: set[str] = set()
    for entry, is_prefix in found:
        if len(entries) == question.max_keys:
            last = entries[-1]
            token = _write_token(last, is_prefix=last in prefixes) if entries else None
            return Page(tuple(entries), frozenset(prefixes), token)
        entries.append(entry)
        if is_prefix:
            prefixes.add(entry)
    return Page(tuple(entries), frozenset(prefixes), None)


def _entries(
    names: Sequence[str], question: Question, is_live: Callable[[str], bool]
) -> Iterator[tuple[str, bool]]:
    if question.max_keys == 0:
        return
    position = bisect_left(names, question.prefix)
    if question.token is not None:
        position = max(position, _resume(names, question.token))
    else:
        position = max(position, bisect_right(names, question.start_after))
    while position < len(names) and names[position].startswith(question.prefix):
        name = names[position]
        cut = name.find(question.delimiter, len(question.prefix)) if question.delimiter else -1
        if cut < 0 or not is_live(name):
            position += 1
            if is_live(name):
                yield name, False
            continue
        folder = name[: cut + len(question.delimiter)]
        position = _beyond(names, folder)
        if question.token is not None or folder > question.start_after:
            yield folder, True


def _beyond(names: Sequence[str], prefix: str) -> int:
    return bisect_left(names, prefix[:-1] + chr(ord(prefix[-1]) + 1))


def _write_token(entry: str, *, is_prefix: bool) -> str:
    return base64.urlsafe_b64encode(("p" if is_prefix else "k").encode() + entry.encode()).decode()


def _resume(names: Sequence[str], token: str) -> int:
    try:
        text = base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise _invalid(token, "continuation-token") from error
    kind, entry = text[:1], text[1:]
    if kind not in {"p", "k"} or not entry:
        raise _invalid(token, "continuation-token")
    return _beyond(names, entry) if kind == "p" else bisect_right(names, entry)


def render(bucket: str, question: Question, page: Page, objects: Mapping[str, Any]) -> Answer:
    """Write the page as S3 does."""

    def text(name: str) -> str:
        return quote(name, safe="/") if question.encoded else escape(name)

    start = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>{bucket}</Name><Prefix>{text(question.prefix)}</Prefix>"
        f"<MaxKeys>{question.max_keys}</MaxKeys><KeyCount>{len(page.entries)}</KeyCount>"
        f"<IsTruncated>{str(page.next_token is not None).lower()}</IsTruncated>"
    )
    optional = {
        "Delimiter": text(question.delimiter),
        "StartAfter": text(question.start_after),
        "EncodingType": "url" if question.encoded else "",
        "ContinuationToken": escape(question.token or ""),
        "NextContinuationToken": page.next_token or "",
    }
    parts = [start, *(f"<{name}>{value}</{name}>" for name, value in optional.items() if value)]
    for entry in page.entries:
        if entry in page.prefixes:
            parts.append(f"<CommonPrefixes><Prefix>{text(entry)}</Prefix></CommonPrefixes>")
            continue
        stored = objects[entry]
        algorithm = stored.checksum_algorithm
        checksum = (
            f"<ChecksumAlgorithm>{algorithm}</ChecksumAlgorithm>"
            f"<ChecksumType>{stored.checksum_type or 'FULL_OBJECT'}</ChecksumType>"
            if algorithm
            else ""
        )
        parts.append(
            f"<Contents><Key>{text(entry)}</Key><LastModified>{stored.last_modified_ISO8601}</LastModified>"
            f"<ETag>{escape(stored.etag)}</ETag>{checksum}<Size>{stored.size}</Size>"
            f"<StorageClass>{stored.storage_class}</StorageClass></Contents>"
        )
    parts.append("</ListBucketResult>")
    return Answer(HTTPStatus.OK, {"content-type": "application/xml"}, "".join(parts).encode())


def _invalid(value: str, name: str) -> S3Error:
    message = f"The {name} provided is incorrect"
    status = HTTPStatus.BAD_REQUEST
    return S3Error(status, "InvalidArgument", message, ArgumentName=name, ArgumentValue=value[:80])

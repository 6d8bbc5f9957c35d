"""What lies in a lake, mutated: bodies of manifests, their keys, and lake.json."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from random import Random
from typing import Any, Literal

from core.errors import HourUnusable, LakeConflict, PipelineError
from core.lake.identity import LakeIdentity
from core.lake.layout import ManifestName, Status
from core.lake.manifest import Manifest
from tests.campaigns.fuzz_bytes import mutated
from tests.core.lake.examples import APP, HOST, HOUR, manifest, part

Kind = Literal["manifest", "name", "identity"]

_IDENTITY = LakeIdentity(APP, HOST)


@dataclass(frozen=True, slots=True)
class LakeInput:
    """One body or key.

    Attributes:
        data: The body; for a key its UTF-8, lone surrogates passed through.
        name: What a manifest's body is held against.
    """

    kind: Kind
    family: str
    data: bytes
    name: ManifestName


def draw_lake_input(chance: Random) -> LakeInput:
    """A body or a key, mutated from what this project writes."""
    kind: Kind = chance.choices(("manifest", "name", "identity"), cum_weights=(6, 8, 10))[0]
    seed, other = chance.choice(_manifests()), chance.choice(_manifests())
    if kind == "name":
        text = chance.choice(_KEY_CHANGES)(chance, seed.name.key)
        return LakeInput(kind, "name", text.encode("utf-8", "surrogatepass"), seed.name)
    body, spliced = (
        (seed.to_json(), other.to_json()) if kind == "manifest" else (_IDENTITY.to_json(), seed.to_json())
    )
    if chance.random() < 0.4:
        return LakeInput(kind, f"{kind}_blind", mutated(chance, body, spliced), seed.name)
    return LakeInput(kind, f"{kind}_fields", _altered(chance, body), seed.name)


def read_lake_input(drawn: LakeInput) -> object:
    """Read it as production does: the manifest, the name or the identity."""
    match drawn.kind:
        case "manifest":
            return Manifest.from_json(drawn.data, drawn.name)
        case "identity":
            return LakeIdentity.from_json(drawn.data, where="s3://lake/amplitude/")
        case "name":
            return ManifestName.parse(drawn.data.decode("utf-8", "surrogatepass"))


#: What each of them may raise.
REFUSALS: dict[Kind, type[PipelineError]] = {
    "manifest": HourUnusable, "name": LakeConflict, "identity": LakeConflict,
}  # fmt: skip


def doubts_about(drawn: LakeInput, read: object) -> Iterator[str]:
    """What is wrong with an input having been read as this."""
    if isinstance(read, Manifest):
        if read.name != drawn.name:
            yield f"the manifest is of {read.name.key}"
        if (again := Manifest.from_json(read.to_json(), read.name)) != read:
            yield f"written and read again, the manifest is {again}"
        if (digest := _digest(json.loads(drawn.data))) != drawn.name.digest:
            yield f"the body's digest is {digest}"
    elif isinstance(read, ManifestName):
        if read.key != drawn.data.decode():
            yield f"the key is written back as {read.key}"
    elif isinstance(read, LakeIdentity):
        if LakeIdentity.from_json(read.to_json(), where="") != read:
            yield "written and read again, the identity is another"
    else:
        yield f"{type(read).__name__} was read"


def _digest(body: dict[str, Any]) -> str:
    """A manifest's digest, from what its documentation says of it."""
    facts = sorted((p["member"], p["events"], p["json_bytes"], p["json_crc32"]) for p in body["parts"])
    text = json.dumps([list(fact) for fact in facts], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@cache
def _manifests() -> tuple[Manifest, ...]:
    late = HOUR.start + timedelta(hours=40, milliseconds=7)
    return (
        manifest(),
        manifest(part()),
        manifest(part(events=3), part(number=1, crc32=0xFFFF_FFFF), part(number=2, events=0, crc32=0)),
        manifest(part(events=7), exported_at=late, status=Status.ACCEPTED),
        manifest(part(number=11), exported_at=late, status=Status.RESTORED),
        manifest(status=Status.GIVEN_UP),
        manifest(status=Status.RETRY),
    )


def _altered(chance: Random, body: bytes) -> bytes:
    """Valid JSON, most of the time, with other values, other fields, or in another encoding."""
    tree = json.loads(body)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        places = list(_places(tree))
        holder, key = chance.choice(places)
        match chance.randrange(6):
            case 0:
                del holder[key]
            case 1:
                other, from_key = chance.choice(places)
                holder[key] = json.loads(json.dumps(other[from_key]))
            case 2 if isinstance(holder, dict):
                holder[f"{key}{chance.choice(_TEXTS)}"] = holder[key]
            case 2:
                holder.append(holder[key])
            case _:
                holder[key] = _another(chance, holder[key])
        if not tree:
            break
    text = json.dumps(tree, ensure_ascii=chance.random() < 0.5)
    if chance.random() < 0.1:
        text = text.replace('"version": 1', chance.choice(_RAW_VERSIONS))
    if chance.random() < 0.1:
        text = text.replace(f'"app_id": {APP}', f'"app_id": {chance.choice(_RAW_VALUES)}')
    if chance.random() < 0.05:
        at = chance.randrange(len(text) + 1)
        text = text[:at] + chance.choice(("[", '{"a":', "-")) * chance.choice((3, 2_000, 100_000)) + text[at:]
    encoding = "utf-8" if chance.random() < 0.9 else chance.choice(("utf-8-sig", "utf-16", "utf-32-be"))
    return text.encode(encoding, "surrogatepass")


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every value below the root, as its holder and its key."""
    for key, value in list(tree.items() if isinstance(tree, dict) else enumerate(tree)):
        yield tree, key
        if isinstance(value, dict | list):
            yield from _places(value)


def _another(chance: Random, value: object) -> object:
    if isinstance(value, str) and chance.random() < 0.5:
        return mutated(chance, value.encode("utf-8", "surrogatepass"), b"2025-12-23T19").decode(
            "utf-8", "replace"
        )
    if isinstance(value, int) and chance.random() < 0.5:
        return value + chance.choice((-1, 1, 1 << 31, 1 << 64))
    return deepcopy(chance.choice((*_VALUES, *_TEXTS)))  # it may be altered in its turn


_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 1.0, 1.5, float("inf"), float("nan"), 1 << 63, 10**400, [], {}, [[]],
    {"a": 1}, [1, 2],
)  # fmt: skip
_TEXTS = (
    "", " ", "\0", "\n", "\ud800", "\udfff\u202e", "é", "x" * 5_000, "2025-12-23T19", "2025-13-23T19",
    "0001-01-01T00", "9999-12-31T23", "20251223T221503.120Z", "20251223T221503.120001Z", "data",
    "../../lake.json", "00000000", "1",
)  # fmt: skip
_RAW_VERSIONS = tuple(
    f'"version": {raw}' for raw in ("1.0", "true", "1e0", "2", '"1"', '"' + "v" * 3_000 + '"', "[[1]]")
)
_RAW_VALUES: tuple[Any, ...] = (
    "1e999",
    "-Infinity",
    "NaN",
    "1e5",
    "1" * 5_000,
    "9" * 4_300,
    '"1"',
    '"\u0661"',
    "1.9",
    "true",
)


def _key_bytes(chance: Random, key: str) -> str:
    return mutated(chance, key.encode(), b"manifests/date=2025-12-23/").decode("utf-8", "surrogateescape")


def _key_digit(chance: Random, key: str) -> str:
    """Another digit, an ASCII one or one that only Unicode knows."""
    at = chance.choice([at for at, letter in enumerate(key) if letter.isdigit()])
    return key[:at] + chance.choice("0123456789\u0663\uff19²") + key[at + 1 :]


def _key_piece(chance: Random, key: str) -> str:
    """One piece of it is another."""
    piece = chance.choice(
        ("2025", "12-23", "hour=19", "-data-", "-empty-", "-10-", ".json", "manifests/", ".000Z", "T2215")
    )
    other = chance.choice(
        ("0000", "0001", "02-29", "hour=24", "-retry-", "-nothing-", "-010-", "-1-", "", "../", "\n", "/")
    )
    return key.replace(piece, other, 1)


_KEY_CHANGES: tuple[Callable[[Random, str], str], ...] = (
    _key_bytes, _key_digit, _key_digit, _key_piece, lambda _, key: key,
)  # fmt: skip

"""Archives mutated from sound ones, each from a seed and a number alone.

What is mutated in a member, or in its name, is packed again with the zip's sizes and checksums put right:
otherwise hardly an input would come past the zip.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Literal, get_args

from core.amplitude.archive import ArchiveLimits
from emulators.amplitude import Entry, Layout
from tests.campaigns.fuzz_bytes import mutated
from tests.campaigns.fuzz_fields import altered
from tests.campaigns.fuzz_gzip import any_stream, damaged_stream, stream_of
from tests.campaigns.fuzz_seeds import CONTENTS, TIGHT, WIDE, WINDOW, Seed, seeds
from tests.core.amplitude.archives import APP, name_of, zipped

#: What becomes of a sound archive: parts for the lake in either compression, or a local folder of JSON.
Sink = Literal["none", "gzip", "folder"]

#: Where a reader that took an absolute name for a path would write.
OUTSIDE = "/tmp/taken-for-a-path.json.gz"

_GIB_MARKS = (b"\n", b"\n\n", b"\r\n", b"\0", b" ", b"\xff", b"\n \n", b"{}", b"\xe2\x80\xa8", b"\x1e\n")

_NAMES = (
    "../{stem}.json.gz", "../../{stem}.json.gz", "{app}/../{stem}.json.gz", OUTSIDE,
    "{app}\\{stem}.json.gz", "{stem}.json.gz", "{app}/{app}/{stem}.json.gz", "{app}/{stem}.json.gz/",
    "{app}/{stem}.json", "{app}/{stem}.json.gz\n", "{app}/{stem}.json.gz\0.txt", "{app}/{stem}\0.json.gz",
    "{app}/{stem}.JSON.GZ", "{app}/{stem} .json.gz", "{app}/{app}_2025-12-23_09#0.json.gz",
    "{app}/{app}_2025-12-23_9#00.json.gz", "{app}/{app}_2025-12-23_24#0.json.gz",
    "{app}/{app}_2025-12-32_9#0.json.gz", "{app}/{app}_0000-00-00_9#0.json.gz",
    "{app}/{app}_2025-12-24_9#0.json.gz", "{app}/{app}_2025-12-23_9#0123456789.json.gz",
    "{app}/{app}_2025-12-23_9#.json.gz", "{app}/{app}_٢٠٢٥-12-23_9#0.json.gz", "1/{stem}.json.gz",
    "1/1_2025-12-23_9#7.json.gz", "0{app}/{stem}.json.gz", "{app}/{stem}.json.gz" + "x" * 300,
    "{app}/_complete", "complete_", "README", "readme.md.gz", "{app}/-ORG_1_2.json.gz", "-x", "", "/", ".",
    "\x1b[31mred", "\u202e{stem}.json.gz", "é" * 90, "con", "{app}/{stem}.json.gz;rm", "{app}/#.json.gz",
    "'" * 90,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ArchiveInput:
    """One archive, and how it is to be read."""

    family: str
    data: bytes
    limits: ArchiveLimits
    sink: Sink


def draw_archive(chance: Random) -> ArchiveInput:
    """An archive of one of the families."""
    family = chance.choices(_FAMILIES, cum_weights=_WEIGHTS)[0]
    limits = WIDE if family in {_bomb, _large_bomb} or chance.random() < 0.05 else TIGHT
    data = family(chance, chance.choice(seeds()))
    return ArchiveInput(family.__name__.strip("_"), data, limits, chance.choice(get_args(Sink)))


def _blind(chance: Random, seed: Seed) -> bytes:
    return mutated(chance, seed.data, chance.choice(seeds()).data)


def _fields(chance: Random, seed: Seed) -> bytes:
    return altered(chance, seed.data, seed.fields)


def _fields_blind(chance: Random, seed: Seed) -> bytes:
    return mutated(chance, altered(chance, seed.data, seed.fields), seed.data)


def _gzip(chance: Random, seed: Seed) -> bytes:
    """One member's gzip is damaged."""
    other = chance.choice(_filled()).entries[0].payload
    return _with_payload(chance, seed, lambda payload: damaged_stream(chance, payload or other, other))


def _content(chance: Random, seed: Seed) -> bytes:
    """One member holds other JSON lines in sound gzip: what is counted changes, and nothing else."""
    content = chance.choice(CONTENTS)
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(content) + 1)
        content = content[:at] + chance.choice(_GIB_MARKS) + content[at + chance.choice((0, 0, 0, 1, 9)) :]
    if chance.random() < 0.2:
        content = mutated(chance, content, chance.choice(CONTENTS))
    if chance.random() < 0.1:
        content *= chance.randrange(1, 60)  # up to the caps of a member and of an hour
    return _with_payload(chance, seed, lambda _: any_stream(chance, content))


def _names(chance: Random, seed: Seed) -> bytes:
    """One member or two have other names, each member as it was."""
    entries = list(seed.entries or chance.choice(_filled()).entries)
    for _ in range(chance.randrange(1, 3)):
        at = chance.randrange(len(entries))
        name = entries[at].name
        if chance.random() < 0.6:
            stem = name.split("/")[-1].removesuffix(".json.gz")
            name = chance.choice(_NAMES).replace("{stem}", stem).replace("{app}", str(APP))
        elif chance.random() < 0.5:
            name = chance.choice(entries).name
        else:
            name = mutated(chance, name.encode(), b"../x#0.json.gz").decode("utf-8", "replace")
        entries[at] = Entry(name, entries[at].payload)
    return zipped(entries, seed.layout)


def _many(chance: Random, seed: Seed) -> bytes:
    """Members by the number: up to the cap and beyond, in one hour or in several."""
    payload = chance.choice(_filled()).entries[0].payload
    count = chance.choice((7, 8, 9, 10, 40))
    spread = chance.choice((1, 2, 4))
    entries = [Entry(name_of(WINDOW.first + n % spread, n), payload) for n in range(count)]
    if chance.random() < 0.3:
        entries = [Entry(entry.name, stream_of(b"{}\n" * 500, level=0)) for entry in entries]
    return zipped(entries, seed.layout)


def _bomb(chance: Random, seed: Seed) -> bytes:
    """A little that gunzips to a lot, or unzips to a lot, or says so, or says that it does not."""
    size = chance.choice((5_000, 100_000, 1_100_000, 2_200_000))
    payload = _zeros(size, chance.choice((0, 10)))
    if chance.random() < 0.3:
        payload = bytes(size)  # the zip's own layer is the bomb
    entries = [Entry(name_of(WINDOW.first, part), payload) for part in range(chance.choice((1, 1, 2)))]
    return zipped(entries, Layout("deflated", descriptors=seed.layout.descriptors, zip64=seed.layout.zip64))


def _large_bomb(chance: Random, _: Seed) -> bytes:
    """One chunk of a member gunzips to 64 MiB, the most that a reader can meet in one piece."""
    return zipped([Entry(name_of(WINDOW.first), _zeros(64 << 20, chance.choice((0, 10))))], Layout("stored"))


def _sound(_: Random, seed: Seed) -> bytes:
    """As it is: it must be accepted."""
    return seed.data


@cache
def _zeros(size: int, newline_every: int) -> bytes:
    content = (
        bytes(size) if not newline_every else (b"0" * (newline_every - 1) + b"\n") * (size // newline_every)
    )
    packer = zlib.compressobj(6, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


@cache
def _filled() -> Sequence[Seed]:
    return [seed for seed in seeds() if seed.entries]


def _with_payload(chance: Random, seed: Seed, change: Callable[[bytes], bytes]) -> bytes:
    entries = list(seed.entries or chance.choice(_filled()).entries)
    at = chance.randrange(len(entries))
    entries[at] = Entry(entries[at].name, change(entries[at].payload))
    return zipped(entries, seed.layout)


_SHARES: dict[Callable[[Random, Seed], bytes], float] = {
    _blind: 18, _fields: 20, _fields_blind: 3, _gzip: 30, _content: 17, _names: 8, _many: 2, _bomb: 0.6,
    _large_bomb: 0.005, _sound: 1,
}  # fmt: skip
_FAMILIES = tuple(_SHARES)
_WEIGHTS = tuple(sum(tuple(_SHARES.values())[: n + 1]) for n in range(len(_SHARES)))

"""The locks: requirements.in → requirements.txt, requirements-dev.in → requirements-dev.txt.

A lock says in its first lines which source it was made from, so that a source that was changed
without `make lock` is noticed without a network. Here is what can be known from the files alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

#: Each lock, and the sources it was made from. The second holds all of the first.
LOCKS: Mapping[str, tuple[str, ...]] = {
    "requirements.txt": ("requirements.in",),
    "requirements-dev.txt": ("requirements-dev.in", "requirements.in"),
}

PYTHONS = ("3.11", "3.12", "3.13")

#: The name uv gives to each platform: glibc 2.28 or newer, macOS 14 or newer (see MACOS).
PLATFORMS: Mapping[str, str] = {
    "Linux x86-64": "x86_64-manylinux_2_28",
    "Linux arm64": "aarch64-manylinux_2_28",
    "macOS arm64": "aarch64-apple-darwin",
}

#: The connector's wheels ask for it; uv would assume 13.
MACOS = "14.0"

_PIN = re.compile(
    r"^(?P<name>[A-Za-z0-9._-]+)(?:\[[^]]*\])?==(?P<version>[^\s;\\]+)(?:\s*;\s*(?P<marker>[^\\]+))?"
)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})\b")
_SOURCE = re.compile(r"^# (?P<source>\S+\.in) sha256:(?P<digest>[0-9a-f]{64})$", re.MULTILINE)


@dataclass(frozen=True)
class Pin:
    """One locked requirement."""

    version: str
    marker: str
    hashes: frozenset[str]


def pins_of(lock: str) -> dict[str, Pin]:
    """Every requirement of a lock's text, by its normalized name.

    Raises:
        ValueError: A requirement is not pinned with ``==``, or stands there twice.
    """
    pins: dict[str, Pin] = {}
    unfolded = lock.replace("\\\n", " ")
    for line in unfolded.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _PIN.match(line)
        if match is None:
            msg = f"not a pinned requirement: {line[:80]}"
            raise ValueError(msg)
        name = re.sub(r"[-_.]+", "-", match["name"]).lower()
        if name in pins:
            msg = f"{name} is locked twice"
            raise ValueError(msg)
        marker = (match["marker"] or "").split("--hash")[0].strip()
        pins[name] = Pin(match["version"], marker, frozenset(_HASH.findall(line)))
    return pins


def digest_of(source: str) -> str:
    """What a source asks for, as one number: comments and blank lines do not count."""
    wanted = (line.split(" #")[0].strip() for line in source.splitlines())
    return hashlib.sha256("\n".join(line for line in wanted if line and line[0] != "#").encode()).hexdigest()


def header_of(lock_name: str, files: Mapping[str, str]) -> str:
    """The first lines of a lock: where it comes from, and how it is changed."""
    sources = "".join(f"# {name} sha256:{digest_of(files[name])}\n" for name in LOCKS[lock_name])
    first = "# Written by `make lock` and never by hand. Every file that pip may take is named by its hash.\n"
    return first + sources


def problems_of(files: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with the locks, as far as the files alone can tell; nothing if all is well.

    Args:
        files: The text of both sources and both locks, by name.
    """
    pins: dict[str, dict[str, Pin]] = {}
    for lock_name, sources in LOCKS.items():
        lock = files[lock_name]
        recorded = {match["source"]: match["digest"] for match in _SOURCE.finditer(lock)}
        for source in sources:
            if recorded.get(source) != digest_of(files[source]):
                yield f"{lock_name} was not made from {source} as it is now: run `make lock`"
        try:
            pins[lock_name] = pins_of(lock)
        except ValueError as error:
            yield f"{lock_name}: {error}"
            return
        yield from (
            f"{lock_name}: {name} has no hash" for name, pin in pins[lock_name].items() if not pin.hashes
        )
    runtime, dev = pins["requirements.txt"], pins["requirements-dev.txt"]
    for name, pin in runtime.items():
        if name not in dev:
            yield f"requirements-dev.txt lacks {name}, which requirements.txt holds"
        elif dev[name] != pin:
            yield f"{name} is {pin.version} in requirements.txt and differs in requirements-dev.txt"

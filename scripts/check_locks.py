"""Prove that the locks install: every pin has a wheel, for every Python on every platform.

Two questions to the registry, metadata only, nothing is installed. Is there a wheel that fits, for
each pin, Python and platform? A dry run answers that without looking at hashes. And are the hashes
that the lock names those of the files that are there? Both together: the wheel that fits is named.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from scripts.locks import LOCKS, PLATFORMS, PYTHONS, Pin, pins_of, problems_of
from scripts.pinned_uv import ROOT, run_uv


def missing_wheels(lock_name: str) -> Iterator[str]:
    """Ask for every Python and platform whether each pin that applies has a wheel."""
    for python in PYTHONS:
        for platform, uv_platform in PLATFORMS.items():
            answer = run_uv(
                "pip", "install", "--dry-run", "--no-deps", "--require-hashes", "--only-binary", ":all:",
                "--python-version", python, "--python-platform", uv_platform,
                "--target", ".lock-venv/nothing", "-r", lock_name,
            )  # fmt: skip
            said = answer.stderr.strip().splitlines()
            found = next((line for line in said if line.startswith("Would install")), "")
            if answer.returncode or not found:
                yield f"{lock_name}, Python {python}, {platform}: " + "\n    ".join(said)
            else:
                print(f"{lock_name:21} Python {python}  {platform:12}  {found.split()[2]} wheels")


def strange_hashes(lock_name: str) -> Iterator[str]:
    """Ask once which files there are of each pinned version, and compare their hashes."""
    pins = pins_of((ROOT / lock_name).read_text("utf-8"))
    wanted = "".join(
        f"{name}=={pin.version}{pin.marker and ' ; ' + pin.marker}\n" for name, pin in pins.items()
    )
    answer = run_uv(
        "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes",
        "--no-deps", "--only-binary", ":all:", "--no-header", "--no-annotate", "-",
        given=wanted,
    )  # fmt: skip
    if answer.returncode:
        yield f"{lock_name}: {answer.stderr.strip()}"
        return
    found = pins_of(answer.stdout)
    for name, pin in pins.items():
        if found.get(name, Pin("", "", frozenset())).hashes != pin.hashes:
            yield f"{lock_name}: {name} {pin.version} has other files than the lock names: run `make lock`"
    print(f"{lock_name:21} {sum(len(pin.hashes) for pin in found.values())} hashes of {len(found)} packages")


def main() -> int:
    """Check the files, then ask the registry."""
    names = {*LOCKS, *(source for sources in LOCKS.values() for source in sources)}
    problems = list(problems_of({name: (ROOT / name).read_text("utf-8") for name in names}))
    for lock_name in LOCKS:
        problems += [*missing_wheels(lock_name), *strange_hashes(lock_name)]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

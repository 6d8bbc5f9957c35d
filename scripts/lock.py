"""Resolve requirements*.in into requirements*.txt: whole, with hashes, wheels only.

One lock holds for every Python and platform of ``scripts.locks``. What is locked stays as it is
while it still fits; ``--upgrade`` takes the newest of everything.
"""

from __future__ import annotations

import sys

from scripts.locks import LOCKS, header_of, pins_of
from scripts.pinned_uv import ROOT, run_uv


def main(arguments: list[str]) -> int:
    """Write both locks; the second is resolved against the first."""
    for lock_name, sources in LOCKS.items():
        answer = run_uv(
            "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes",
            "--only-binary", ":all:", "--no-header", sources[0], "--output-file", lock_name, *arguments,
        )  # fmt: skip
        if answer.returncode:
            print(answer.stderr, file=sys.stderr)
            return answer.returncode
        files = {source: (ROOT / source).read_text("utf-8") for source in sources}
        lock = ROOT / lock_name
        lock.write_text(header_of(lock_name, files) + lock.read_text("utf-8"), "utf-8")
        print(f"{lock_name}: {len(pins_of(lock.read_text('utf-8')))} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What is mutated, and by which tests the mutants are to be killed."""

from __future__ import annotations

from dataclasses import dataclass

_FAST = "not slow and not live"
_ALL = "not live"


@dataclass(frozen=True, slots=True)
class Group:
    """Modules that are judged together.

    Attributes:
        modules: Paths from the project's folder.
        tests: Files or folders. Of these, each mutant gets the tests that reach its function.
        marked: Which of them, as pytest's ``-m`` takes it.
    """

    name: str
    modules: tuple[str, ...]
    tests: tuple[str, ...]
    marked: str = _FAST


PLANNING = Group(
    "planning",
    ("core/planning.py", "core/gaps.py", "core/hours.py"),
    (
        "tests/core/test_planning.py",
        "tests/core/test_gaps.py",
        "tests/core/test_hours.py",
        "tests/core/test_wording.py",
    ),
)
MANIFEST = Group(
    "manifest",
    tuple(f"core/lake/{name}.py" for name in ("manifest", "layout", "verdict", "commit", "marks")),
    tuple(f"tests/core/lake/test_{name}.py" for name in ("manifest", "layout", "verdict", "commit", "marks")),
    _ALL,
)
ARCHIVE = Group(
    "archive",
    (
        *(f"core/amplitude/{name}.py" for name in ("archive", "directory", "zipped", "gunzip")),
        "core/unpacking.py",
    ),
    (
        *(f"tests/core/amplitude/test_{name}.py" for name in ("archive", "directory", "zipped", "gunzip")),
        "tests/core/test_unpacking.py",
    ),
)
LOADER = Group(
    "loader",
    (
        *(
            f"core/warehouse/{name}.py"
            for name in ("loader", "transaction", "contents", "copying", "lock", "rejection")
        ),
        "core/loading.py",
    ),
    ("tests/core/warehouse", "tests/core/test_loading.py", "tests/core/test_load_missing.py"),
)

#: Small enough for every run of the tests: the one rule that says which manifest counts.
VERDICT = Group("verdict", ("core/lake/verdict.py",), ("tests/core/lake/test_verdict.py",))

CAMPAIGN = (PLANNING, MANIFEST, ARCHIVE, LOADER)
GROUPS = {group.name: group for group in (*CAMPAIGN, VERDICT)}

"""What a test needs of the machine: where it is missing, the test says so, and CI does not go on without."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

import pytest


def need(there: object, what: str, environment: Mapping[str, str] = os.environ) -> None:
    """Skip the test where something is missing that not every machine has; in CI, fail.

    Args:
        there: Whether it is there.
        what: What is needed, and what for: ``git, to clone the code``.
        environment: Where ``CI=true`` stands, as services of continuous integration set it.
    """
    if there:
        return
    if environment.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(f"Needed, and missing in CI: {what}", pytrace=False)
    pytest.skip(f"needs {what}")


def need_program(name: str, purpose: str) -> None:
    """The same for a program on the PATH."""
    need(shutil.which(name), f"{name}, {purpose}")

"""What the cases say about unmodified fakesnow is true. A part of them; all with --stock-fakesnow."""

import subprocess
import sys
from pathlib import Path

import pytest
from snowflake.connector.errors import DatabaseError

from tests.contract.warehouses import FAILURES

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_sample_of_the_claims_about_fakesnow_holds() -> None:
    sample = ["tests/contract/test_statements.py", "tests/contract/test_transactions.py"]
    chosen = "rollback_undoes or without_a_transaction or failed_statement or test_statements"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--stock-fakesnow",
        "-p",
        "no:cacheprovider",
        *sample,
        "-k",
        chosen,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "3 passed" in done.stdout
    assert "10 xfailed" in done.stdout


@pytest.mark.parametrize(("error", "counts"), [(DatabaseError, True), (NameError, False), (TypeError, False)])
def test_a_slip_in_a_case_is_no_failure_of_fakesnow(error: type[Exception], counts: bool) -> None:
    assert issubclass(error, FAILURES) is counts

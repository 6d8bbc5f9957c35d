"""Why an hour was refused, and what is said of it."""

from __future__ import annotations

import pytest

from core.errors import LoadRefused, is_transient
from core.warehouse.refusals import FileDiffers, LinesRefused, refusal, with_remedy
from tests.core.warehouse.examples import HOUR

REJECT = f"To load the rest: python -m flows.gap_fill --reject-bad-lines {HOUR}"
GIVE_UP = f"--give-up {HOUR} --reason TEXT"
EXPORT = f"To export it again: python -m flows.gap_fill --start {HOUR} --end {HOUR} --verify"


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (100069, LinesRefused),
        (100072, LinesRefused),
        (100144, LinesRefused),
        (91016, FileDiffers),
        (100033, FileDiffers),
        (1003, LoadRefused),
        (0, LoadRefused),
    ],
)
def test_what_copy_complains_of_is_told_apart_by_its_number(number: int, kind: type[LoadRefused]) -> None:
    made = refusal(number, "said")
    assert (type(made), str(made), is_transient(made)) == (kind, "said", False)


def test_snowflake_s_advice_to_skip_lines_is_not_passed_on() -> None:
    said = "Row 2, column 1 If you would like to continue loading when an error is encountered, use other"
    assert str(refusal(100069, said)) == "Row 2, column 1"


@pytest.mark.parametrize(
    ("error", "tolerant", "said"),
    [
        (LinesRefused("A bad line."), False, f"A bad line. {REJECT}"),
        (
            LinesRefused("A bad line."),
            True,
            f"A bad line. To do without it: python -m flows.gap_fill {GIVE_UP}",
        ),
        (FileDiffers("A file is gone."), False, f"A file is gone. {EXPORT} (or {GIVE_UP})"),
        (FileDiffers("A file is gone."), True, f"A file is gone. {EXPORT} (or {GIVE_UP})"),
        (
            LoadRefused("Nobody knows."),
            False,
            "Nobody knows. Nothing of it was loaded; the next run tries again.",
        ),
    ],
)
def test_a_refusal_names_the_command_that_helps(error: LoadRefused, tolerant: bool, said: str) -> None:
    assert with_remedy(error, HOUR, tolerant=tolerant) == said

"""What goes wrong on purpose: a plan that tests write and the engine follows.

snowflake.faults.add(Fault(r"COPY INTO", fault="error", errno=604, message="SQL execution canceled"))
snowflake.faults.add(Fault(r"^COMMIT", fault="lose_answer"))
"""

import re
import threading
from dataclasses import dataclass, field
from typing import Literal

from emulators.gate import Gate

Kind = Literal[
    "error",
    "kill_session",
    "lose_answer",
    "lose_request",
    "miscount",
    "too_many_waiters",
    "delay",
    "hold",
    "hold_answer",
]


@dataclass(frozen=True)
class Fault:
    """One thing to go wrong, once or several times.

    Args:
        pattern: regular expression, searched in the statement's text, any case.
        fault: `error` answers with errno and message instead of running the statement. `kill_session` rolls
            back and ends the session; the client hears that it has to log in again. `lose_answer` runs the
            statement, then cuts the connection; `lose_request` cuts it without running. Both end the session,
            so that the client's own retry cannot heal it. `miscount` runs a COPY and reports one row less
            than it loaded. `too_many_waiters` answers 000625. `delay` waits `seconds` and then runs it.
            `hold` waits at `gate` and then runs it, or drops it: no answer, and the session stays as it is,
            as after a request that never arrived whole. `hold_answer` runs it, then waits there.
        nth: at the n-th statement that matches, from 1.
        times: at how many in a row from there.
        errno, sqlstate, message: what `error` answers.
        seconds: how long `delay` waits.
        gate: where `hold` and `hold_answer` wait.
    """

    pattern: str
    fault: Kind = "error"
    nth: int = 1
    times: int = 1
    errno: int = 603
    sqlstate: str = "XX000"
    message: str = "SQL execution internal error: planned fault"
    seconds: float = 0.0
    gate: Gate = field(default_factory=Gate, compare=False)


class Faults:
    """The plan. Safe to change while statements run."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._plan: list[tuple[Fault, list[int]]] = []

    def add(self, *faults: Fault) -> None:
        """Plan faults; each counts the statements that match it from now on."""
        with self._guard:
            self._plan.extend((fault, [0]) for fault in faults)

    def clear(self) -> None:
        """Forget the plan."""
        with self._guard:
            self._plan.clear()

    def due(self, sql: str) -> Fault | None:
        """Count a statement against every fault, and give the first one that is due for it."""
        chosen: Fault | None = None
        with self._guard:
            for fault, seen in self._plan:
                if re.search(fault.pattern, sql, re.IGNORECASE):
                    seen[0] += 1
                    if chosen is None and fault.nth <= seen[0] < fault.nth + fault.times:
                        chosen = fault
        return chosen

"""What may be handed from task to task."""

from __future__ import annotations

import pickle
from typing import Any

from core.timing import Timed


def is_small(receipt: object, most_bytes: int) -> bool:
    """Whether a receipt consists of paths, counts and keys only: it goes through pickle, and is not long."""
    sent = pickle.dumps(receipt)
    assert pickle.loads(sent) == receipt
    return len(sent) < most_bytes


def content(timed: Any) -> Any:
    """What a task that measures its time has done."""
    assert isinstance(timed, Timed)
    assert timed.span.began < timed.span.ended
    return timed.receipt

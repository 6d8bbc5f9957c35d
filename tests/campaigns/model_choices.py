"""What hypothesis chooses between."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.campaigns.model_world import HOURS

#: Doors that matter: an actor is often brought to one of them, for another to overtake it there.
PLACES = (
    "begin", "clock", "commit", "connect", "copy_parts", "delete_hours", "export", "list", "merge_ledger",
    "put-events", "put-manifests", "read_ledger", "rollback", "take_lock",
)  # fmt: skip

LOADING = ("commit", "copy_parts", "delete_hours", "take_lock", "take_lock")

#: How an hour can differ from what it was.
CHANGES = ("others", "more", "more", "fewer", "another order")

WISHES = ("plain", "verify", "not settling", "accept", "give up", "retry")

#: Rules without which runs meet each other more often.
DISTRACTIONS = (
    "an_hour_changes", "crash", "gap_fill", "go_on", "load", "lose_an_answer", "rows_are_deleted_by_hand",
    "sessions_are_looked_after", "time_passes",
)  # fmt: skip

MOST_ACTORS = 3

movers = st.integers(0, MOST_ACTORS - 1)
numbers = st.integers(0, len(HOURS) - 1)
sizes = st.lists(st.integers(1, 2), max_size=2)

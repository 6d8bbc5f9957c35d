"""A stand-in for Amplitude's Export API, with events whose truth is known and faults on demand.

    with AmplitudeEmulator(EventSource(seed=7), clock=lambda: now) as amplitude:
        httpx.get(f"{amplitude.url}/api/2/export", params={"start": ..., "end": ...}, auth=amplitude.auth)

Guarantees: real HTTP/1.1 on 127.0.0.1; the same seed, project and hour give the same events in
whichever window and however often they are asked for, unless a :class:`Change` says otherwise;
``truth`` names every event that a sound answer holds, and no other.

From a shell: ``python -m emulators.amplitude --help``.

Source: https://amplitude.com/docs/apis/analytics/export
"""

from emulators.amplitude.archive import Entry, Layout, zip_chunks
from emulators.amplitude.changes import Change
from emulators.amplitude.faults import Fault, FaultPlan
from emulators.amplitude.members import Member
from emulators.amplitude.server import AmplitudeEmulator, Request
from emulators.amplitude.source import EventSource
from emulators.amplitude.truth import Truth, canonical, write_truth

__all__ = [
    "AmplitudeEmulator",
    "Change",
    "Entry",
    "EventSource",
    "Fault",
    "FaultPlan",
    "Layout",
    "Member",
    "Request",
    "Truth",
    "canonical",
    "write_truth",
    "zip_chunks",
]

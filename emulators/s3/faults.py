"""What goes wrong, how often, and for which requests."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from http import HTTPStatus
from threading import Lock
from typing import Literal

from emulators.gate import Gate
from emulators.s3 import chunked
from emulators.s3.errors import S3Error, access_denied
from emulators.s3.messages import Hangup, Message

#: ``lost-answer``: the request is carried out, and the connection reset instead of an answer.
#: ``reset``: the connection is reset, and nothing was done.
#: ``corrupted``: one byte of the request's body is changed on the way.
#: ``held``: the request waits at the fault's gate before it is looked at; dropped, it is reset.
#: ``held-answer``: the request is carried out, and its answer waits at the gate.
FaultKind = Literal[
    "error", "slow-down", "denied", "conflict", "reset", "lost-answer", "corrupted", "held", "held-answer"
]


@dataclass(slots=True)
class Fault:
    """Something that goes wrong ``times`` times, and then heals.

    Args:
        method: HTTP method; empty for all.
        key: Regular expression, searched for in the key (``""`` for requests to a bucket).
        skip: How many such requests are spared first.
        gate: Where a held request waits.
    """

    kind: FaultKind
    method: str = "PUT"
    key: str = ""
    times: int = 1
    skip: int = 0
    gate: Gate = field(default_factory=Gate)

    def meets(self, message: Message) -> bool:
        """Whether it concerns this request, and is not used up."""
        return (
            self.times > 0
            and self.method in {"", message.method}
            and re.search(self.key, message.key) is not None
        )


@dataclass(slots=True)
class FaultPlan:
    """Faults in the order in which they were planned. Safe to share between threads."""

    faults: list[Fault] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def add(self, fault: Fault) -> None:
        """Plan one more."""
        with self._lock:
            self.faults.append(fault)

    def take(self, message: Message) -> Fault | None:
        """The first fault that concerns this request; it counts as having happened."""
        with self._lock:
            for fault in self.faults:
                if not fault.meets(message):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                return fault
        return None


def break_off(fault: Fault) -> None:
    """Do what the fault does before the request is looked at.

    Raises:
        S3Error: 500, 503, 403 or 409.
        Hangup: the connection is to be reset.
    """
    kind = fault.kind
    if kind == "error":
        words = "We encountered an internal error. Please try again."
        raise S3Error(HTTPStatus.INTERNAL_SERVER_ERROR, "InternalError", words)
    if kind == "slow-down":
        raise S3Error(HTTPStatus.SERVICE_UNAVAILABLE, "SlowDown", "Please reduce your request rate.")
    if kind == "denied":
        raise access_denied()
    if kind == "conflict":
        words = "The conditional request cannot succeed due to a conflicting operation against this resource."
        raise S3Error(HTTPStatus.CONFLICT, "ConditionalRequestConflict", words)
    if kind == "reset" or (kind == "held" and not fault.gate.hold()):
        raise Hangup


def corrupt(message: Message) -> Message:
    """The message with one byte of its data changed; as it is if it carries none.

    Of a body in aws-chunked it is the first byte of the first chunk: the framing stays whole.
    """
    if not message.body:
        return message
    place = len(message.body) // 2
    if chunked.is_chunked(message.headers):
        size, _, data = message.body.partition(b"\r\n")
        if int(size.partition(b";")[0], 16) == 0:
            return message
        place = len(message.body) - len(data)
    body = bytearray(message.body)
    body[place] ^= 1
    return Message(message.method, message.target, message.headers, bytes(body))

"""The Export API over HTTP/1.1 on loopback, from inside a process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Literal, Self

from core.hours import ExportHour, ExportWindow
from emulators.amplitude.archive import Layout
from emulators.amplitude.export import Archive, ExportApi
from emulators.amplitude.faults import Fault, FaultPlan
from emulators.amplitude.source import EventSource
from emulators.amplitude.truth import Truth
from emulators.amplitude.wire import Server

#: How the length of an archive is told: Content-Length, chunks, or by the end of the connection.
Transfer = Literal["length", "chunked", "close"]

#: The most that Amplitude puts into one answer.
SIZE_LIMIT_BYTES = 4 << 30

DEMO_API_KEY = "demo-api-key"
DEMO_SECRET_KEY = "demo-secret-key"


@dataclass(frozen=True, slots=True)
class Request:
    """One request that was answered.

    Attributes:
        window: What it asked for; None if that could not be told.
        status: What it was answered with; None if the connection was reset.
        fault: The label of the fault that it met, or None.
    """

    window: ExportWindow | None
    status: int | None
    fault: str | None


def utc_now() -> datetime:
    """The real time."""
    return datetime.now(UTC)


class AmplitudeEmulator:
    """The Export API on 127.0.0.1, with ``with`` around its life.

    Lives once. Guarantees: it answers when ``with`` begins, and its port is free and its connections are
    closed when ``with`` ends; requests are answered concurrently, connections are kept alive;
    a request is in ``requests`` before its answer's first byte is sent.

    Args:
        source: The project whose events it exports.
        api_key: With ``secret_key``, what opens the door.
        clock: Tells the time; aware. None for the real time.
        faults: What goes wrong; more may be added to ``faults`` later.
        layout: The form of the zip.
        transfer: How the length of an archive is told.
        size_limit_bytes: A larger export is refused with 400.
        timeout_hours: A longer window is answered with 504; None for no such limit.
        port: 0 for any free one.

    Attributes:
        url: ``http://127.0.0.1:<port>``, from ``start`` on.
        auth: The two keys, as HTTP clients take them.
        requests: All requests so far, in the order in which they were answered.
        faults: What is still to go wrong.
        busy: How many requests are in hand.
        busiest: The most of them at one time.

    Raises:
        OSError: The port is in use; when it starts.
    """

    def __init__(  # noqa: PLR0913 - settings, all with a default
        self,
        source: EventSource | None = None,
        *,
        api_key: str = DEMO_API_KEY,
        secret_key: str = DEMO_SECRET_KEY,
        clock: Callable[[], datetime] | None = None,
        faults: Iterable[Fault] = (),
        layout: Layout | None = None,
        transfer: Transfer = "length",
        size_limit_bytes: int = SIZE_LIMIT_BYTES,
        timeout_hours: int | None = None,
        port: int = 0,
    ) -> None:
        self.source = source or EventSource()
        self.clock = clock or utc_now
        self.faults = FaultPlan(faults)
        self.layout = layout or Layout()
        self.transfer = transfer
        self.auth = (api_key, secret_key)
        self.requests: list[Request] = []
        self.busiest = 0
        self.stopping = Event()
        self.api = ExportApi(
            self.source,
            api_key=api_key,
            secret_key=secret_key,
            clock=lambda: self.clock(),  # noqa: PLW0108 - the clock may be replaced while it runs
            size_limit_bytes=size_limit_bytes,
            timeout_hours=timeout_hours,
        )
        self._port = port
        self.busy = 0
        self._lock = Lock()
        self._server: Server | None = None
        self._thread: Thread | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        if self._server is None:
            msg = "The emulator has not been started."
            raise RuntimeError(msg)
        return f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> Self:
        """Open the port and answer from now on.

        Raises:
            OSError: The port is in use.
        """
        self._server = Server(self, self._port)
        self._thread = Thread(target=self._server.serve, name="amplitude", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Break off what is in hand and free the port. Safe to repeat."""
        self.stopping.set()
        if self._server is not None and self._thread is not None:
            self._server.wake()
            self._thread.join()
            self._server.hang_up()
            self._server.server_close()
            self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def truth(self, hour: ExportHour) -> list[Truth]:
        """What a sound answer to the next request for ``hour`` would bring."""
        answer = self.api.answer(ExportWindow(hour, hour))
        if not isinstance(answer, Archive):
            return []
        return self.source.truth(hour, at=answer.at, request=answer.hours[hour])

    def log(self, window: ExportWindow | None, status: int | None, fault: Fault | None = None) -> None:
        """Put a request into ``requests``."""
        with self._lock:
            self.requests.append(Request(window, status, fault.label if fault else None))

    def enter(self) -> None:
        """One more request is in hand."""
        with self._lock:
            self.busy += 1
            self.busiest = max(self.busiest, self.busy)

    def leave(self) -> None:
        """One request less is in hand."""
        with self._lock:
            self.busy -= 1

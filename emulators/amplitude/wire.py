"""Bytes on sockets: the one module that knows how an answer is sent, or fails to be."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from tempfile import SpooledTemporaryFile
from threading import Lock
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from emulators.amplitude.archive import zip_chunks
from emulators.amplitude.export import TEXTS, Archive, Refusal, read_window
from emulators.amplitude.faults import Fault
from emulators.amplitude.spoil import entries

if TYPE_CHECKING:
    from core.hours import ExportWindow
    from emulators.amplitude.server import AmplitudeEmulator

_PATH = "/api/2/export"
_PIECE_BYTES = 256 * 1024
_SPOOL_BYTES = 64 << 20
_PAGE = "<!doctype html><title>Amplitude</title><h1>We will be right back</h1>\n"


class Server(ThreadingHTTPServer):
    """A thread for each connection, and a way to end them all."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, emulator: AmplitudeEmulator, port: int) -> None:
        self.emulator = emulator
        self._open: set[socket.socket] = set()
        self._broken: set[socket.socket] = set()
        self._lock = Lock()
        super().__init__(("127.0.0.1", port), Handler)

    def server_bind(self) -> None:
        """Bind without asking anybody for the name of the machine, which can take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def serve(self) -> None:
        """Answer until the emulator stops."""
        while not self.emulator.stopping.is_set():
            self.handle_request()

    def wake(self) -> None:
        """Have :meth:`serve` look whether it should stop."""
        socket.create_connection(("127.0.0.1", self.server_port), timeout=5).close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, then answer it in a thread of its own."""
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """End a connection in good form, unless it is to be broken."""
        with self._lock:
            self._open.discard(request)
            broken = request in self._broken
            self._broken.discard(request)
        if broken:
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def reset(self, connection: socket.socket) -> None:
        """Have a connection end with a reset, not a farewell."""
        with self._lock:
            self._broken.add(connection)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def hang_up(self) -> None:
        """Break off all connections."""
        with self._lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # the other side was faster

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Show errors, except that a client has gone."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "AmplitudeEmulator"
    sys_version = ""
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing: ``AmplitudeEmulator.requests`` is the log."""

    def do_GET(self) -> None:
        """Answer a request."""
        self.server.emulator.enter()
        try:
            self._answer()
        finally:
            self.server.emulator.leave()

    def _answer(self) -> None:
        emulator = self.server.emulator
        url = urlsplit(self.path)
        stranger = emulator.api.refuse_stranger(self.headers.get("Authorization"))
        window = read_window(dict(parse_qsl(url.query, keep_blank_values=True)))
        if url.path != _PATH:
            self._refuse(None, Refusal(404, "Not Found"))
        elif isinstance(window, Refusal):
            self._refuse(None, stranger or window)
        elif stranger is not None:
            self._refuse(window, stranger)
        else:
            answer = emulator.api.answer(window)
            fault = emulator.faults.take(window, answer.hours if isinstance(answer, Archive) else ())
            if fault is not None and self._overtaken(window, fault):
                return
            if fault is None or fault.kind in {"slow", "stall"}:
                emulator.api.remember(window)
            if isinstance(answer, Refusal):
                self._refuse(window, answer, fault)
            else:
                self._export(window, answer, fault)

    def _overtaken(self, window: ExportWindow, fault: Fault) -> bool:
        """Send what comes instead of an answer; False if the answer itself is to be sent."""
        if fault.kind == "status":
            text = TEXTS.get(fault.status, "Error") if fault.text is None else fault.text
            headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
            self._refuse(window, Refusal(fault.status, text), fault, headers)
        elif fault.kind == "redirect":
            self._refuse(window, Refusal(302, ""), fault, {"Location": fault.location})
        elif fault.kind == "html":
            self._refuse(window, Refusal(200, _PAGE), fault, {"Content-Type": "text/html; charset=utf-8"})
        elif fault.kind == "empty":
            self._refuse(window, Refusal(200, ""), fault, {"Content-Type": "application/zip"})
        elif fault.kind == "reset":
            self.server.emulator.log(window, None, fault)
            self.close_connection = True
            self.server.reset(self.connection)
        else:
            if fault.kind == "slow":
                self.server.emulator.stopping.wait(fault.seconds)
            return False
        return True

    def _refuse(
        self,
        window: ExportWindow | None,
        refusal: Refusal,
        fault: Fault | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Send a status and a text."""
        self.server.emulator.log(window, refusal.status, fault)
        body = refusal.text.encode()
        self.send_response(refusal.status)
        sent = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(body))} | (
            headers or {}
        )
        if refusal.status == 401:  # noqa: PLR2004
            sent["WWW-Authenticate"] = 'Basic realm="Amplitude"'
        for name, value in sent.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _export(self, window: ExportWindow, archive: Archive, fault: Fault | None) -> None:
        """Write the archive to a spool, for its length has to be known, and send it from there."""
        emulator = self.server.emulator
        layout = emulator.layout
        members = emulator.api.members(archive)
        with SpooledTemporaryFile(max_size=_SPOOL_BYTES) as spool:
            spool.writelines(zip_chunks(entries(members, layout, window, fault), layout))
            emulator.log(window, 200, fault)
            self._send(spool, spool.tell(), fault)

    def _send(self, spool: IO[bytes], size: int, fault: Fault | None) -> None:
        kind = fault.kind if fault else None
        turn = int(size * fault.fraction) if fault and kind in {"truncated", "cut", "stall"} else size
        transfer = "length" if kind == "truncated" else self.server.emulator.transfer
        self.send_response(200)
        self.send_header("Content-Type", "application/zip")
        if transfer == "length":
            self.send_header("Content-Length", str(turn if kind == "truncated" else size))
        elif transfer == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Connection", "close")
        self.end_headers()
        spool.seek(0)
        self._pass_on(spool, turn, chunked=transfer == "chunked")
        if kind == "cut":
            self.close_connection = True
            return
        if fault is not None and kind == "stall":
            self.server.emulator.stopping.wait(fault.seconds)
            self._pass_on(spool, size - turn, chunked=transfer == "chunked")
        if transfer == "chunked":
            self.wfile.write(b"0\r\n\r\n")

    def _pass_on(self, spool: IO[bytes], size: int, *, chunked: bool) -> None:
        for piece in _pieces(spool, size):
            if chunked:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            else:
                self.wfile.write(piece)


def _pieces(spool: IO[bytes], size: int) -> Iterator[bytes]:
    while size > 0 and (piece := spool.read(min(size, _PIECE_BYTES))):
        size -= len(piece)
        yield piece

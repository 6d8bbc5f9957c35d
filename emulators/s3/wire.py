"""HTTP/1.1 as S3 speaks it: one message at a time on connections that stay open.

A connection costs a thread, a request no connection: clients that send many small objects reuse
theirs. Bodies are read whole (what S3 stores, it has seen whole), chunked transfer coding included.
"""

from __future__ import annotations

import re
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterable
from email.utils import formatdate
from http import HTTPStatus
from typing import Protocol, cast

from emulators.s3.errors import S3Error
from emulators.s3.messages import Answer, Hangup, Message

_NO_BODY = frozenset({204, 304})
_LONGEST_LINE = 1 << 16
_REQUEST_LINE = re.compile(r"([A-Z]+) (\S+) HTTP/1\.([01])")


Handler = Callable[[Message], Answer]


class WireServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Listens on 127.0.0.1 and hands every message to ``handle``.

    Raises:
        OSError: the port is taken.
    """

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, port: int, handle: Handler, *, largest_body_bytes: int) -> None:
        self.handle_message = handle
        self.largest_body_bytes = largest_body_bytes
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Connection)

    def process_request_thread(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        """Serve one connection; remember it while it lives."""
        with self._lock:
            self._open.add(request)
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._open.discard(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news."""

    def hang_up(self) -> None:
        """End every open connection."""
        with self._lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...
    def readline(self, size: int, /) -> bytes: ...


class _Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True  # or every second small answer waits 40 ms for an ACK
    rbufsize = 1 << 16

    def handle(self) -> None:
        server = cast(WireServer, self.server)
        try:
            while self._serve_one(server):
                pass
        except (ConnectionError, TimeoutError, EOFError):
            pass
        except Hangup:
            # SO_LINGER with no time sends RST rather than FIN
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def _serve_one(self, server: WireServer) -> bool:
        start = self.rfile.readline(_LONGEST_LINE)
        if not start.strip():
            return False
        match = _REQUEST_LINE.match(start.decode("latin-1"))
        if match is None:
            self._send(Answer(HTTPStatus.BAD_REQUEST), head=False, close=True)
            return False
        method, target, minor = match.groups()
        headers = _read_headers(self.rfile)
        size = int(headers.get("content-length") or 0)
        if size > server.largest_body_bytes:
            error = S3Error(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
            self._send(error.answer(), head=False, close=True)
            return False
        if headers.get("expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" in headers.get("transfer-encoding", "").lower():
            body = b"".join(_read_chunks(self.rfile))
        else:
            body = _read_exactly(self.rfile, size)
        close = minor == "0" or headers.get("connection", "").lower() == "close"
        answer = server.handle_message(Message(method, target, headers, body))
        self._send(answer, head=method == "HEAD", close=close)
        return not close

    def _send(self, answer: Answer, *, head: bool, close: bool) -> None:
        headers = {name.lower(): value for name, value in answer.headers.items()}
        if answer.status in _NO_BODY:
            headers.pop("content-length", None)
        elif not head:
            headers["content-length"] = str(len(answer.body))
        else:
            headers.setdefault("content-length", "0")
        headers |= {"date": formatdate(usegmt=True), "server": "AmazonS3"}
        if close:
            headers["connection"] = "close"
        lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        start = ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8")
        body = b"" if head or answer.status in _NO_BODY else answer.body
        if len(body) <= _LONGEST_LINE:
            self.wfile.write(start + body)
        else:
            self.wfile.write(start)
            self.wfile.write(body)


def _read_headers(stream: _Stream) -> dict[str, str]:
    headers: dict[str, str] = {}
    while line := stream.readline(_LONGEST_LINE).decode("utf-8", "surrogateescape").strip("\r\n"):
        name, _, value = line.partition(":")
        name, value = name.strip().lower(), value.strip()
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def _read_chunks(stream: _Stream) -> Iterable[bytes]:
    while size := int(stream.readline(_LONGEST_LINE).partition(b";")[0], 16):
        yield _read_exactly(stream, size)
        stream.readline(_LONGEST_LINE)
    while stream.readline(_LONGEST_LINE).strip():
        pass


def _read_exactly(stream: _Stream, size: int) -> bytes:
    body = stream.read(size)
    if len(body) < size:
        raise EOFError
    return body

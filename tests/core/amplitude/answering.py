"""A server that answers what it is told to, byte by byte, over real HTTP."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import copyfileobj
from threading import Event, Thread
from types import TracebackType
from typing import Literal, Self
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Answer:
    """One answer.

    Attributes:
        body: Bytes, or a file.
        length: The Content-Length that is stated; None for the right one.
        transfer: How the end is told.
        silent_after: How many bytes of the body are sent before silence falls; None for all.
        hang_up: Close the connection without a word.
        echo: The body is what came in Authorization.
    """

    status: int = 200
    body: bytes | Path = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None
    transfer: Literal["length", "chunked", "chunked-cut", "close"] = "length"
    silent_after: int | None = None
    hang_up: bool = False
    echo: bool = False


@dataclass(frozen=True)
class Question:
    """One request that came in."""

    path: str
    parameters: dict[str, str]
    headers: Message


class Answering(ThreadingHTTPServer):
    """Gives its answers in order, and the last one for ever; remembers what it was asked."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[Question] = []
        self.over = Event()
        super().__init__(("127.0.0.1", 0), _Handler)
        self._thread = Thread(target=self.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def server_bind(self) -> None:
        """Bind without asking anybody for the name of the machine, which can take seconds."""
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no trouble."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Answering
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        server = self.server
        server.asked.append(Question(url.path, dict(parse_qsl(url.query)), self.headers))
        answer = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
        if answer.hang_up:
            self.close_connection = True
            return
        body = self.headers["Authorization"].encode() if answer.echo else answer.body
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self._send(answer, body)

    def send_response(self, code: int, message: str | None = None) -> None:
        self.send_response_only(code, message)  # without a Date that the test did not give

    def _send(self, answer: Answer, body: bytes | Path) -> None:
        size = body.stat().st_size if isinstance(body, Path) else len(body)
        if answer.transfer == "length":
            self.send_header("Content-Length", str(size if answer.length is None else answer.length))
        elif answer.transfer == "close":
            self.send_header("Connection", "close")
        else:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if isinstance(body, Path):
            with body.open("rb") as file:
                copyfileobj(file, self.wfile, 64 * 1024)
        elif answer.silent_after is not None:
            self.wfile.write(body[: answer.silent_after])
            self.server.over.wait(30)
        elif answer.transfer.startswith("chunked"):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(body), body))
            if answer.transfer == "chunked":
                self.wfile.write(b"0\r\n\r\n")
        else:
            self.wfile.write(body)
        self.close_connection = answer.transfer in {"close", "chunked-cut"} or answer.length is not None


def unused_url() -> str:
    """Where nobody answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"

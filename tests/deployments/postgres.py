"""A PostgreSQL of its own for a test: in a temporary folder, on loopback, gone with its block."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from emulators.children import StackError, free_port

_SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "install_postgresql.sh"
_USER = _DATABASE = "prefect"
_START_SECONDS = _END_SECONDS = 30.0

#: Nothing of it outlives the test, so nothing has to reach the disk.
_CARELESS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class PostgreSQL:
    """A server that is ready when the block begins, with an empty database.

    It listens on 127.0.0.1 only and asks for a random password; there is no socket. Started by root, it
    runs as another user, for PostgreSQL refuses to run as root.

    Raises:
        StackError: No PostgreSQL was found, or it did not start.
    """

    def __enter__(self) -> Self:
        self._programs = self._find()
        # Not the folder of the tests: no other user may enter that one.
        self.folder = Path(tempfile.mkdtemp(prefix="postgresql-", dir="/tmp"))
        self._owner = self._other_user() if os.geteuid() == 0 else {}
        self._port = free_port()
        self._password = secrets.token_urlsafe(24)
        try:
            self._make()
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process: subprocess.Popen[bytes] | None = getattr(self, "_process", None)
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):  # fast, at once, now
            if process is not None and process.poll() is None:
                process.send_signal(number)
                try:
                    process.wait(timeout=_END_SECONDS)
                except subprocess.TimeoutExpired:
                    continue
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def url(self) -> str:
        """For PREFECT_SERVER_DATABASE_CONNECTION_URL; it holds the password."""
        return f"postgresql+asyncpg://{_USER}:{self._password}@127.0.0.1:{self._port}/{_DATABASE}"

    def dump(self) -> str:
        """Everything that the database holds, as SQL.

        Texts are escaped as COPY does it: a line break is ``\\n``, and a backslash is doubled. Bytes are
        in hex. A secret of several lines is to be looked for line by line.
        """
        return self._client("pg_dump", "--dbname", _DATABASE)

    def query(self, sql: str) -> list[str]:
        """The lines of an answer, fields separated by ``|``."""
        return self._client("psql", "--no-psqlrc", "-At", "--dbname", _DATABASE, "-c", sql).splitlines()

    @staticmethod
    def _find() -> Path:
        found = subprocess.run(["sh", _SCRIPT, "--find"], capture_output=True, text=True, check=False)
        if found.returncode != 0:
            raise StackError(found.stderr.strip())
        return Path(found.stdout.strip())

    def _other_user(self) -> dict[str, int]:
        known = {one.pw_name: one for one in pwd.getpwall()}
        user = known.get("postgres") or known["nobody"]
        os.chown(self.folder, user.pw_uid, user.pw_gid)
        return {"user": user.pw_uid, "group": user.pw_gid}

    @property
    def _environment(self) -> dict[str, str]:
        """Nothing of the developer's PGHOST, PGDATABASE or language."""
        return {
            "PATH": os.environ["PATH"],
            "LC_ALL": "C",
            "HOME": str(self.folder),
            "PGPASSWORD": self._password,
        }

    def _run(self, command: Sequence[str | Path]) -> str:
        done = subprocess.run(
            [str(word) for word in command],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            extra_groups=[] if self._owner else None,
            **self._owner,  # type: ignore[call-overload]
        )
        if done.returncode != 0:
            msg = f"{command[0]} failed:\n{done.stderr.strip()}"
            raise StackError(msg)
        return str(done.stdout)

    def _client(self, program: str, *arguments: str) -> str:
        to = ("--host", "127.0.0.1", "--port", str(self._port), "--username", _USER, "--no-password")
        return self._run([self._programs / program, *to, *arguments])

    def _make(self) -> None:
        password = self.folder / "password"
        password.write_text(self._password, "utf-8")
        password.chmod(0o600)
        if self._owner:
            os.chown(password, self._owner["user"], self._owner["group"])
        as_asked = (
            "--auth=scram-sha-256",
            f"--pwfile={password}",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
        )
        self._run([self._programs / "initdb", "-D", self.folder / "data", f"--username={_USER}", *as_asked])
        password.unlink()

    def _start(self) -> None:
        settings = (
            f"port={self._port}",
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            *_CARELESS,
        )
        flags = [word for setting in settings for word in ("-c", setting)]
        log = self.folder / "postgresql.log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [str(self._programs / "postgres"), "-D", str(self.folder / "data"), *flags],
                cwd=self.folder,
                env=self._environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
                extra_groups=[] if self._owner else None,
                **self._owner,  # type: ignore[call-overload]
            )
        until = time.monotonic() + _START_SECONDS
        while True:
            try:
                self._client(
                    "psql", "--no-psqlrc", "--dbname", "postgres", "-c", f"CREATE DATABASE {_DATABASE}"
                )
                return
            except StackError as error:
                if time.monotonic() > until or self._process.poll() is not None:
                    msg = f"PostgreSQL did not start:\n{log.read_text(errors='replace')[-2000:]}"
                    raise StackError(msg) from error
                time.sleep(0.1)

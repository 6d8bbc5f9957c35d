"""Objects and settings of buckets in a file, so that the next process has them again.

A change is on the disk before it is answered: neither a kill nor a power cut loses what a client was
told, and so the lake is never behind a warehouse that has loaded from it.

Not kept: uploads in parts that are not completed, tags, and everything of STS, KMS and IAM.
"""

from __future__ import annotations

import copy
import pickle
import secrets
import sqlite3
import threading
from pathlib import Path
from typing import Any

from moto.s3.models import MultipartDict, s3_backends
from moto.s3.utils import _VersionedKeyStore

from emulators.kept import StaleState, claim, unreadable
from emulators.s3.messages import Message
from emulators.s3.policy import BucketPolicy
from emulators.s3.store import Store

_TABLES = """
CREATE TABLE IF NOT EXISTS account (number TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS buckets (name TEXT PRIMARY KEY, settings BLOB NOT NULL, policy BLOB);
CREATE TABLE IF NOT EXISTS objects (
    bucket TEXT, key TEXT, versions BLOB NOT NULL, PRIMARY KEY (bucket, key)
);
"""


class KeptBuckets:
    """One account's buckets, in a folder. Safe to share between threads.

    Args:
        folder: Made if it is not there. What lies in it is trusted: only its owner may write there.

    Raises:
        StaleState: Another release wrote it, or it is damaged.
    """

    def __init__(self, folder: Path) -> None:
        claim(folder, ["moto"])
        self._guard = threading.Lock()
        self._path = folder / "lake.sqlite"
        self._file = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            self._open()
        except sqlite3.DatabaseError as error:
            self._file.close()
            raise StaleState(unreadable(self._path, folder.parent, error)) from None

    def _open(self) -> None:
        self._file.execute("PRAGMA journal_mode = WAL")
        self._file.execute("PRAGMA synchronous = FULL")
        self._file.executescript(_TABLES)
        if self._file.execute("SELECT 1 FROM account").fetchone() is None:
            number = str(secrets.randbelow(9 * 10**11) + 10**11)
            self._file.execute("INSERT INTO account VALUES (?)", [number])

    @property
    def account(self) -> str:
        """The account's number, which is part of the names of its keys."""
        return str(self._file.execute("SELECT number FROM account").fetchone()[0])

    def restore(self, store: Store, policies: dict[str, BucketPolicy]) -> None:
        """Put everything into a store that is still empty, and into the policies by bucket.

        Raises:
            StaleState: What was kept is damaged.
        """
        try:
            self._restore(store, policies)
        except Exception as error:  # noqa: BLE001  a damaged pickle may raise anything
            raise StaleState(unreadable(self._path, self._path.parent.parent, error)) from None

    def _restore(self, store: Store, policies: dict[str, BucketPolicy]) -> None:
        buckets = store.backend.buckets
        for name, settings, policy in self._file.execute("SELECT * FROM buckets"):
            store.disown(name)
            buckets[name] = pickle.loads(settings)  # noqa: S301  written here, by its owner
            s3_backends.bucket_accounts[name] = (buckets[name].partition, store.account)
            if policy is not None:
                policies[name] = BucketPolicy.parse(policy)
        for name, key, versions in self._file.execute("SELECT * FROM objects"):
            buckets[name].keys.setlist(key, pickle.loads(versions))  # noqa: S301  written here

    def keep(self, message: Message, store: Store, policies: dict[str, BucketPolicy]) -> None:
        """Write down what a request that succeeded may have changed."""
        if not message.bucket or message.method in {"GET", "HEAD"} or "partNumber" in message.query:
            return
        with self._guard:
            bucket = store.backend.buckets.get(message.bucket)
            if bucket is None:
                self._file.execute("DELETE FROM objects WHERE bucket = ?", [message.bucket])
                self._file.execute("DELETE FROM buckets WHERE name = ?", [message.bucket])
            elif message.key:
                self._keep_object(bucket, message.key)
            elif "delete" in message.query:
                kept = self._file.execute("SELECT key FROM objects WHERE bucket = ?", [bucket.name])
                for (key,) in kept.fetchall():
                    self._keep_object(bucket, key)
            else:
                self._keep_settings(bucket, policies.get(bucket.name))

    def close(self) -> None:
        """Let go of the file."""
        with self._guard:
            self._file.close()

    def _keep_object(self, bucket: Any, key: str) -> None:
        versions = bucket.keys.getlist(key)
        if versions:
            row = [bucket.name, key, pickle.dumps(list(versions))]
            self._file.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?)", row)
        else:
            self._file.execute("DELETE FROM objects WHERE bucket = ? AND key = ?", [bucket.name, key])

    def _keep_settings(self, bucket: Any, policy: BucketPolicy | None) -> None:
        settings = copy.copy(bucket)
        settings.keys, settings.multiparts = _VersionedKeyStore(), MultipartDict()
        row = [bucket.name, pickle.dumps(settings), policy.text if policy else None]
        self._file.execute("INSERT OR REPLACE INTO buckets VALUES (?, ?, ?)", row)

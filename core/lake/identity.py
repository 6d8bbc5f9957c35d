"""Whose events a lake holds: ``lake.json``, fixed by the lake's first archive."""

from __future__ import annotations

import json
from dataclasses import dataclass

from core.errors import LakeConflict

VERSION = 1


@dataclass(frozen=True, slots=True)
class LakeIdentity:
    """One Amplitude project, and where it is exported from."""

    app_id: int
    api_host: str

    def __str__(self) -> str:
        return f"app {self.app_id} from {self.api_host}"

    def to_json(self) -> bytes:
        """Canonical, with the layout's version."""
        fields = {"version": VERSION, "app_id": self.app_id, "api_host": self.api_host}
        return json.dumps(fields, sort_keys=True).encode()

    @classmethod
    def from_json(cls, body: bytes, *, where: str) -> LakeIdentity:
        """Read lake.json.

        Args:
            where: The lake's URL, for messages.

        Raises:
            LakeConflict: It is of another layout version, or was not written by this project. Permanent.
        """
        try:
            fields = json.loads(body)
            version = fields["version"]
            if version != VERSION:
                msg = f"{where} has layout version {ascii(version)[:40]}, this release reads {VERSION}."
                raise LakeConflict(msg)
            app_id, api_host = fields["app_id"], fields["api_host"]
            if type(app_id) is not int or type(api_host) is not str:
                raise TypeError
            return cls(app_id, api_host)
        except (ValueError, KeyError, TypeError, RecursionError):
            msg = f"lake.json of {where} cannot be read: it was not written by this project."
            raise LakeConflict(msg) from None

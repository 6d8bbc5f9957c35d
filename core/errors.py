"""Everything that can go wrong, as one tree, and the one question that retries ask.

    PipelineError
    ├── InvalidInput              the caller asked for something that cannot be
    ├── ScratchUnusable           the local disk is full or cannot be written to
    ├── ExportError               Amplitude's Export API
    │   ├── ExportUnavailable     busy, broken off or silent                      (transient)
    │   ├── BrokenAnswer          the answer arrived damaged                      (transient)
    │   ├── ExportRefused         credentials, or an answer that nobody expects
    │   └── ExportTooLarge        one hour is more than one request can carry
    ├── ArchiveError              what lay in the archive
    │   ├── StrangeArchive        something no hour can answer for: a stranger, a cap
    │   └── DamagedMember         one hour's member is broken inside a sound zip
    ├── LakeError                 S3
    │   ├── LakeUnavailable       busy, broken off or silent                      (transient)
    │   ├── LakeRefused           credentials, bucket, key policy
    │   ├── LakeConflict          the prefix belongs to another project, or holds what we never wrote
    │   └── HourUnusable          one hour's manifest is damaged or gone; the others can be read
    ├── WarehouseError            Snowflake
    │   ├── WarehouseUnavailable  busy, broken off, or another loader holds the lock  (transient)
    │   ├── WarehouseRefused      credentials, rights, missing objects, another lake's schema
    │   └── LoadRefused           Snowflake would not take these files as they are
    └── RunFailed                 the run is over, and these hours are not where they should be

*Transient* means that another attempt could help, *permanent* that it could not. Whoever retries,
tenacity for seconds inside a call or Prefect for minutes around a task, asks :func:`is_transient`.

A message says what was attempted, for which hour, and what to do. It never holds a secret, a
request or a response header. Errors cross process borders: every one of them can be pickled.
"""

from __future__ import annotations


class PipelineError(Exception):
    """What every error of this project is. Permanent unless its class says otherwise."""

    transient = False


class InvalidInput(PipelineError):
    """The caller asked for something that cannot be; nothing was done. Permanent."""


class ScratchUnusable(PipelineError):
    """The local disk is full or cannot be written to; nothing was committed. Permanent."""


class ExportError(PipelineError):
    """Amplitude's Export API did not give what was asked for."""


class ExportUnavailable(ExportError):
    """Busy, broken off or silent: 429, 5xx, no connection, no answer in time. Transient."""

    transient = True


class BrokenAnswer(ExportError):
    """The answer arrived damaged: cut, not a zip, or with a wrong checksum. Transient."""

    transient = True


class ExportRefused(ExportError):
    """Wrong credentials or region, or an answer that nobody expects. Permanent."""


class ExportTooLarge(ExportError):
    """A single hour is more than one request can carry. Permanent."""


class ArchiveError(PipelineError):
    """An archive that arrived whole holds something that must not be passed on."""


class StrangeArchive(ArchiveError):
    """Something that no single hour can answer for: a stranger, a second project, a cap. Permanent."""


class DamagedMember(ArchiveError):
    """One member is broken inside a sound zip: its hour fails, the others land. Permanent."""


class LakeError(PipelineError):
    """S3 did not do what was asked of it."""


class LakeUnavailable(LakeError):
    """Busy, broken off or silent. Transient."""

    transient = True


class LakeRefused(LakeError):
    """Credentials, bucket or key policy. Permanent."""


class LakeConflict(LakeError):
    """The prefix belongs to another project, or holds what this project never wrote. Permanent."""


class HourUnusable(LakeError):
    """One hour's manifest is damaged or gone; the others can be read. Permanent."""


class WarehouseError(PipelineError):
    """Snowflake did not do what was asked of it."""


class WarehouseUnavailable(WarehouseError):
    """Busy, broken off, or another loader holds the lock. Transient."""

    transient = True


class WarehouseRefused(WarehouseError):
    """Credentials, rights, a missing object, or a schema that serves another lake. Permanent."""


class LoadRefused(WarehouseError):
    """Snowflake would not take these files as they are. Nothing of them was loaded. Permanent."""


class RunFailed(PipelineError):
    """The run is over, and the hours it names are not where they should be. Permanent.

    What could be done was done: another run begins where this one ended.
    """


def is_transient(error: BaseException) -> bool:
    """Whether another attempt could help. Errors that are not ours are never retried."""
    return isinstance(error, PipelineError) and error.transient

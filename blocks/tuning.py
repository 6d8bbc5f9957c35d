"""How a pipeline does its work: every setting that leads nowhere and holds no secret."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field, field_validator

from core.amplitude.archive import GIB, ArchiveLimits
from core.planning import PlanRules


class Tuning(BaseModel):
    """Settings of the pipeline block, with their limits and defaults."""

    initial_days: int = Field(
        default=7, ge=1, le=365, description="How many days back the first run on an empty lake goes."
    )
    lookback_hours: int = Field(
        default=48,
        ge=0,
        le=8760,
        description="How many hours before the newest one in the lake a run looks for gaps.",
    )
    max_hours_per_run: int = Field(
        default=168,
        ge=1,
        le=8760,
        description="How many missing hours one run takes, the newest first; it names the rest.",
    )
    window_hours: int = Field(
        default=24, ge=1, le=8760, description="How many hours one export request asks for."
    )
    settle_hours: int = Field(
        default=24,
        ge=0,
        le=8760,
        description="How many hours after its end an hour is exported once more to settle it; 0: never.",
    )
    empty_after_hours: int = Field(
        default=6,
        ge=3,
        le=8760,
        description="How many hours after its start an hour without files is believed to be empty; at least "
        "24 if settling is off.",
    )
    verify_days: int = Field(
        default=7,
        ge=0,
        le=3650,
        description="How many days back a gap-fill compares objects and rows with the manifests.",
    )
    archives_in_flight: int = Field(
        default=2,
        ge=1,
        le=16,
        description="How many archives are downloaded or unpacked at once; bounds scratch disk.",
    )
    uploads_at_once: int = Field(
        default=4, ge=1, le=64, description="How many parts of one hour are uploaded at once."
    )
    retry_seconds: float = Field(
        default=30,
        ge=0,
        le=3600,
        description="How long a task waits before its second try; before its third four times as long.",
    )
    part_hours: int = Field(
        default=72,
        ge=1,
        le=8760,
        description="How many hours of a long gap-fill one part of it takes, a flow run of its own.",
    )
    part_gib: int = Field(
        default=32,
        ge=1,
        le=4096,
        description="What such a part may gunzip to, judged by the hours that are there.",
    )
    parts_at_once: int = Field(
        default=8, ge=1, le=8, description="How many parts of a gap-fill are under way at once."
    )
    part_start_seconds: float = Field(
        default=120,
        ge=0,
        le=86400,
        description="How long a part waits for a worker before the gap-fill does it itself.",
    )
    part_quiet_seconds: float = Field(
        default=7200,
        ge=10,
        le=86400,
        description="How long a part may bring nothing, in a line for an export too, before it is replaced.",
    )
    turn_seconds: float = Field(
        default=900,
        ge=0,
        le=86400,
        description="How long a run waits for another one of its kind, then goes on beside it; 0: none.",
    )
    max_archive_members: int = Field(
        default=100_000, ge=1, le=10_000_000, description="Files in one archive, at most."
    )
    max_archive_gib: int = Field(
        default=64, ge=1, le=4096, description="What one archive may unzip to, still gzipped, at most."
    )
    max_member_json_gib: int = Field(
        default=32, ge=1, le=4096, description="What one file of an archive may gunzip to, at most."
    )
    max_hour_json_gib: int = Field(
        default=128, ge=1, le=4096, description="What the files of one hour may gunzip to, at most."
    )
    max_gzip_ratio: int = Field(
        default=500,
        ge=10,
        le=1100,
        description="How many times its size a file may gunzip to; real exports: about 12.",
    )
    scratch_folder: Path | None = Field(
        default=None,
        description="Where archives are unpacked on the worker. Empty: the system's temporary folder.",
    )

    @field_validator("scratch_folder", mode="before")
    @classmethod
    def _blank_is_none(cls, folder: object) -> object:
        return None if folder == "" else folder

    @property
    def rules(self) -> PlanRules:
        """What planning obeys."""
        return PlanRules(
            initial_days=self.initial_days,
            lookback_hours=self.lookback_hours,
            max_hours_per_run=self.max_hours_per_run,
            window_hours=self.window_hours,
            settle_hours=self.settle_hours,
            empty_after_hours=self.empty_after_hours,
            verify_days=self.verify_days,
        )

    @property
    def archive_limits(self) -> ArchiveLimits:
        """Where an archive stops being believable."""
        return ArchiveLimits(
            max_members=self.max_archive_members,
            max_archive_gzip_bytes=self.max_archive_gib * GIB,
            max_member_json_bytes=self.max_member_json_gib * GIB,
            max_hour_json_bytes=self.max_hour_json_gib * GIB,
            max_ratio=self.max_gzip_ratio,
        )

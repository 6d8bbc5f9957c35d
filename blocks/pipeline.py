"""One Amplitude project on its way: from where, through which lake, into which schema, and how."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from prefect.blocks.core import Block
from prefect_aws.s3 import S3Bucket
from prefect_snowflake.credentials import InvalidPemFormat
from prefect_snowflake.database import SnowflakeConnector
from pydantic import Field, field_validator
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from blocks.amplitude import AmplitudeCredentials
from blocks.s3 import s3_client
from core.amplitude.archive import GIB, ArchiveLimits
from core.errors import InvalidInput, WarehouseRefused
from core.lake.layout import Compression
from core.lake.store import Lake
from core.planning import PlanRules
from core.warehouse.loader import Warehouse
from core.warehouse.session import NETWORK_TIMEOUT_SECONDS, session_parameters

if TYPE_CHECKING:
    from snowflake.connector import SnowflakeConnection

_SCHEMAS: dict[tuple[object, ...], dict[str, Any]] = {}


class AmplitudePipeline(Block):
    """Brings one Amplitude project's events into an S3 lake and, if there is a warehouse, into Snowflake.

    Each Amplitude project has a pipeline of its own, with its own bucket folder and its own schema.

    Example:
        Load a stored pipeline:
        ```python
        from blocks import AmplitudePipeline

        amplitude_pipeline_block = AmplitudePipeline.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "Amplitude Pipeline"
    _block_type_slug = "amplitude-pipeline"
    _documentation_url = "https://amplitude.com/docs/apis/analytics/export"  # type: ignore[assignment]
    _description = "Brings one Amplitude project's events into an S3 lake and into Snowflake."

    amplitude: AmplitudeCredentials = Field(default=..., description="The Amplitude project.")
    bucket: S3Bucket = Field(
        default=..., description="Where the lake lies; the bucket folder is the lake's prefix."
    )
    warehouse: SnowflakeConnector | None = Field(
        default=None, description="The schema that events are loaded into. Without it a run ends at the lake."
    )

    kms_key_id: str | None = Field(
        default=None,
        description="KMS key that objects are encrypted with. Empty: the bucket's default encryption.",
    )
    compression: Compression = Field(
        default="none",
        description="What the lake holds: none (gunzipped JSON) or gzip (as it came, 11 times smaller).",
    )
    signed_payloads: bool = Field(
        default=False,
        description="Sign uploaded bytes with SHA-256 too, for policies that forbid unsigned payloads.",
    )

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

    snowflake_host: str | None = Field(
        default=None, description="Another host than the account's, for a private link or an emulator."
    )
    snowflake_port: int | None = Field(default=None, ge=1, le=65535, description="Another port than 443.")
    snowflake_protocol: Literal["https", "http"] | None = Field(
        default=None, description="Another protocol than https, for an emulator."
    )
    snowflake_login_seconds: int = Field(
        default=30, ge=1, le=600, description="How long a login may take, with the connector's own retries."
    )

    @field_validator("scratch_folder", mode="before")
    @classmethod
    def _blank_is_none(cls, folder: object) -> object:
        return None if folder == "" else folder

    @classmethod
    def model_json_schema(  # type: ignore[override]  # as Prefect has it
        cls,
        by_alias: bool = True,  # noqa: FBT001, FBT002  # pydantic's signature
        ref_template: str = "#/definitions/{model}",
        schema_generator: type[GenerateJsonSchema] = GenerateJsonSchema,
        mode: JsonSchemaMode = "validation",
    ) -> dict[str, Any]:
        """The schema, made once: Prefect asks for it some hundred times while it saves one block."""
        key = (cls, by_alias, ref_template, schema_generator, mode)
        if key not in _SCHEMAS:
            _SCHEMAS[key] = super().model_json_schema(by_alias, ref_template, schema_generator, mode)
        return copy.deepcopy(_SCHEMAS[key])

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

    def open_lake(self) -> Lake:
        """The door to the lake, over a client that is shared by the tasks of this process."""
        client = s3_client(self.bucket.credentials, self.signed_payloads)
        folder = self.bucket.bucket_folder.strip("/")
        prefix = f"{folder}/" if folder else ""
        return Lake(client, bucket=self.bucket.bucket_name, prefix=prefix, kms_key_id=self.kms_key_id)

    def open_warehouse(self, *, app_id: int, run: str) -> Warehouse:
        """The door to the warehouse; sessions are opened when they are needed.

        Args:
            app_id: The project that the lake holds.
            run: Who loads, for ledger and query history.

        Raises:
            InvalidInput: The pipeline has no warehouse. Permanent.
        """
        if self.warehouse is None:
            msg = "This pipeline has no warehouse: it ends at the lake."
            raise InvalidInput(msg)
        connector = self.warehouse
        elsewhere = {
            name: value
            for name in ("host", "port", "protocol")
            if (value := getattr(self, f"snowflake_{name}")) is not None
        }

        def connect() -> SnowflakeConnection:
            try:
                connection: SnowflakeConnection = connector.credentials.get_client(
                    database=connector.database,
                    warehouse=connector.warehouse,
                    schema=connector.schema_,
                    session_parameters=session_parameters(run),
                    login_timeout=self.snowflake_login_seconds,
                    network_timeout=NETWORK_TIMEOUT_SECONDS,
                    platform_detection_timeout_seconds=0,  # would ask the cloud's metadata service who we are
                    **elsewhere,
                )
            except InvalidPemFormat:
                msg = "The private key in the Snowflake credentials is not PEM: register the blocks anew."
                raise WarehouseRefused(msg) from None
            return connection

        return Warehouse(connect, lake_url=self.open_lake().url, app_id=app_id, run=run)

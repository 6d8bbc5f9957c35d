"""One Amplitude project on its way: from where, through which lake, into which schema, and how."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from prefect.blocks.core import Block
from prefect_aws.s3 import S3Bucket
from prefect_snowflake.credentials import InvalidPemFormat
from prefect_snowflake.database import SnowflakeConnector
from pydantic import Field
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from blocks.amplitude import AmplitudeCredentials
from blocks.s3 import s3_client
from blocks.tuning import Tuning
from core.errors import InvalidInput, WarehouseRefused
from core.lake.layout import Compression
from core.lake.store import Lake
from core.warehouse.loader import Warehouse
from core.warehouse.session import NETWORK_TIMEOUT_SECONDS, session_parameters

if TYPE_CHECKING:
    from snowflake.connector import SnowflakeConnection

_SCHEMAS: dict[tuple[object, ...], dict[str, Any]] = {}


class AmplitudePipeline(Block, Tuning):
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
            schema = super().model_json_schema(by_alias, ref_template, schema_generator, mode)
            fields = schema["properties"]
            # A form shows them in this order: where it all leads to before how it is done.
            schema["properties"] = {
                name: fields[name] for name in cls.__annotations__ if name in fields
            } | fields
            _SCHEMAS[key] = schema
        return copy.deepcopy(_SCHEMAS[key])

    def open_lake(self) -> Lake:
        """The door to the lake, over a client that is shared by the tasks of this process."""
        client = s3_client(self.bucket.credentials, self.signed_payloads)
        folder = self.bucket.bucket_folder.strip("/")
        prefix = f"{folder}/" if folder else ""
        return Lake(client, bucket=self.bucket.bucket_name, prefix=prefix, kms_key_id=self.kms_key_id)

    def link(self, key: str) -> str:
        """Where a key or folder of the lake can be looked at: in the AWS console, or else its name."""
        lake, credentials = self.open_lake(), self.bucket.credentials
        if credentials.aws_client_parameters.endpoint_url:
            return f"{lake.url}{key}"
        kind = "buckets" if key.endswith("/") else "object"
        path = quote(lake.url.partition(f"{self.bucket.bucket_name}/")[2] + key)
        region = credentials.region_name or "us-east-1"
        host = f"https://{region}.console.aws.amazon.com"
        return f"{host}/s3/{kind}/{self.bucket.bucket_name}?region={region}&prefix={path}"

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

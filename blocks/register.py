"""``python -m blocks.register``: turn `.env` and the environment into Prefect blocks.

Safe to repeat: blocks of the same name are replaced. Children are saved before the pipeline that
refers to them, for otherwise it would keep a copy of their secrets.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx
from prefect.blocks.core import Block
from prefect.settings import get_current_settings
from prefect_aws.client_parameters import AwsClientParameters
from prefect_aws.credentials import AwsCredentials
from prefect_aws.s3 import S3Bucket
from prefect_snowflake.credentials import SnowflakeCredentials
from prefect_snowflake.database import SnowflakeConnector
from pydantic import SecretBytes, SecretStr, ValidationError

from blocks.amplitude import AmplitudeCredentials
from blocks.environment import Settings, SnowflakeSettings, read_environment, settings_from
from blocks.pipeline import AmplitudePipeline
from core.errors import InvalidInput


def register(settings: Settings, name: str, tuning: Mapping[str, object] | None = None) -> list[str]:
    """Save the blocks under ``name``. Returns a line for each, without any secret.

    An existing pipeline's tuning is kept, where it leads to is replaced.

    Args:
        tuning: Settings of the pipeline to change, by the name of the block's field.
    """
    amplitude = AmplitudeCredentials(
        api_key=SecretStr(settings.amp_api_key),
        secret_key=SecretStr(settings.amp_secret_key),
        region=settings.amp_region,
        base_url=settings.amp_base_url,
    )
    made: list[tuple[Block, str]] = [
        (amplitude, f"exports from {settings.amp_base_url or settings.amp_region.upper()}")
    ]
    if settings.bucket is None:
        return _saved(made, name)
    aws = AwsCredentials(
        aws_access_key_id=settings.aws_access_key,
        aws_secret_access_key=SecretStr(settings.aws_secret_key) if settings.aws_secret_key else None,
        region_name=settings.aws_region,
        aws_client_parameters=AwsClientParameters(endpoint_url=settings.aws_endpoint_url),
    )
    made.append((aws, "an access key" if settings.aws_access_key else "the machine's own role"))
    bucket = S3Bucket(bucket_name=settings.bucket, credentials=aws, bucket_folder=settings.prefix)
    made.append((bucket, f"s3://{settings.bucket}/{settings.prefix}"))

    connector = None
    if settings.snowflake is not None:
        credentials = _snowflake_credentials(settings.snowflake)
        made.append((credentials, f"user {settings.snowflake.user} at {settings.snowflake.account}"))
        connector = SnowflakeConnector(
            credentials=credentials,
            database=settings.snowflake.database,
            schema=settings.snowflake.schema,
            warehouse=settings.snowflake.warehouse,
        )
        made.append((connector, f"{settings.snowflake.database}.{settings.snowflake.schema}"))

    pipeline = AmplitudePipeline(
        **{**_kept_tuning(name), **(tuning or {})},
        amplitude=amplitude,
        bucket=bucket,
        warehouse=connector,
        kms_key_id=settings.kms_key_id,
        snowflake_host=settings.snowflake.host if settings.snowflake else None,
        snowflake_port=settings.snowflake.port if settings.snowflake else None,
        snowflake_protocol=settings.snowflake.protocol if settings.snowflake else None,
    )
    way = (
        "Amplitude → S3 → Snowflake"
        if connector
        else "Amplitude → S3; no SNOWFLAKE_ variables: it ends there"
    )
    return _saved([*made, (pipeline, way)], name)


def _saved(made: Sequence[tuple[Block, str]], name: str) -> list[str]:
    """Save blocks that are all known to be valid, children first."""
    for block, _ in made:
        block.save(name, overwrite=True)
    return [f"{block.get_block_type_slug()}/{name}: {what}" for block, what in made]


def _snowflake_credentials(settings: SnowflakeSettings) -> SnowflakeCredentials:
    if settings.workload_identity_provider:
        return SnowflakeCredentials(
            account=settings.account,
            user=settings.user,
            role=settings.role,
            authenticator="workload_identity",
            workload_identity_provider=settings.workload_identity_provider,
        )
    passphrase = settings.private_key_passphrase
    return SnowflakeCredentials(
        account=settings.account,
        user=settings.user,
        role=settings.role,
        authenticator="snowflake_jwt",
        private_key=SecretBytes((settings.private_key or "").encode()),
        private_key_passphrase=SecretStr(passphrase) if passphrase else None,
    )


_REPLACED = {
    "amplitude",
    "bucket",
    "warehouse",
    "kms_key_id",
    "snowflake_host",
    "snowflake_port",
    "snowflake_protocol",
}


def _kept_tuning(name: str) -> dict[str, object]:
    try:
        held = AmplitudePipeline.load(name)
    except (ValueError, RuntimeError):  # no such block yet, or one that another release wrote
        return {}
    tuning = set(AmplitudePipeline.model_fields) - _REPLACED
    return {field: getattr(held, field) for field in tuning}


def _tuning(texts: Sequence[str]) -> dict[str, object]:
    """``--set`` arguments as fields of the pipeline; pydantic makes numbers of texts."""
    pairs = dict(text.partition("=")[::2] for text in texts)
    unknown = sorted(pairs.keys() - (AmplitudePipeline.model_fields.keys() - _REPLACED))
    if unknown:
        known = ", ".join(sorted(AmplitudePipeline.model_fields.keys() - _REPLACED))
        msg = f"There is no setting {', '.join(unknown)}. Those that --set takes are: {known}."
        raise InvalidInput(msg)
    return dict(pairs)


def main(arguments: Sequence[str] | None = None) -> int:
    """Register, say what was saved, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m blocks.register", description="Turn .env into Prefect blocks."
    )
    parser.add_argument("--name", default="amplitude", help="name of the blocks (default: amplitude)")
    parser.add_argument(
        "--env-file", type=Path, default=Path(".env"), help="variables to read (default: .env)"
    )
    parser.add_argument(
        "--only", choices=["amplitude"], help="save the Amplitude credentials only: enough for flows.extract"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SETTING=VALUE",
        help="tune the pipeline, such as window_hours=12",
    )
    options = parser.parse_args(arguments)
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", options.name):
        parser.error(f"--name takes lower-case letters, digits and dashes, not {options.name!r}")
    try:
        variables = read_environment(options.env_file)
        settings = settings_from(variables, only_amplitude=options.only == "amplitude")
        lines = register(settings, options.name, _tuning(options.set))
    except InvalidInput as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except ValidationError as error:
        problems = "\n".join(
            f"  - {'.'.join(map(str, problem['loc']))}: {problem['msg']}"
            for problem in error.errors(include_input=False)
        )
        sys.stderr.write(f"The blocks cannot be registered:\n{problems}\n")
        return 2
    except httpx.TransportError as error:
        address = get_current_settings().api.url
        sys.stderr.write(f"The Prefect server at {address} cannot be reached ({type(error).__name__}).\n")
        return 1
    sys.stdout.write("\n".join(f"saved {line}" for line in lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

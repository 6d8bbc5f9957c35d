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

from prefect.blocks.core import Block
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect_aws.client_parameters import AwsClientParameters
from prefect_aws.credentials import AwsCredentials
from prefect_aws.s3 import S3Bucket
from prefect_snowflake.credentials import SnowflakeCredentials
from prefect_snowflake.database import SnowflakeConnector
from pydantic import SecretBytes, SecretStr, ValidationError

from blocks.amplitude import AmplitudeCredentials
from blocks.environment import Settings, SnowflakeSettings, read_environment, settings_from
from blocks.pipeline import AmplitudePipeline
from blocks.server import prefect_server, trouble_with_prefect
from core.errors import InvalidInput


def register(settings: Settings, name: str, tuning: Mapping[str, object] | None = None) -> list[str]:
    """Save the blocks under ``name``. Returns a line for each, without any secret, and one for the tuning.

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
    way = f"Amplitude → S3{' → Snowflake' if connector else '; no SNOWFLAKE_ variables: it ends there'}"
    default = _defaults()
    values = {field: getattr(pipeline, field) for field in sorted(_TUNABLE)}
    tuned = [f"{field}={value}" for field, value in values.items() if value != getattr(default, field)]
    return _saved([*made, (pipeline, way)], name) + ([f"tuned: {', '.join(tuned)}"] if tuned else [])


def _saved(made: Sequence[tuple[Block, str]], name: str) -> list[str]:
    """Save blocks that are all known to be valid, children first."""
    lines = []
    for block, what in made:
        slug = block.get_block_type_slug()
        done = "replaced" if _is_there(slug, name) else "saved"
        block.save(name, overwrite=True)
        lines.append(f"{done} {slug}/{name}: {what}")
    return lines


def _is_there(slug: str, name: str) -> bool:
    with get_client(sync_client=True) as client:
        try:
            client.read_block_document_by_name(name=name, block_type_slug=slug, include_secrets=False)
        except ObjectNotFound:
            return False
    return True


def _snowflake_credentials(settings: SnowflakeSettings) -> SnowflakeCredentials:
    """A login by private key, or by the machine's own identity."""
    key, passphrase = settings.private_key, settings.private_key_passphrase
    return SnowflakeCredentials(
        account=settings.account,
        user=settings.user,
        role=settings.role,
        authenticator="snowflake_jwt" if key else "workload_identity",
        private_key=SecretBytes(key.encode()) if key else None,
        private_key_passphrase=SecretStr(passphrase) if key and passphrase else None,
        workload_identity_provider=settings.workload_identity_provider,
    )


#: What registering gives a pipeline anew each time; the rest of it is tuning.
_ENDPOINT = {"snowflake_host", "snowflake_port", "snowflake_protocol"}
_REPLACED = {"amplitude", "bucket", "warehouse", "kms_key_id"} | _ENDPOINT
_TUNABLE = AmplitudePipeline.model_fields.keys() - _REPLACED


def _kept_tuning(name: str) -> dict[str, object]:
    """What the pipeline of that name is tuned to; nothing if there is none, or none that can be read."""
    try:
        held = AmplitudePipeline.load(name)
    except ValueError as error:
        if isinstance(error.__cause__, ObjectNotFound):
            return {}
        raise
    except RuntimeError as error:
        if not isinstance(error.__cause__, ValidationError):
            raise
        what = f"amplitude-pipeline/{name} does not fit this release"
        sys.stderr.write(f"{what}: its tuning is lost, and the defaults take its place.\n")
        return {}
    return {field: getattr(held, field) for field in _TUNABLE}


def _defaults() -> AmplitudePipeline:
    """A pipeline without its blocks."""
    return AmplitudePipeline.model_construct()  # type: ignore[call-arg]


def _tuning(texts: Sequence[str]) -> tuple[dict[str, object], list[str]]:
    """``--set`` arguments as values of the pipeline's fields, and what is wrong with them. Asks no server."""
    values: dict[str, object] = {}
    problems = []
    for text in texts:
        name, sign, value = text.partition("=")
        if not name or not sign:
            problems.append(f"--set takes NAME=VALUE, not {text[:80]!r}.")
        elif name not in _TUNABLE:
            known = ", ".join(sorted(_TUNABLE))
            problems.append(f"There is no setting {name[:80]}. Those that --set takes are: {known}.")
        else:
            try:
                judge = AmplitudePipeline.__pydantic_validator__
                values[name] = getattr(judge.validate_assignment(_defaults(), name, value), name)
            except ValidationError as error:
                problems += [f"--set {name}: {one['msg']}." for one in error.errors(include_input=False)]
    return values, problems


def main(arguments: Sequence[str] | None = None) -> int:
    """Register, say what was saved, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m blocks.register", description="Turn .env into Prefect blocks."
    )
    parser.add_argument("--name", default="amplitude", help="name of the blocks (default: amplitude)")
    parser.add_argument("--env-file", type=Path, default=Path(".env"), help="variables (default: .env)")
    parser.add_argument("--only", choices=["amplitude"], help="the credentials alone, for flows.extract")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="tune the pipeline: window_hours=12"
    )
    options = parser.parse_args(arguments)
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", options.name):
        parser.error(f"--name takes lower-case letters, digits and dashes, not {options.name!r}")
    if options.only and options.set:
        parser.error("--only amplitude saves no pipeline, so there is nothing that --set could tune")
    tuning, problems = _tuning(options.set)
    try:
        settings = settings_from(
            read_environment(options.env_file),
            only_amplitude=options.only == "amplitude",
            others=problems,
            if_missing="" if options.env_file.exists() else "There is no .env here: cp .env.example .env",
        )
        sys.stdout.write(f"Prefect server: {prefect_server()}\n")
        sys.stdout.flush()  # what follows may take a while
        with get_client(sync_client=True) as client:
            client.raise_for_api_version_mismatch()
        lines = register(settings, options.name, tuning)
    except InvalidInput as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except ValidationError as error:
        problems = [f"  - {one['loc'][0]}: {one['msg']}." for one in error.errors(include_input=False)]
        sys.stderr.write("\n".join(["The blocks cannot be registered:", *problems, ""]))
        return 2
    except Exception as error:
        if (told := trouble_with_prefect(error)) is None:
            raise
        sys.stderr.write(f"{told}\n")
        return 1
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Registering, against a real Prefect server: what is saved, what is kept, what is said."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import prefect
import pytest
from httpx import HTTPStatusError
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect_aws.credentials import AwsCredentials
from prefect_aws.s3 import S3Bucket
from pydantic import SecretStr

from blocks import AmplitudeCredentials, AmplitudePipeline
from blocks.environment import settings_from
from blocks.register import main, register
from blocks.s3 import s3_client
from tests.rehearsal import private_key

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]

PROJECT = Path(__file__).resolve().parents[2]
SECRETS = {
    "AMP_API_KEY": "api-key-of-the-test",
    "AMP_SECRET_KEY": "secret-key-of-the-test",
    "AWS_SECRET_KEY": "aws-secret-of-the-test",
    "SNOWFLAKE_PRIVATE_KEY": private_key(),
}
AMPLITUDE = {name: value for name, value in SECRETS.items() if name.startswith("AMP_")}
LAKE = {**AMPLITUDE, "BUCKET_NAME": "lake", "BUCKET_PREFIX": "amplitude"}
FULL = {
    **LAKE,
    **SECRETS,
    "AMP_BASE_URL": "http://127.0.0.1:8080",
    "AWS_ACCESS_KEY": "AKIA-TEST",
    "AWS_REGION": "eu-west-1",
    "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9000",
    "KMS_KEY_ID": "arn:aws:kms:eu-west-1:123456789012:key/ours",
    "SNOWFLAKE_ACCOUNT": "org-account",
    "SNOWFLAKE_USER": "LOADER",
    "SNOWFLAKE_ROLE": "TRANSFORMER",
    "SNOWFLAKE_WAREHOUSE": "LOADING",
    "SNOWFLAKE_DATABASE": "ANALYTICS",
    "SNOWFLAKE_SCHEMA": "AMPLITUDE",
    "SNOWFLAKE_HOST": "127.0.0.1",
    "SNOWFLAKE_PORT": "8443",
    "SNOWFLAKE_PROTOCOL": "http",
}
KINDS = (
    "amplitude-credentials",
    "aws-credentials",
    "s3-bucket",
    "snowflake-credentials",
    "snowflake-connector",
    "amplitude-pipeline",
)
EXIT_FAILED, EXIT_INVALID = 1, 2


def save(name: str, variables: dict[str, str], **tuning: Any) -> list[str]:
    return register(settings_from(variables), name, tuning)


def load(name: str) -> AmplitudePipeline:
    return AmplitudePipeline.load(name)  # type: ignore[return-value]


def saved(name: str) -> dict[str, Any]:
    """The raw documents of that name, with their secrets, by kind."""
    found = {}
    with get_client(sync_client=True) as client:
        for kind in client.read_block_types():
            for document in client.read_block_documents_by_type(kind.slug, include_secrets=True):
                if document.name == name:
                    found[kind.slug] = document
    return found


@contextmanager
def answering(status: int, body: str = "{}", *, version: str | None = None) -> Iterator[str]:
    """The address of a server that answers everything so, but tells its version if it has one."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # http.server's name
            is_version = version is not None and self.path.endswith("/admin/version")
            self.send_response(200 if is_version else status)
            self.end_headers()
            self.wfile.write((f'"{version}"' if is_version else body).encode())

        def log_message(self, *_: object) -> None:
            """Quietly."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://me:hidden@127.0.0.1:{server.server_port}/api"
        server.shutdown()


def env_file(folder: Path, variables: dict[str, str]) -> str:
    path = folder / "settings.env"
    path.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    return str(path)


@pytest.fixture
def name() -> str:
    return f"test-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def full(prefect_server: None) -> tuple[str, list[str]]:
    """Everything registered once; the name, and what was said."""
    name = f"full-{uuid.uuid4().hex[:8]}"
    return name, save(name, FULL, window_hours=12, compression="gzip")


# What is saved


def test_six_blocks_are_saved_and_each_is_told_without_a_secret(full: tuple[str, list[str]]) -> None:
    name, said = full
    assert said == [
        f"saved amplitude-credentials/{name}: exports from http://127.0.0.1:8080",
        f"saved aws-credentials/{name}: an access key",
        f"saved s3-bucket/{name}: s3://lake/amplitude",
        f"saved snowflake-credentials/{name}: user LOADER at org-account",
        f"saved snowflake-connector/{name}: ANALYTICS.AMPLITUDE",
        f"saved amplitude-pipeline/{name}: Amplitude → S3 → Snowflake",
        "tuned: compression=gzip, window_hours=12",
    ]
    assert tuple(sorted(saved(name))) == tuple(sorted(KINDS))


def test_every_variable_arrives_where_it_belongs(full: tuple[str, list[str]]) -> None:
    block = load(full[0])
    aws = block.bucket.credentials
    assert isinstance(aws, AwsCredentials)
    assert block.amplitude.api_key.get_secret_value() == FULL["AMP_API_KEY"]
    assert block.amplitude.secret_key.get_secret_value() == FULL["AMP_SECRET_KEY"]
    assert aws.aws_access_key_id == "AKIA-TEST"
    assert aws.aws_secret_access_key is not None
    assert aws.aws_secret_access_key.get_secret_value() == FULL["AWS_SECRET_KEY"]
    assert (block.bucket.bucket_name, block.kms_key_id) == ("lake", FULL["KMS_KEY_ID"])
    assert block.warehouse is not None
    assert (block.warehouse.database, block.warehouse.schema_) == ("ANALYTICS", "AMPLITUDE")
    login = block.warehouse.credentials
    assert (login.account, login.user, login.role) == ("org-account", "LOADER", "TRANSFORMER")
    assert login.resolve_private_key()


def test_each_service_has_an_endpoint_of_its_own(full: tuple[str, list[str]]) -> None:
    block = load(full[0])
    assert block.amplitude.url == "http://127.0.0.1:8080"
    client = s3_client(block.bucket.credentials, block.signed_payloads)
    assert client.meta.endpoint_url == "http://127.0.0.1:9000"
    assert (block.snowflake_host, block.snowflake_port) == ("127.0.0.1", 8443)
    assert block.snowflake_protocol == "http"


def test_the_pipeline_refers_to_its_blocks_and_holds_no_secret_of_theirs(
    full: tuple[str, list[str]],
) -> None:
    documents = saved(full[0])

    def referred(kind: str) -> dict[str, Any]:
        references = documents[kind].block_document_references
        return {field: one["block_document"]["id"] for field, one in references.items()}

    assert {field: str(id_) for field, id_ in referred("amplitude-pipeline").items()} == {
        "amplitude": str(documents["amplitude-credentials"].id),
        "bucket": str(documents["s3-bucket"].id),
        "warehouse": str(documents["snowflake-connector"].id),
    }
    assert str(referred("s3-bucket")["credentials"]) == str(documents["aws-credentials"].id)
    assert str(referred("snowflake-connector")["credentials"]) == str(documents["snowflake-credentials"].id)


def test_a_key_that_is_changed_in_its_own_block_is_the_pipelines_too_but_not_a_copys(name: str) -> None:
    """Children are saved first because a pipeline that is saved before them keeps a copy of their secrets."""
    save(name, LAKE)
    copy = AmplitudePipeline(amplitude=amplitude("copied"), bucket=load(name).bucket)
    copy.save(f"{name}-copy")
    for changed in (name, f"{name}-copy"):
        amplitude("changed").save(changed, overwrite=True)
    assert load(name).amplitude.secret_key.get_secret_value() == "changed"
    assert load(f"{name}-copy").amplitude.secret_key.get_secret_value() == "copied"


def amplitude(key: str) -> AmplitudeCredentials:
    return AmplitudeCredentials(api_key=SecretStr(key), secret_key=SecretStr(key))


# Again


def test_a_second_time_changes_nothing_and_says_that_the_blocks_were_there(
    full: tuple[str, list[str]],
) -> None:
    name, said = full
    before = saved(name)
    assert save(name, FULL) == [line.replace("saved ", "replaced ") for line in said]
    after = saved(name)
    assert {kind: document.id for kind, document in after.items()} == {
        kind: document.id for kind, document in before.items()
    }
    assert {kind: document.data for kind, document in after.items()} == {
        kind: document.data for kind, document in before.items()
    }


def test_tuning_is_kept_and_what_the_variables_no_longer_say_is_gone(name: str) -> None:
    save(name, FULL, window_hours=12, compression="gzip", scratch_folder="/scratch")
    said = save(name, LAKE, archives_in_flight=3)
    assert said[1] == f"replaced aws-credentials/{name}: the machine's own role"
    assert said[-2].endswith("no SNOWFLAKE_ variables: it ends there")
    assert (
        said[-1] == "tuned: archives_in_flight=3, compression=gzip, scratch_folder=/scratch, window_hours=12"
    )
    block = load(name)
    assert (block.window_hours, block.compression, block.archives_in_flight) == (12, "gzip", 3)
    assert str(block.scratch_folder) == "/scratch"
    aws = block.bucket.credentials
    assert isinstance(aws, AwsCredentials)
    assert block.warehouse is None
    assert (aws.aws_access_key_id, aws.aws_secret_access_key, aws.region_name) == (None, None, None)
    assert (block.amplitude.url, block.kms_key_id) == ("https://amplitude.com", None)
    assert aws.aws_client_parameters.endpoint_url is None
    assert (block.snowflake_host, block.snowflake_port, block.snowflake_protocol) == (None, None, None)


def test_a_pipeline_that_does_not_fit_this_release_is_replaced_and_its_lost_tuning_is_told(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket = S3Bucket(bucket_name="lake", credentials=AwsCredentials())
    older = AmplitudePipeline(amplitude=amplitude("key"), bucket=bucket, compression="gzip")
    object.__setattr__(older, "window_hours", 99_999)  # another release had other limits
    older.save(name)
    said = save(name, LAKE)
    block = load(name)
    assert (block.window_hours, block.compression) == (24, "none")
    assert said[-1].startswith(f"replaced amplitude-pipeline/{name}: ")
    assert capsys.readouterr().err == (
        f"amplitude-pipeline/{name} does not fit this release: its tuning is lost, and the defaults take its "
        "place.\n"
    )


def test_a_first_time_has_no_tuning_to_lose(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    save(name, LAKE)
    assert capsys.readouterr().err == ""


def test_a_server_that_cannot_tell_the_tuning_does_not_lose_it() -> None:
    with answering(500) as url, temporary_settings({PREFECT_API_URL: url}), pytest.raises(HTTPStatusError):
        save("amplitude", LAKE)


# The command


def test_the_command_takes_settings_and_says_what_it_saved(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = env_file(tmp_path, LAKE)
    assert (
        main(["--name", name, "--env-file", file, "--set", "window_hours=6", "--set", "settle_hours=0"]) == 0
    )
    out, err = capsys.readouterr()
    assert [line.split("/" + name)[0] for line in out.splitlines()] == [
        f"Prefect server: {PREFECT_API_URL.value()}",
        "saved amplitude-credentials",
        "saved aws-credentials",
        "saved s3-bucket",
        "saved amplitude-pipeline",
        "tuned: settle_hours=0, window_hours=6",
    ]
    assert err == ""
    assert not any(secret in out for secret in SECRETS.values())
    block = load(name)
    assert (block.window_hours, block.settle_hours) == (6, 0)


def test_the_command_can_save_the_amplitude_credentials_alone(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--name", name, "--env-file", env_file(tmp_path, AMPLITUDE), "--only", "amplitude"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1:] == [f"saved amplitude-credentials/{name}: exports from US"]
    assert saved(name).keys() == {"amplitude-credentials"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--set", "windows=6"],
            "There is no setting windows. Those that --set takes are: archives_in_flight, ",
        ),
        (["--set", "amplitude=x"], "There is no setting amplitude."),
        (["--set", "kms_key_id=x"], "There is no setting kms_key_id."),
        (["--set", "=6"], "--set takes NAME=VALUE, not '=6'."),
        (["--set", "window_hours"], "--set takes NAME=VALUE, not 'window_hours'."),
        (["--set", "window_hours=many"], "--set window_hours: Input should be a valid integer"),
        (["--set", "archives_in_flight=17"], "--set archives_in_flight: Input should be less than or equal"),
        (["--set", "compression=zip"], "--set compression: Input should be 'none' or 'gzip'."),
    ],
)
def test_a_setting_that_cannot_be_is_refused_in_one_message(
    name: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):  # nobody is asked
        code = main(["--name", name, "--env-file", env_file(tmp_path, LAKE), *arguments])
    out, err = capsys.readouterr()
    assert (code, out) == (EXIT_INVALID, "")
    assert f"\n  - {words}" in err
    assert "Traceback" not in err


def test_settings_and_variables_that_cannot_be_are_told_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = env_file(tmp_path, {"AMP_API_KEY": "key", "AWS_ACCESS_KEY": "half", "KMS_KEY_ID": "alias/lake"})
    assert main(["--env-file", file, "--set", "windows=6", "--set", "compression=zip"]) == EXIT_INVALID
    heading, *lines = capsys.readouterr().err.splitlines()
    assert heading == "The blocks cannot be registered:"
    assert [line.split()[1] for line in lines] == [
        "AMP_SECRET_KEY",
        "BUCKET_NAME",
        "AWS_ACCESS_KEY",
        "KMS_KEY_ID",
        "There",
        "--set",
    ]


def test_tuning_without_a_pipeline_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = env_file(tmp_path, AMPLITUDE)
    with pytest.raises(SystemExit) as stopped:
        main(["--env-file", file, "--only", "amplitude", "--set", "window_hours=6"])
    assert stopped.value.code == EXIT_INVALID
    assert "--only amplitude saves no pipeline" in capsys.readouterr().err


@pytest.mark.parametrize(("there", "hint"), [(False, True), (True, False)])
def test_where_no_env_file_is_there_it_says_how_to_make_one(
    there: bool,
    hint: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    if there:
        (tmp_path / ".env").write_text("AMP_API_KEY=key\n")
    assert main([]) == EXIT_INVALID
    said = capsys.readouterr().err.splitlines()
    assert (said[-1] == "There is no .env here: cp .env.example .env") == hint


@pytest.mark.parametrize("wrong", ["Amplitude", "my_project", "a--b", "-a", "a b", ""])
def test_a_name_that_prefect_does_not_take_is_refused_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([f"--name={wrong}", "--env-file", str(tmp_path / "nowhere")])
    assert stopped.value.code == EXIT_INVALID
    assert f"--name takes lower-case letters, digits and dashes, not {wrong!r}" in capsys.readouterr().err


def test_as_a_process_it_saves_says_so_and_ends_with_0(name: str, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "blocks.register",
        "--name",
        name,
        "--env-file",
        env_file(tmp_path, LAKE),
    ]
    environment = {**os.environ, "PREFECT_API_URL": PREFECT_API_URL.value() or ""}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith(f"saved amplitude-pipeline/{name}: ")
    assert load(name).bucket.bucket_name == "lake"


# Prefect's own troubles


def test_without_a_server_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = env_file(tmp_path, LAKE)
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        assert main(["--env-file", file]) == EXIT_FAILED
    assert (
        "(http://127.0.0.1:9/api) cannot be reached (ConnectError): check PREFECT" in capsys.readouterr().err
    )


REFUSED = "check PREFECT_API_KEY or PREFECT_API_AUTH_STRING, and PREFECT_API_URL"
UNAUTHORIZED = '{"exception_message": "Unauthorized"}'


@pytest.mark.parametrize(
    ("status", "body", "version", "words"),
    [
        (401, UNAUTHORIZED, None, f"answered 401: {REFUSED}."),
        (403, "{}", None, f"answered 403: {REFUSED}."),
        (403, "{}", prefect.__version__, f"answered 403: {REFUSED}."),
        (404, "{}", None, "answered 404: check its log, and PREFECT_API_URL."),
        (422, "{}", prefect.__version__, "answered 422: check its log, and PREFECT_API_URL."),
        (200, "<html>some other server</html>", None, "Failed to reach API at http://127.0.0.1:"),
        (200, "{}", "2.20.0", "Found incompatible versions: client: "),
    ],
)
def test_a_server_that_refuses_or_is_none_is_told_in_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    status: int,
    body: str,
    version: str | None,
    words: str,
) -> None:
    file = env_file(tmp_path, LAKE)
    with answering(status, body, version=version) as url, temporary_settings({PREFECT_API_URL: url}):
        assert main(["--env-file", file]) == EXIT_FAILED
    out, err = capsys.readouterr()
    assert words in err
    assert err.count("\n") == 1
    assert "hidden" not in out + err

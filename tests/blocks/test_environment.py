"""From variables to settings: everything that is wrong is said at once, and no secret is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from blocks.environment import Settings, SnowflakeSettings, read_environment, settings_from
from core.errors import InvalidInput

LAKE = {"AMP_API_KEY": "api-key-1", "AMP_SECRET_KEY": "secret-key-2", "BUCKET_NAME": "lake"}
WAREHOUSE = {
    "SNOWFLAKE_ACCOUNT": "org-account",
    "SNOWFLAKE_USER": "LOADER",
    "SNOWFLAKE_WAREHOUSE": "LOADING",
    "SNOWFLAKE_DATABASE": "ANALYTICS",
    "SNOWFLAKE_SCHEMA": "AMPLITUDE",
}
PASSPHRASE = "open sesame"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(
    encryption: KeySerializationEncryption | None = None, form: PrivateFormat = PrivateFormat.PKCS8
) -> str:
    return RSA.private_bytes(Encoding.PEM, form, encryption or NoEncryption()).decode()


PLAIN = pem()
ENCRYPTED = pem(BestAvailableEncryption(PASSPHRASE.encode()))


def settings(**variables: str) -> Settings:
    return settings_from({**LAKE, **variables})


def warehouse(**variables: str) -> SnowflakeSettings:
    made = settings(**WAREHOUSE, **variables).snowflake
    assert made is not None
    return made


def complaints(variables: dict[str, str]) -> list[str]:
    """What is wrong with variables, line by line; none of them is shown."""
    with pytest.raises(InvalidInput) as raised:
        settings_from(variables)
    text = str(raised.value)
    for name, value in variables.items():
        if name.endswith(("_KEY", "_PASSPHRASE", "_PASSWORD")):
            assert value[:40] not in text
    heading, *lines = text.splitlines()
    assert heading == "The blocks cannot be registered:"
    assert all(line.startswith("  - ") and line.endswith(".") for line in lines)
    return [line.removeprefix("  - ") for line in lines]


# What is read


def test_the_process_overrides_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "settings.env"
    file.write_text("AMP_API_KEY=from-file\nBUCKET_NAME=from-file\n")
    monkeypatch.setenv("BUCKET_NAME", "from-process")
    read = read_environment(file)
    assert read["AMP_API_KEY"] == "from-file"
    assert read["BUCKET_NAME"] == "from-process"


def test_blank_is_absent_and_a_blank_of_the_process_takes_away_what_the_file_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "settings.env"
    file.write_text(
        "AMP_API_KEY=\nAMP_SECRET_KEY='  '\nKMS_KEY_ID\nBUCKET_NAME=lake\nAWS_REGION= eu-west-1 \n"
    )
    monkeypatch.setenv("BUCKET_NAME", "")
    read = read_environment(file)
    assert not {"AMP_API_KEY", "AMP_SECRET_KEY", "KMS_KEY_ID", "BUCKET_NAME"} & read.keys()
    assert read["AWS_REGION"] == "eu-west-1"


def test_there_need_not_be_a_file_but_a_named_one_must_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_environment(Path(".env")).keys() <= os.environ.keys()
    with pytest.raises(InvalidInput, match=r"no file .*production\.env"):
        read_environment(tmp_path / "production.env")


def test_a_file_with_a_byte_order_mark_is_read_like_any_other(tmp_path: Path) -> None:
    file = tmp_path / "settings.env"
    file.write_bytes(b"\xef\xbb\xbfAMP_API_KEY=from-file\n")
    assert read_environment(file)["AMP_API_KEY"] == "from-file"


def test_a_file_that_is_not_text_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "settings.env"
    file.write_text("AMP_API_KEY=key\n", "utf-16")
    with pytest.raises(InvalidInput, match=r"settings\.env"):
        read_environment(file)


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param("p${HOME}q"),
        "a$b",
        "with#hash",
        "with'quote",
        'with"quote',
    ],
)
def test_a_secret_is_taken_as_it_stands_in_the_file(tmp_path: Path, secret: str) -> None:
    file = tmp_path / "settings.env"
    file.write_text(f"AMP_SECRET_KEY={secret}\n")
    assert read_environment(file)["AMP_SECRET_KEY"] == secret


def test_quotes_that_docker_passes_on_are_refused_by_name_and_never_stored() -> None:
    variables = {"AMP_API_KEY": '"key"', "AMP_SECRET_KEY": "'a-secret'", "BUCKET_NAME": '"lake"'}
    with pytest.raises(InvalidInput) as refused:
        settings_from(variables)
    assert str(refused.value).splitlines()[1:] == [
        f"  - {name} has quotes around its value: write it without them." for name in variables
    ]
    inner = {"AMP_API_KEY": "'key", "AMP_SECRET_KEY": 'a"secret"', "BUCKET_NAME": "lake"}
    assert settings_from(inner).amp_secret_key == 'a"secret"'


def test_the_example_with_nothing_filled_in_is_missing_three_things_only() -> None:
    example = Path(__file__).resolve().parents[2] / ".env.example"
    lines = complaints({name: value for name, value in read_environment(example).items() if value})
    assert [line.split()[0] for line in lines] == ["AMP_API_KEY", "AMP_SECRET_KEY", "BUCKET_NAME"]


# Complete


def test_three_variables_are_enough_for_a_lake() -> None:
    made = settings()
    assert (made.amp_api_key, made.amp_secret_key, made.bucket) == ("api-key-1", "secret-key-2", "lake")
    assert (made.amp_region, made.prefix) == ("us", "")
    assert made.snowflake is None
    assert [made.amp_base_url, made.aws_access_key, made.aws_region, made.aws_endpoint_url] == [None] * 4


def test_two_are_enough_for_a_local_folder() -> None:
    alone = {name: value for name, value in LAKE.items() if name.startswith("AMP_")}
    made = settings_from({**alone, "SNOWFLAKE_USER": "half a warehouse"}, only_amplitude=True)
    assert (made.bucket, made.snowflake) == (None, None)


def test_the_prefix_may_have_slashes_around_it() -> None:
    assert settings(BUCKET_PREFIX="/events/amplitude/").prefix == "events/amplitude"


def test_the_region_may_be_in_capitals() -> None:
    assert settings(AMP_DATA_REGION="EU").amp_region == "eu"


@pytest.mark.parametrize("role", ["", "TRANSFORMER"])
def test_a_warehouse_takes_five_names_and_a_key_and_a_role_if_there_is_one(role: str) -> None:
    made = warehouse(SNOWFLAKE_PRIVATE_KEY=PLAIN, **({"SNOWFLAKE_ROLE": role} if role else {}))
    assert (made.account, made.user, made.warehouse) == ("org-account", "LOADER", "LOADING")
    assert (made.database, made.schema, made.role) == ("ANALYTICS", "AMPLITUDE", role or None)
    assert (made.host, made.port, made.protocol) == (None, None, None)


def test_a_workload_identity_needs_no_key() -> None:
    made = warehouse(SNOWFLAKE_WORKLOAD_IDENTITY_PROVIDER="AWS")
    assert (made.workload_identity_provider, made.private_key) == ("aws", None)


def test_the_endpoint_of_each_service_is_its_own() -> None:
    assert settings(AMP_BASE_URL="http://127.0.0.1:8080").amp_base_url == "http://127.0.0.1:8080"
    assert settings(AWS_ENDPOINT_URL_S3="http://[::1]:9000").aws_endpoint_url == "http://[::1]:9000"
    made = warehouse(
        SNOWFLAKE_PRIVATE_KEY=PLAIN,
        SNOWFLAKE_HOST="link.example",
        SNOWFLAKE_PORT="8443",
        SNOWFLAKE_PROTOCOL="http",
    )
    assert (made.host, made.port, made.protocol) == ("link.example", 8443, "http")


# Private keys


@pytest.mark.parametrize("text", [PLAIN, PLAIN.replace("\n", "\\n"), PLAIN.replace("\n", "\r\n")])
@pytest.mark.parametrize("as_file", [False, True])
def test_a_key_is_taken_from_a_file_or_a_variable_on_many_lines_or_one(
    tmp_path: Path, text: str, as_file: bool
) -> None:
    if as_file:
        (tmp_path / "key.p8").write_text(text)
        made = warehouse(SNOWFLAKE_PRIVATE_KEY_PATH=str(tmp_path / "key.p8"))
    else:
        made = warehouse(SNOWFLAKE_PRIVATE_KEY=text)
    assert made.private_key is not None
    assert made.private_key.splitlines() == PLAIN.splitlines()


def test_a_key_in_the_older_form_is_taken_too() -> None:
    assert warehouse(SNOWFLAKE_PRIVATE_KEY=pem(form=PrivateFormat.TraditionalOpenSSL)).private_key


def test_the_home_folder_may_be_written_as_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "key.p8").write_text(PLAIN)
    assert warehouse(SNOWFLAKE_PRIVATE_KEY_PATH="~/key.p8").private_key == PLAIN


def test_an_encrypted_key_is_kept_encrypted_beside_its_passphrase() -> None:
    made = warehouse(SNOWFLAKE_PRIVATE_KEY=ENCRYPTED, SNOWFLAKE_PRIVATE_KEY_PASSPHRASE=PASSPHRASE)
    assert (made.private_key, made.private_key_passphrase) == (ENCRYPTED, PASSPHRASE)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        (
            {"SNOWFLAKE_PRIVATE_KEY": ENCRYPTED},
            "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE is missing: the key is encrypted.",
        ),
        (
            {"SNOWFLAKE_PRIVATE_KEY": PLAIN, "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE": PASSPHRASE},
            "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE is set although the key has none.",
        ),
        (
            {"SNOWFLAKE_PRIVATE_KEY": ENCRYPTED, "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE": "open barley"},
            "SNOWFLAKE_PRIVATE_KEY is not a PEM private key, or the passphrase does not open it.",
        ),
        (
            {"SNOWFLAKE_PRIVATE_KEY": "MIIEvQIBADANBgkqhkiG9w0BAQ"},
            "SNOWFLAKE_PRIVATE_KEY is not a PEM private key, or the passphrase does not open it.",
        ),
        (
            {"SNOWFLAKE_PRIVATE_KEY": PLAIN[:-200]},
            "SNOWFLAKE_PRIVATE_KEY is not a PEM private key, or the passphrase does not open it.",
        ),
        (
            {"SNOWFLAKE_PRIVATE_KEY": "schlüssel"},
            "SNOWFLAKE_PRIVATE_KEY is not a PEM private key, or the passphrase does not open it.",
        ),
        (
            {"SNOWFLAKE_PRIVATE_KEY_PATH": "nowhere/key.p8"},
            "SNOWFLAKE_PRIVATE_KEY_PATH cannot be read (FileNotFoundError).",
        ),
        (
            {"SNOWFLAKE_PRIVATE_KEY_PATH": str(Path(__file__).parent)},
            "SNOWFLAKE_PRIVATE_KEY_PATH cannot be read (IsADirectoryError).",
        ),
        pytest.param(
            {"SNOWFLAKE_PRIVATE_KEY_PATH": "~no-such-user/key.p8"},
            "SNOWFLAKE_PRIVATE_KEY_PATH cannot be read (RuntimeError).",
        ),
    ],
)
def test_a_key_that_cannot_be_used_is_told_from_one_that_is_not_there(
    variables: dict[str, str], said: str
) -> None:
    assert complaints({**LAKE, **WAREHOUSE, **variables}) == [said]


def test_a_file_that_is_no_key_is_told_by_its_variable(tmp_path: Path) -> None:
    (tmp_path / "der").write_bytes(RSA.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "text").write_text("not a key")
    for name in ("der", "text"):
        (line,) = complaints({**LAKE, **WAREHOUSE, "SNOWFLAKE_PRIVATE_KEY_PATH": str(tmp_path / name)})
        assert line.startswith("SNOWFLAKE_PRIVATE_KEY_PATH ")


def test_a_key_of_a_kind_that_snowflake_does_not_take_is_refused() -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    text = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    (line,) = complaints({**LAKE, **WAREHOUSE, "SNOWFLAKE_PRIVATE_KEY": text})
    assert line.startswith("SNOWFLAKE_PRIVATE_KEY ")
    assert "RSA" in line


def test_a_key_with_a_text_above_it_is_taken_or_refused_but_not_later() -> None:
    """prefect-snowflake takes keys only that begin with their header."""
    text = f"Bag Attributes\n  friendlyName: loader\n{PLAIN}"
    try:
        made = warehouse(SNOWFLAKE_PRIVATE_KEY=text)
    except InvalidInput:
        return
    assert made.private_key is not None
    assert made.private_key.startswith("-----BEGIN")


# Missing and contradictory


def test_without_anything_every_variable_that_is_needed_is_named() -> None:
    assert [line.split(" is missing: ")[0] for line in complaints({})] == [
        "AMP_API_KEY",
        "AMP_SECRET_KEY",
        "BUCKET_NAME",
    ]


def test_everything_that_is_wrong_is_said_in_one_error() -> None:
    lines = complaints(
        {
            "AMP_SECRET_KEY": "secret-key-2",
            "AMP_DATA_REGION": "asia",
            "AMP_BASE_URL": "amplitude.com",
            "AWS_ACCESS_KEY": "AKIA-half",
            "AWS_ENDPOINT_URL_S3": "s3://lake",
            "SNOWFLAKE_USER": "LOADER",
            "SNOWFLAKE_PASSWORD": "a password",
            "SNOWFLAKE_PORT": "eighty",
            "SNOWFLAKE_PROTOCOL": "ftp",
        }
    )
    named = {line.split()[0] for line in lines}
    assert named == {
        "AMP_API_KEY",
        "AMP_DATA_REGION",
        "AMP_BASE_URL",
        "AWS_ENDPOINT_URL_S3",
        "BUCKET_NAME",
        "SNOWFLAKE_ACCOUNT",
        "SNOWFLAKE_WAREHOUSE",
        "SNOWFLAKE_DATABASE",
        "SNOWFLAKE_SCHEMA",
        "SNOWFLAKE_PORT",
        "SNOWFLAKE_PROTOCOL",
        "there",
        "AWS_ACCESS_KEY",
    }
    assert len(lines) == len(named)


@pytest.mark.parametrize("given", ["AWS_ACCESS_KEY", "AWS_SECRET_KEY"])
def test_half_a_pair_of_aws_keys_is_refused(given: str) -> None:
    (line,) = complaints({**LAKE, given: "one-half"})
    assert "AWS_ACCESS_KEY and AWS_SECRET_KEY belong together" in line


def test_a_pair_of_aws_keys_is_taken() -> None:
    made = settings(AWS_ACCESS_KEY="AKIA", AWS_SECRET_KEY="secret")
    assert (made.aws_access_key, made.aws_secret_key) == ("AKIA", "secret")


@pytest.mark.parametrize("left_out", sorted(WAREHOUSE))
def test_a_warehouse_that_is_set_up_in_part_lacks_the_rest(left_out: str) -> None:
    rest = {name: value for name, value in WAREHOUSE.items() if name != left_out}
    (line,) = complaints({**LAKE, **rest, "SNOWFLAKE_PRIVATE_KEY": PLAIN})
    assert line == f"{left_out} is missing: the warehouse is set up in part."


@pytest.mark.parametrize(
    "name",
    [
        *WAREHOUSE,
        "SNOWFLAKE_ROLE",
        "SNOWFLAKE_PASSWORD",
        "SNOWFLAKE_PRIVATE_KEY",
        "SNOWFLAKE_PRIVATE_KEY_PATH",
        "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE",
        "SNOWFLAKE_WORKLOAD_IDENTITY_PROVIDER",
        *(pytest.param(one) for one in ("SNOWFLAKE_HOST", "SNOWFLAKE_PORT", "SNOWFLAKE_PROTOCOL")),
    ],
)
def test_one_variable_of_a_warehouse_is_no_lake_without_one(name: str) -> None:
    assert len(complaints({**LAKE, name: "443" if name == "SNOWFLAKE_PORT" else "aws"})) >= 4


def test_a_password_alone_is_told_what_has_become_of_passwords() -> None:
    (line,) = complaints({**LAKE, **WAREHOUSE, "SNOWFLAKE_PASSWORD": "a password"})
    assert line.startswith("there is no key to log in with: set exactly one of SNOWFLAKE_PRIVATE_KEY, ")
    assert line.endswith("Passwords no longer log a service user in.")


def test_without_any_login_passwords_are_not_spoken_of() -> None:
    (line,) = complaints({**LAKE, **WAREHOUSE})
    assert "assword" not in line


def test_two_ways_to_log_in_contradict_each_other() -> None:
    (line,) = complaints(
        {**LAKE, **WAREHOUSE, "SNOWFLAKE_PRIVATE_KEY": PLAIN, "SNOWFLAKE_PRIVATE_KEY_PATH": "key.p8"}
    )
    assert line.startswith("SNOWFLAKE_PRIVATE_KEY and SNOWFLAKE_PRIVATE_KEY_PATH contradict each other: ")


@pytest.mark.parametrize("region", ["asia", "us-east-1", "u s"])
def test_a_region_that_amplitude_does_not_have_is_refused(region: str) -> None:
    assert complaints({**LAKE, "AMP_DATA_REGION": region}) == [
        f"AMP_DATA_REGION must be one of us, eu, not {region!r}."
    ]


@pytest.mark.parametrize("name", ["AMP_BASE_URL", "AWS_ENDPOINT_URL_S3"])
@pytest.mark.parametrize(
    "url",
    [
        "amplitude.com",
        "127.0.0.1:8080",
        "ftp://host",
        "https://",
        "https:///path",
        "http://[::1",
        "s3://lake",
    ],
)
def test_what_is_no_url_is_refused(name: str, url: str) -> None:
    assert complaints({**LAKE, name: url}) == [f"{name} must be a URL such as https://host:port."]


@pytest.mark.parametrize("url", ["https://host:port", "https://host:99999", "https://ho st"])
def test_a_url_whose_host_or_port_cannot_be_is_refused(url: str) -> None:
    (line,) = complaints({**LAKE, "AMP_BASE_URL": url})
    assert line.startswith("AMP_BASE_URL ")


def test_a_url_with_a_password_in_it_is_refused_for_urls_are_shown() -> None:
    (line,) = complaints({**LAKE, "AMP_BASE_URL": "https://me:hidden@proxy"})
    assert line.startswith("AMP_BASE_URL ")
    assert "hidden" not in line


@pytest.mark.parametrize("port", ["0", "65536", "-1", "80.5", "https", "²"])
def test_a_port_that_cannot_be_is_refused(port: str) -> None:
    assert complaints({**LAKE, **WAREHOUSE, "SNOWFLAKE_PRIVATE_KEY": PLAIN, "SNOWFLAKE_PORT": port}) == [
        f"SNOWFLAKE_PORT must be a port number, not {port!r}."
    ]


def test_a_protocol_that_cannot_be_is_refused() -> None:
    variables = {**LAKE, **WAREHOUSE, "SNOWFLAKE_PRIVATE_KEY": PLAIN, "SNOWFLAKE_PROTOCOL": "ftp"}
    assert complaints(variables) == ["SNOWFLAKE_PROTOCOL must be one of https, http, not 'ftp'."]


# What AWS or Snowflake would refuse hours later

KEY = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.mark.parametrize("bucket", ["Lake", "my_lake", "a", "-lake", "lake-", "a..b", "s3://lake", "x" * 64])
def test_what_is_no_bucket_s_name_is_refused(bucket: str) -> None:
    (line,) = complaints({**LAKE, "BUCKET_NAME": bucket})
    assert line.startswith("BUCKET_NAME must be a bucket's name, 3 to 63 ")


@pytest.mark.parametrize("bucket", ["lake", "acme.amplitude-1", "x" * 63])
def test_a_bucket_s_name_is_taken(bucket: str) -> None:
    assert settings(BUCKET_NAME=bucket).bucket == bucket


@pytest.mark.parametrize("prefix", ["a b", "a*", "a//b", "${aws:username}", "it's", "a?", "é"])
def test_a_prefix_that_could_not_stand_in_a_policy_is_refused(prefix: str) -> None:
    (line,) = complaints({**LAKE, "BUCKET_PREFIX": prefix})
    assert line.startswith("BUCKET_PREFIX must be folders of letters, digits and ")


@pytest.mark.parametrize("prefix", ["amplitude", "raw/amplitude/app=1", "A-1_(x)!"])
def test_a_prefix_that_can_stand_in_a_policy_is_taken(prefix: str) -> None:
    assert settings(BUCKET_PREFIX=prefix).prefix == prefix


@pytest.mark.parametrize(
    "key",
    [
        KEY.replace("key/", "alias/"),
        "alias/lake",
        "1234abcd-12ab-34cd-56ef-1234567890ab",
        KEY.replace("kms", "s3"),
        f"{KEY}/*",
    ],
)
def test_a_kms_key_that_the_bucket_policy_could_not_compare_is_refused_with_the_reason(key: str) -> None:
    (line,) = complaints({**LAKE, "KMS_KEY_ID": key})
    assert line.startswith("KMS_KEY_ID must be the key's own ARN, arn:aws:kms:<region>:<account>:key/<id>; ")
    assert line.endswith("; the bucket policy compares it, so an alias will not do.")


@pytest.mark.parametrize("key", [KEY, KEY.replace("aws:", "aws-us-gov:"), KEY.replace("key/", "key/mrk-")])
def test_a_kms_key_s_own_arn_is_taken(key: str) -> None:
    assert settings(KMS_KEY_ID=key).kms_key_id == key


@pytest.mark.parametrize(
    "account", ["org-account.snowflakecomputing.com", "https://org-account", "ORG-A.SNOWFLAKECOMPUTING.COM"]
)
def test_an_account_with_its_host_around_it_is_refused(account: str) -> None:
    (line,) = complaints({**LAKE, **WAREHOUSE, "SNOWFLAKE_PRIVATE_KEY": PLAIN, "SNOWFLAKE_ACCOUNT": account})
    rule = "<organization>-<account>, without .snowflakecomputing.com"
    assert line == f"SNOWFLAKE_ACCOUNT must be {rule}, not {account!r}."


@pytest.mark.parametrize("account", ["org-account", "xy12345.eu-west-1.aws", "org_account"])
def test_an_account_alone_is_taken(account: str) -> None:
    made = settings(**{**WAREHOUSE, "SNOWFLAKE_PRIVATE_KEY": PLAIN, "SNOWFLAKE_ACCOUNT": account}).snowflake
    assert made is not None
    assert made.account == account


def test_a_local_folder_does_not_ask_for_a_lake_that_could_be() -> None:
    made = settings_from({**LAKE, "BUCKET_PREFIX": "a b", "KMS_KEY_ID": "alias/x"}, only_amplitude=True)
    assert made.bucket is None


# What others found


def test_problems_of_others_are_told_in_the_same_breath_and_a_hint_only_where_something_is_missing() -> None:
    with pytest.raises(InvalidInput) as missing:
        settings_from({"BUCKET_NAME": "lake"}, others=["Something else."], if_missing="Make a file")
    assert str(missing.value).splitlines()[-2:] == ["  - Something else.", "Make a file"]
    with pytest.raises(InvalidInput) as contradictory:
        settings_from(LAKE, others=["Something else."], if_missing="Make a file")
    assert str(contradictory.value).splitlines()[-1] == "  - Something else."

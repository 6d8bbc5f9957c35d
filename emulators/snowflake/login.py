"""Who may log in: anybody, or one user by key pair, and what the session starts with.

Source: https://docs.snowflake.com/en/user-guide/key-pair-auth
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from emulators.snowflake.account import DEFAULT_WAREHOUSE, Account
from emulators.snowflake.errors import SqlError
from emulators.snowflake.session import Session

_INVALID = SqlError(390144, "08004", "JWT token is invalid.")


@dataclass(frozen=True)
class KeyPair:
    """The one user that may log in, and the public key (PEM) that proves it."""

    user: str
    public_key: str

    def check(self, token: str, login_name: str) -> None:
        """Verify a token's signature, expiry, user and key fingerprint.

        Raises:
            SqlError: 390144, whatever is wrong with it: the service does not tell which.
        """
        try:
            key = load_pem_public_key(self.public_key.encode())
            if not isinstance(key, RSAPublicKey):
                raise _INVALID
            claims = jwt.decode(
                token, key, algorithms=["RS256"], options={"require": ["exp", "iat", "iss", "sub"]}, leeway=30
            )
        except (jwt.PyJWTError, ValueError) as error:
            raise _INVALID from error
        digest = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
        subject = str(claims["sub"])
        issuer = f"{subject}.SHA256:{base64.b64encode(digest).decode()}"
        users = {self.user.upper(), login_name.upper(), subject.rpartition(".")[2].upper()}
        if claims["iss"] != issuer or len(users) != 1:
            raise _INVALID


def _parameter(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def log_in(
    account: Account, key_pair: KeyPair | None, data: Mapping[str, Any], place: Mapping[str, str]
) -> Session:
    """Open a session.

    A database, schema or warehouse that does not exist leaves the session without one, and nothing is made;
    a role that does not exist is refused.

    Args:
        account: where.
        key_pair: who may; None lets everybody in.
        data: the request's `data`.
        place: the request's databaseName, schemaName, warehouse, roleName, as far as given.

    Raises:
        SqlError: 390144, 390100 or 390189.
    """
    user = str(data.get("LOGIN_NAME") or "EMULATOR")
    if key_pair is not None:
        if data.get("AUTHENTICATOR") != "SNOWFLAKE_JWT":
            raise SqlError(390100, "08004", "Incorrect username or password was specified.")
        key_pair.check(str(data.get("TOKEN") or ""), user)
    parameters = {name: _parameter(value) for name, value in (data.get("SESSION_PARAMETERS") or {}).items()}
    named = {key: _identifier(value) for key, value in place.items() if value}
    role = named.get("roleName")
    if role and role not in account.objects.roles:
        text = f"Role '{role}' specified in the connect string does not exist or not authorized."
        raise SqlError(390189, "08004", text)
    session = Session(account, user, parameters)
    session.role = role or session.role
    warehouse = named.get("warehouse", DEFAULT_WAREHOUSE)
    session.warehouse = warehouse if warehouse in account.objects.warehouses else None
    database, schema = named.get("databaseName"), named.get("schemaName")
    connection = session.connection
    if database and connection.has_database(database):
        schema = schema or "PUBLIC"
        connection.use(database, schema if connection.has_schema(database, schema) else None)
    account.sessions[session.token] = session
    return session


def _identifier(name: str) -> str:
    return name[1:-1] if name.startswith('"') and name.endswith('"') else name.upper()

"""Credentials of one Amplitude project."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit

from prefect.blocks.abstract import CredentialsBlock
from pydantic import Field, SecretStr, field_validator

from core.amplitude.answers import BASE_URLS
from core.amplitude.archive import ArchiveLimits
from core.amplitude.client import ExportClient


def is_endpoint(text: str) -> bool:
    """Whether a text is the address of a service: scheme, host and perhaps a port, and no password."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    host = parts.hostname or ""
    return (
        parts.scheme in {"http", "https"}
        and bool(host)
        and "@" not in parts.netloc
        and not re.search(r"\s", host)
    )


class AmplitudeCredentials(CredentialsBlock):
    """Lets the pipeline export one Amplitude project's events.

    Source: https://amplitude.com/docs/apis/analytics/export

    Example:
        Load stored Amplitude credentials:
        ```python
        from blocks import AmplitudeCredentials

        amplitude_credentials_block = AmplitudeCredentials.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "Amplitude Credentials"
    _block_type_slug = "amplitude-credentials"
    _documentation_url = "https://amplitude.com/docs/apis/analytics/export"  # type: ignore[assignment]
    _description = "Lets the pipeline export one Amplitude project's events."

    api_key: SecretStr = Field(default=..., description="The project's API key.")
    secret_key: SecretStr = Field(default=..., description="The project's secret key.")
    region: Literal["us", "eu"] = Field(
        default="us",
        description="Where the project's data lives: us or eu. A key is known in its own region only.",
    )
    base_url: str | None = Field(
        default=None,
        description="Another address than the region's, for a proxy or an emulator, such as http://127.0.0.1:8080.",
    )

    @field_validator("api_key", "secret_key")
    @classmethod
    def _not_blank(cls, key: SecretStr) -> SecretStr:
        if not key.get_secret_value().strip():
            msg = "must not be blank"
            raise ValueError(msg)
        return key

    @field_validator("base_url")
    @classmethod
    def _has_scheme_and_host(cls, url: str | None) -> str | None:
        if url and not is_endpoint(url):
            msg = "must be a URL such as https://host:port, without a password"
            raise ValueError(msg)
        return url.rstrip("/") if url else None

    @property
    def url(self) -> str:
        """Where the exports come from."""
        return self.base_url or BASE_URLS[self.region]

    @property
    def host(self) -> str:
        """The host of :attr:`url`, which a lake remembers: ``amplitude.com``."""
        return urlsplit(self.url).netloc

    @property
    def export_limit(self) -> str:
        """The name of Prefect's global concurrency limit on this project's exports."""
        return f"amplitude-exports-{self._block_document_name or 'unnamed'}"

    def get_client(self, archive_limits: ArchiveLimits | None = None) -> ExportClient:
        """The door to this project's exports. Close it, or use it as a context manager.

        Args:
            archive_limits: Where an archive stops being believable.
        """
        return ExportClient(
            api_key=self.api_key.get_secret_value(),
            secret_key=self.secret_key.get_secret_value(),
            base_url=self.url,
            archive_limits=archive_limits,
        )

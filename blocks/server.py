"""The Prefect server that is current: where it is, and what is wrong with it."""

from __future__ import annotations

import re

import httpx
from prefect.settings import get_current_settings

#: How Prefect's plain RuntimeErrors and ValueErrors begin, and what helps.
_PREFECT_ERRORS = {
    "Failed to reach API at ": "Check PREFECT_API_URL, and whether the Prefect server is running.",
    "Found incompatible versions": "Check PREFECT_API_URL, and which Prefect its server runs.",
    "Timed out while attempting to connect to ephemeral": "Run this again: the machine may have been busy.",
    "No Prefect API URL provided": "Set PREFECT_API_URL.",
}


def prefect_server() -> str:
    """The Prefect server that is current, without a password that its address may hold."""
    current = get_current_settings()
    if current.api.url:
        return re.sub(r"//[^/]*@", "//", current.api.url)
    return f"temporary, on the local database of this user in {current.home} (PREFECT_HOME)"


def trouble_with_prefect(error: Exception) -> str | None:
    """What went wrong between here and Prefect, in one sentence; None for any other error."""
    cause = error if isinstance(error, httpx.HTTPError) else error.__cause__
    which = f"The Prefect server ({prefect_server()})"
    if isinstance(cause, httpx.HTTPStatusError):
        status = cause.response.status_code
        remedy = "PREFECT_API_KEY or PREFECT_API_AUTH_STRING" if status in {401, 403} else "its log"
        return f"{which} answered {status}: check {remedy}, and PREFECT_API_URL."
    if isinstance(cause, httpx.HTTPError):
        what = f"cannot be reached ({type(cause).__name__})"
        return f"{which} {what}: check PREFECT_API_URL, and whether it is running."
    text = str(error).partition(". ")[0].rstrip(".")  # what follows may be a server's whole output
    remedies = [f"{text}. {remedy}" for begin, remedy in _PREFECT_ERRORS.items() if text.startswith(begin)]
    return remedies[0] if remedies else None

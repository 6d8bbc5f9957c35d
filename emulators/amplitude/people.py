"""Who the events are about: a fixed crowd of users with their devices, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

#: How many users a project has. Few enough for their events to resemble each other, as real ones do.
CROWD = 160

_PLACES = (
    ("Enfield", "Connecticut", "United States", "Hartford & New Haven, CT"),
    ("São Paulo", "São Paulo", "Brazil", None),
    ("東京", "東京都", "Japan", None),
    ("Kraków", "Województwo małopolskie", "Poland", None),
    ("Zürich", "Zürich", "Switzerland", None),
    ("St. John's", "Newfoundland & Labrador", "Canada", None),
    ("القاهرة", "محافظة القاهرة", "Egypt", None),
)
_SWIFT, _KOTLIN, _SCRIPT = (
    "amplitude-swift/1.9.2",
    "amplitude-analytics-android/1.16.8",
    "amplitude-ts/2.16.1",
)
_DEVICES = (
    ("Web", "Edge", "143", "Windows", "Windows", None, None, None, _SCRIPT, None),
    ("Web", "Safari", "17.4.1", "Mac OS X", "Mac", None, "Apple", None, _SCRIPT, None),
    ("iOS", "ios", "17.5.1", "Apple iPhone", "iPhone 15", "Apple", "Apple", "iPhone15,4", _SWIFT, "8.14.0"),
    (
        "Android",
        "android",
        "14",
        "Samsung Phone",
        "Galaxy S23",
        "samsung",
        "samsung",
        "S911B",
        _KOTLIN,
        "8.13.2",
    ),
)
_LANGUAGES = ("English", "Portuguese", "日本語", "Polski", "Deutsch", "العربية")
_NAMES = (
    'Zoë "Zed" O\'Neil',
    "山田 太郎 🎌",
    "Łukasz\tWiśniewski",
    "C:\\Users\\ada",
    "Noor 👩🏽‍💻",
    "<b>Jo</b> & Co\u2028x",
)
_NETWORKS = ("192.0.2", "198.51.100", "203.0.113")  # kept for documentation: RFC 5737


@dataclass(frozen=True, slots=True)
class Person:
    """One user on one device.

    Attributes:
        number: 0 to ``CROWD`` - 1.
        escaped: Their client wrote every character beyond ASCII as an escape.
        fields: What all of their events have in common, by Amplitude's keys.
    """

    number: int
    escaped: bool
    fields: dict[str, Any]


def hex_uuid(bits: int) -> str:
    """A version 4 UUID of 128 random bits."""
    digits = f"{bits:032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def draw_crowd(seed: int, app_id: int) -> tuple[Person, ...]:
    """The users of one project; the same ones for the same seed and project."""
    chance = Random(f"{seed}:{app_id}:crowd")  # noqa: S311
    return tuple(_draw(number, chance) for number in range(CROWD))


def _draw(number: int, chance: Random) -> Person:
    city, region, country, dma = chance.choice(_PLACES)
    platform, system, version, family, kind, brand, maker, model, library, app_version = chance.choice(
        _DEVICES
    )
    known = chance.random() < 0.6  # noqa: PLR2004
    mobile = app_version is not None
    year, day = chance.randint(2019, 2024), chance.randint(1, 28)
    return Person(
        number,
        escaped=chance.random() < 0.2,  # noqa: PLR2004
        fields={
            "adid": hex_uuid(chance.getrandbits(128)) if platform == "Android" else None,
            "amplitude_id": 92_000_000_000 + chance.randrange(10**9) * 7,
            "city": city,
            "country": country,
            "device_brand": brand,
            "device_carrier": "Vodafone" if mobile and known else None,
            "device_family": family,
            "device_id": hex_uuid(chance.getrandbits(128)),
            "device_manufacturer": maker,
            "device_model": model,
            "device_type": kind,
            "dma": dma,
            "groups": {"company.name": ["Müller & Söhne", 'Acme "R&D"']} if number % 5 == 0 else {},
            "idfa": hex_uuid(chance.getrandbits(128)).upper() if platform == "iOS" and known else None,
            "ip_address": f"{chance.choice(_NETWORKS)}.{chance.randint(1, 254)}",
            "language": chance.choice(_LANGUAGES),
            "library": library,
            "location_lat": round(chance.uniform(-60, 70), 4) if mobile else None,
            "location_lng": round(chance.uniform(-180, 180), 4) if mobile else None,
            "os_name": system,
            "os_version": version,
            "paying": "true" if number % 6 == 0 else None,
            "platform": platform,
            "region": region,
            "start_version": app_version,
            "user_creation_time": f"{year}-{chance.randint(1, 12):02}-{day:02} 08:{day:02}:11.{number:03}000"
            if known
            else None,
            "user_id": f"user+{number:05}@example.com" if known else None,
            "user_properties": _traits(number, chance) if known else {},
            "version_name": app_version,
        },
    )


def _traits(number: int, chance: Random) -> dict[str, Any]:
    return {
        "Display Name": chance.choice(_NAMES),
        "Plan": chance.choice(("free", "team", "enterprise")),
        "plan": chance.randint(1, 3),
        "plan.tier": chance.choice(("bronze", "silver", "gold 🥇")),
        "tags": ["beta", "näive", "100%"][: number % 4],
        "settings": {
            "theme": chance.choice(("dark", "light")),
            "e-mail opt.in": number % 2 == 0,
            "quota": None,
        },
    }

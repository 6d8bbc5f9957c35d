"""How an event is written: 55 keys, most of them fixed for a user, a few different every time.

An event is written from a template, which is the event's JSON with slots for what differs. That
is several times faster than to build and dump a dict for each of millions of events.

Source: https://amplitude.com/docs/apis/analytics/export (the keys; null rather than absent)
"""

from __future__ import annotations

import json
import re
from typing import Any

from emulators.amplitude.people import Person

_SLOT = re.compile(r'"\\u0000([tn]):(\w+)"')

#: Weight, event_type, whether it belongs to a session, and event_properties.
_Kind = tuple[int, str, bool, dict[str, Any]]


def _text(name: str) -> str:
    """A slot inside quotes."""
    return f"\0t:{name}"


def _number(name: str) -> str:
    """A slot that stands bare."""
    return f"\0n:{name}"


KINDS: tuple[_Kind, ...] = (
    (12, "session_start", True, {}),
    (12, "session_end", True, {}),
    (
        30,
        "[Amplitude] Page Viewed",
        True,
        {
            "[Amplitude] Page Domain": "shop.example.com",
            "[Amplitude] Page Location": "https://shop.example.com/größen/übersicht?sort=price&dir=asc#top",
            "[Amplitude] Page Path": "/größen/übersicht",
            "[Amplitude] Page Title": "Größen – Übersicht | Shop™",
            "[Amplitude] Page Counter": _number("small"),
            "load time.ms": _number("large"),
        },
    ),
    (
        20,
        "Button Clicked",
        True,
        {
            "Name": "Sign up",
            "name": "sign_up",
            "NAME": "SIGN UP 🚀",
            "position.x": _number("large"),
            "position.y": _number("small"),
        },
    ),
    (
        8,
        "Order Completed",
        True,
        {
            "order id": _number("huge"),
            "currency": "€",
            "revenue": 19.95,
            "cart": {
                "items": [
                    {"sku": "A-1", "title": 'Cup "Größe L" ☕', "qty": _number("small"), "price": 7.5},
                    {"sku": "B/2", "title": "Socks\\Strümpfe", "qty": 1, "price": 4.95, "options": []},
                ],
                "coupon": None,
                "gift": False,
            },
        },
    ),
    (
        8,
        "検索 / search",
        True,
        {
            "query": "crème brûlée 🍮",
            "results": _number("small"),
            "filters": {"in stock": True, "a.b": {"c": []}},
        },
    ),
    (
        3,
        "Error Shown",
        True,
        {
            "message": 'TypeError: can\'t read "x" of null\n\tat f (app.js:1:42)\r\n\tat <anonymous>',
            "code": -32601,
            "request.id": _text("token"),
        },
    ),
    (
        5,
        "server job finished",
        False,
        {"job": "nightly-sync", "duration": _number("large"), "ok": True, "request.id": _text("token")},
    ),
)

WEIGHTS = tuple(kind[0] for kind in KINDS)


def event_template(app_id: int, person: Person, kind: int, *, plan: bool) -> str:
    """A person's event of one kind, as a ``%`` format with named slots.

    Slots: insert_id, uuid, event_id, session_id, client_event_time, client_upload_time,
    event_time, server_received_time, server_upload_time, processed_time, and the kind's own.
    """
    _, event_type, session, properties = KINDS[kind]
    event: dict[str, Any] = {
        "$insert_id": _text("insert_id"),
        "$insert_key": None,
        "$schema": None,
        "amplitude_attribution_ids": None,
        "amplitude_event_type": event_type if event_type.startswith("session_") else None,
        "app": app_id,
        "client_event_time": _text("client_event_time"),
        "client_upload_time": _text("client_upload_time"),
        "data": {
            "group_first_event": {},
            "group_ids": {},
            "path": "/2/httpapi",
            "user_properties_updated": True,
        },
        "data_type": "event",
        "event_id": _number("event_id"),
        "event_properties": properties,
        "event_time": _text("event_time"),
        "event_type": event_type,
        "global_user_properties": None,
        "group_properties": {"company.name": {"Müller & Söhne": {"seats": 12}}}
        if person.fields["groups"]
        else {},
        "is_attribution_event": None,
        "partner_id": None,
        "plan": {"branch": "main", "source": "web", "version": "3"} if plan else {},
        "processed_time": _text("processed_time"),
        "sample_rate": None,
        "server_received_time": _text("server_received_time"),
        "server_upload_time": _text("server_upload_time"),
        "session_id": _number("session_id") if session else -1,
        "source_id": None,
        "uuid": _text("uuid"),
    } | person.fields
    text = json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=person.escaped)
    return _SLOT.sub(
        lambda slot: f'"%({slot[2]})s"' if slot[1] == "t" else f"%({slot[2]})s", text.replace("%", "%%")
    )

"""`request.cf`: where the request came in, and what is known of who sent it.

Shape: Cloudflare, "IncomingRequestCfProperties". Numbers that Cloudflare sends as strings
(latitude, longitude, metroCode, isEUCountry) are strings here, too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from skerry.errors import SettingsError

COLO = "LOC"
"""The colo of a node whose place is not set: no airport of Cloudflare's has this code."""
COUNTRY = "XX"
"""Cloudflare's own code for a country that is not known."""

_EU = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK"
_HEADERS = {
    "cf-ipcountry": "country",
    "cf-ipcity": "city",
    "cf-ipcontinent": "continent",
    "cf-iplatitude": "latitude",
    "cf-iplongitude": "longitude",
    "cf-metro-code": "metroCode",
    "cf-postal-code": "postalCode",
    "cf-region": "region",
    "cf-region-code": "regionCode",
    "cf-timezone": "timezone",
}
"""What Cloudflare's "visitor location headers" are called, and any proxy in front may send."""


def _matches(pattern: str) -> Callable[[str], bool]:
    return lambda value: re.fullmatch(pattern, value) is not None


def _within(limit: float) -> Callable[[str], bool]:
    def fits(value: str) -> bool:
        try:
            return math.isfinite(float(value)) and abs(float(value)) <= limit
        except ValueError:
            return False

    return fits


_WORDS = _matches(r"[^\x00-\x1f\x7f]{1,100}")
_FIELDS: dict[str, tuple[Callable[[str], bool], str]] = {
    "colo": (_matches("[A-Z]{3}"), "three capital letters, as airports have"),
    "country": (_matches("[A-Z][A-Z0-9]"), "two capital letters, as in ISO 3166"),
    "continent": (_matches("AF|AN|AS|EU|NA|OC|SA"), "one of AF, AN, AS, EU, NA, OC, SA"),
    "city": (_WORDS, "at most 100 characters"),
    "region": (_WORDS, "at most 100 characters"),
    "regionCode": (_matches("[A-Z0-9]{1,3}"), "up to three capital letters and digits"),
    "postalCode": (_matches("[A-Za-z0-9 -]{1,12}"), "a postal code"),
    "metroCode": (_matches("[0-9]{1,4}"), "a number"),
    "latitude": (_within(90), "a number from -90 to 90"),
    "longitude": (_within(180), "a number from -180 to 180"),
    "timezone": (_matches("[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*"), "a name as Europe/London"),
    "asn": (_matches("[0-9]{1,10}"), "a number"),
    "asOrganization": (_WORDS, "at most 100 characters"),
}
PLACE = tuple(_FIELDS)
"""What the setting `place` may hold."""


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """A connection. tls: version and cipher, None for plain HTTP; rtt: milliseconds."""

    http_version: str = "1.1"
    tls: tuple[str, str] | None = None
    rtt: int | None = None


def check_place(place: Mapping[str, str]) -> None:
    """Raises SettingsError where the setting `place` has a name or a value that cannot be."""
    for name, value in place.items():
        if name not in _FIELDS:
            raise SettingsError(f"place: {name!r} is not known; it takes {', '.join(PLACE)}")
        fits, words = _FIELDS[name]
        if not fits(value):
            raise SettingsError(f"place: {name} must be {words}, not {value[:100]!r}")


def place_object(place: Mapping[str, str]) -> dict[str, Any]:
    """The part of `request.cf` that is the same for every request of a node."""
    return _typed(_filled(place))


def _filled(place: Mapping[str, str]) -> dict[str, Any]:
    return {"colo": COLO, "country": COUNTRY, "timezone": "UTC", **place}


def _typed(found: dict[str, Any]) -> dict[str, Any]:
    out = dict(found)
    if "asn" in out:
        out["asn"] = int(out["asn"])
    if out["country"] in _EU.split():
        out["isEUCountry"] = "1"
    return out


def cf_object(
    place: Mapping[str, str],
    client: Client,
    headers: Mapping[str, str],
    *,
    trust_headers: bool = False,
) -> dict[str, Any]:
    """`request.cf` of one request.

    place: of this node, checked. headers: names in small letters. trust_headers: take where the
    client is from the headers of a proxy in front; a value that cannot be is not taken. Else the
    client is where the node is, as on one's own machine.
    """
    found: dict[str, Any] = _filled(place)
    if trust_headers:
        told = {
            name: headers[header]
            for header, name in _HEADERS.items()
            if header in headers and _FIELDS[name][0](headers[header])
        }
        if told:  # the node's own city is not the client's
            kept = {name: found[name] for name in ("colo", "timezone")}
            found = {"country": COUNTRY, **kept, **told}
    found = _typed(found)
    version, cipher = client.tls or ("", "")
    found |= {
        "httpProtocol": f"HTTP/{client.http_version}",
        "tlsVersion": version,
        "tlsCipher": cipher,
        "tlsClientAuth": {"certPresented": "0", "certVerified": "NONE", "certRevoked": "0"},
        "requestPriority": "",
        "clientAcceptEncoding": headers.get("accept-encoding", ""),
        "edgeRequestKeepAliveStatus": 1,
    }
    if client.rtt is not None:
        found["clientTcpRtt"] = client.rtt
    return found

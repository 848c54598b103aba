"""`request.cf`."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import SettingsError
from skerry.workers.cf import PLACE, Client, cf_object, check_place, place_object

LONDON = {
    "colo": "LHR",
    "country": "GB",
    "continent": "EU",
    "city": "London",
    "region": "England",
    "regionCode": "ENG",
    "postalCode": "SW1A 1AA",
    "latitude": "51.50",
    "longitude": "-0.12",
    "timezone": "Europe/London",
    "asn": "64512",
    "asOrganization": "Example",
}


def test_a_node_without_a_place_says_no_more_than_it_knows() -> None:
    cf = cf_object({}, Client(), {})
    assert (cf["colo"], cf["country"], cf["timezone"]) == ("LOC", "XX", "UTC")
    assert "city" not in cf
    assert "clientTcpRtt" not in cf
    assert cf["httpProtocol"] == "HTTP/1.1"
    assert cf["tlsVersion"] == ""


def test_the_node_s_place_and_the_connection() -> None:
    check_place(LONDON)
    client = Client(http_version="2", tls=("TLSv1.3", "AEAD-AES128-GCM-SHA256"), rtt=7)
    cf = cf_object(LONDON, client, {"accept-encoding": "gzip, br", "cf-ipcountry": "FR"})
    assert cf | LONDON == cf | {"asn": "64512"}
    assert cf["asn"] == 64512
    assert "isEUCountry" not in cf
    assert cf["httpProtocol"] == "HTTP/2"
    assert (cf["tlsVersion"], cf["tlsCipher"]) == ("TLSv1.3", "AEAD-AES128-GCM-SHA256")
    assert (cf["clientTcpRtt"], cf["clientAcceptEncoding"]) == (7, "gzip, br")


def test_what_is_the_same_for_every_request() -> None:
    assert place_object({}) == {"colo": "LOC", "country": "XX", "timezone": "UTC"}
    assert place_object(LONDON) == {**LONDON, "asn": 64512}
    assert place_object({"country": "FR"})["isEUCountry"] == "1"


def test_trusted_headers_say_where_the_client_is() -> None:
    headers = {"cf-ipcountry": "FR", "cf-ipcity": "Paris", "cf-iplatitude": "48.85"}
    cf = cf_object(LONDON, Client(), headers, trust_headers=True)
    assert (cf["colo"], cf["country"], cf["city"], cf["latitude"]) == (
        "LHR",
        "FR",
        "Paris",
        "48.85",
    )
    assert cf["isEUCountry"] == "1"
    assert "longitude" not in cf  # London's would be wrong
    assert "postalCode" not in cf
    assert cf_object(LONDON, Client(), {}, trust_headers=True)["city"] == "London"


def test_a_header_that_cannot_be_is_not_taken() -> None:
    headers = {"cf-ipcountry": "France", "cf-iplatitude": "nan", "cf-ipcity": "a\r\nb"}
    cf = cf_object(LONDON, Client(), headers, trust_headers=True)
    assert (cf["country"], cf["latitude"], cf["city"]) == ("GB", "51.50", "London")


@given(st.dictionaries(st.sampled_from(["cf-ipcountry", "cf-ipcity", "cf-metro-code"]), st.text()))
def test_it_is_always_json(headers: dict[str, str]) -> None:
    cf = cf_object(LONDON, Client(), headers, trust_headers=True)
    assert json.loads(json.dumps(cf)) == cf


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ({"town": "x"}, "'town' is not known; it takes colo, country"),
        ({"colo": "london"}, "three capital letters"),
        ({"country": "GBR"}, "two capital letters"),
        ({"latitude": "91"}, "-90 to 90"),
        ({"longitude": "inf"}, "-180 to 180"),
        ({"longitude": "east"}, "-180 to 180"),
        ({"city": "a\nb"}, "at most 100"),
        ({"asn": "AS1"}, "a number"),
        ({"timezone": "../etc"}, "Europe/London"),
    ],
)
def test_a_place_that_cannot_be(place: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        check_place(place)
    assert set(place) <= {*PLACE, "town"}

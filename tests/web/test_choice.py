"""Which dialect a request speaks: the table of docs/dialects/README.md, row by row, with all six declared.

The dialects whose modules do not exist here yet are declared with their published paths and keys.
"""

from __future__ import annotations

import pytest

from tocsin.web.choice import Choice, Head
from tocsin.web.dialect import Claim, Credential, Dialect, Pings, Reply, discover
from tocsin.web.trouble import Trouble

ALL = ("GET", "POST", "PUT", "PATCH", "DELETE")


def refuse(trouble: Trouble) -> Reply:
    return Reply(trouble.status, b"text/plain", trouble.message.encode())


def declared(name: str, credential: Credential, claims: tuple[Claim, ...], *fields: str) -> Dialect:
    pings = Pings(("/ping/{}",), lambda _: Reply(200, b"", b""), lambda status: Reply(status, b"", b""))
    return Dialect(name, lambda _: _nothing, refuse, claims, credential, pings, body_fields=frozenset(fields))


async def _nothing(*_: object) -> None:
    return None


OTHERS = (
    declared(
        "cronping",
        Credential("x-api-key", "cpk_"),
        (Claim("/api/v1/heartbeats*", ALL), Claim("/api/v1/integrations", ("GET",))),
    ),
    declared(
        "anethoth",
        Credential("authorization", "ch_", "bearer"),
        (
            Claim("/api/v1/monitors", ("GET", "POST")),
            Claim("/api/v1/monitors/{}", ("GET", "DELETE")),
            Claim("/api/v1/monitors/{}/pause", ("POST",)),
            Claim("/api/v1/monitors/{}/resume", ("POST",)),
            Claim("/api/v1/signup", ("POST",)),
            Claim("/api/v1/checkout", ("POST",)),
        ),
        "schedule_minutes",
    ),
    declared(
        "cronbeats",
        Credential("x-api-key", "cb_"),
        (
            Claim("/api/v1/integrations", ("GET",), keyless=True),
            Claim("/api/v1/integrations/*", ALL),
            Claim("/api/v1/jobs*", ALL),
        ),
    ),
    declared(
        "cronheart",
        Credential("authorization", "cmk_", "bearer"),
        (
            Claim("/api/v1/monitors", ("GET", "POST")),
            Claim("/api/v1/monitors/*", ALL),
            Claim("/api/v1/channels*", ALL),
            Claim("/api/v1/account", ("GET",)),
            Claim("/api/v1/openapi.json", ("GET",)),
        ),
        "schedule_kind",
        "schedule_expr",
    ),
)
FOUND = discover()
MISSING = [one for one in OTHERS if one.name not in {dialect.name for dialect in FOUND}]
CHOICE = Choice([*MISSING, *FOUND])

MONITORS = "/api/v1/monitors"
ONE = "/api/v1/monitors/0123456789abcdef"
PEEK = {"x-api-key": "cpk_0123456789abcdef0123456789abcdef"}
PING = {"x-api-key": "cpk_40charactersofbase62andsomemoreofthem123"}
BEATS = {"x-api-key": "cb_something"}
ANETHOTH = {"authorization": "Bearer ch_something"}
HEART = {"authorization": "bearer cmk_something"}
NATIVE = {"authorization": "BEARER tsn_something"}


def speaker(method: str, path: str, headers: dict[str, str], *fields: str) -> str | None:
    """Who answers: a dialect, "nobody", or None where nothing tells."""
    head = Head(method, path, headers)
    found = CHOICE.claimants(head)
    if not found:
        return "nobody"
    if len(found) == 1:
        return found[0].dialect.name
    told = CHOICE.decide(found, head, fields)
    return told.name if told else None


@pytest.mark.parametrize(
    ("method", "path", "headers", "expected"),
    [
        ("GET", "/api/v1/heartbeats", {}, "cronping"),
        ("POST", "/api/v1/heartbeats/1/pause", PING, "cronping"),
        ("GET", "/api/v1/integrations", PING, "cronping"),
        ("GET", "/api/v1/integrations", BEATS, "cronbeats"),
        ("GET", "/api/v1/integrations", {}, "cronbeats"),
        ("PUT", "/api/v1/integrations/slack", BEATS, "cronbeats"),
        ("PUT", "/api/v1/integrations/slack", PING, "cronbeats"),
        ("POST", "/api/v1/jobs/bulk/pause", BEATS, "cronbeats"),
        ("GET", MONITORS, ANETHOTH, "anethoth"),
        ("GET", MONITORS, HEART, "cronheart"),
        ("GET", MONITORS, PEEK, "cronpeek"),
        ("POST", MONITORS, PEEK, "cronpeek"),
        ("DELETE", ONE, ANETHOTH, "anethoth"),
        ("DELETE", ONE, HEART, "cronheart"),
        ("DELETE", ONE, PEEK, "cronpeek"),
        ("GET", ONE, ANETHOTH, "anethoth"),
        ("GET", ONE, HEART, "cronheart"),
        ("POST", f"{ONE}/pause", ANETHOTH, "anethoth"),
        ("POST", f"{ONE}/resume", HEART, "cronheart"),
        ("POST", f"{ONE}/resume", PEEK, "cronpeek"),
        ("PATCH", ONE, {}, "cronheart"),
        ("POST", f"{ONE}/snooze", {}, "cronheart"),
        ("GET", "/api/v1/channels", {}, "cronheart"),
        ("GET", "/api/v1/account", PEEK, "cronheart"),
        ("GET", "/api/v1/openapi.json", {}, "cronheart"),
        ("POST", "/api/v1/signup", {}, "anethoth"),
        ("POST", "/api/v1/checkout", ANETHOTH, "anethoth"),
        ("POST", "/api/v1/accounts", {}, "cronpeek"),
        ("GET", "/api/health", {}, "cronpeek"),
        ("GET", "/api/tocsin/v1/monitors", {}, "tocsin"),
        ("GET", "/api/tocsin/v1/monitors", PEEK, "tocsin"),
        ("GET", "/api/v2/monitors", PEEK, "nobody"),
        ("GET", "/", {}, "nobody"),
    ],
)
def test_the_path_and_the_key_tell_who_is_meant(
    method: str, path: str, headers: dict[str, str], expected: str
) -> None:
    assert speaker(method, path, headers) == expected


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("schedule_minutes", "anethoth"),
        ("schedule_kind", "cronheart"),
        ("schedule_expr", "cronheart"),
        ("schedule", "cronpeek"),
        ("name", None),
    ],
)
def test_without_a_key_the_body_tells(field: str, expected: str | None) -> None:
    assert speaker("POST", MONITORS, {}, "name", field) == expected


def test_without_a_fitting_key_the_header_that_is_there_tells() -> None:
    assert speaker("GET", MONITORS, {"x-api-key": "nonsense"}) == "cronpeek"
    assert speaker("GET", MONITORS, {"authorization": "Bearer nonsense"}) is None
    assert speaker("GET", MONITORS, {}) is None


def test_of_two_keys_the_one_that_fits_the_path_counts() -> None:
    assert speaker("GET", MONITORS, {**PEEK, **NATIVE}) == "cronpeek"
    assert speaker("GET", MONITORS, {**BEATS, **ANETHOTH}) == "anethoth"
    assert speaker("GET", "/api/v1/heartbeats", {**BEATS, **ANETHOTH}) == "cronping"


def test_a_key_beats_a_body_that_speaks_of_another() -> None:
    assert speaker("POST", MONITORS, HEART, "schedule_minutes") == "cronheart"


def test_a_method_that_nobody_has_is_answered_by_the_one_whose_key_it_is() -> None:
    assert speaker("PUT", MONITORS, PEEK) == "cronpeek"
    assert speaker("PUT", MONITORS, HEART) == "cronheart"


@pytest.mark.parametrize(
    "path", ["/api/v1/monitors/", "/api/v1/monitors//status", "/API/V1/MONITORS", "//api/health"]
)
def test_a_path_that_only_looks_like_one_is_nobodys(path: str) -> None:
    assert speaker("GET", path, {}) in {"nobody", "cronheart"}
    assert Choice(discover()).claimants(Head("GET", path, {})) == []


def test_the_two_dialects_of_this_package_are_found() -> None:
    assert {dialect.name for dialect in FOUND} >= {"cronpeek", "tocsin"}

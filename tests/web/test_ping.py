"""web/ping.py: whose ping a request is, and what it is answered."""

from __future__ import annotations

import pytest

from tocsin.domain.ping import Signal
from tocsin.engine.intake import Full
from tocsin.web.dialect import Reply, discover
from tocsin.web.ping import PingConfig, PingLane, PingLimits, Target, render
from tocsin.web.rate import Rates


class Intake:
    """Answers as it is told to; what it was given is in `taken`."""

    def __init__(self, result: object = None) -> None:
        self.result = result
        self.taken: list[Signal] = []

    def submit(self, signal: Signal, answer: object) -> None:
        self.taken.append(signal)
        if isinstance(self.result, Full):
            raise self.result
        answer(self.result)  # type: ignore[operator]


def lane(intake: Intake | None = None, unknown_per_minute: int = 60) -> PingLane:
    config = PingConfig(unknown_per_minute=unknown_per_minute)
    return PingLane(intake or Intake(), discover(), config, Rates(), lambda: 0)  # type: ignore[arg-type]


def ask(lane: PingLane, url: bytes, method: str = "GET") -> bytes:
    target = lane.match(url)
    assert target is not None
    signal = Signal(
        target.token, target.action, target.query, method, [], "192.0.2.1", b"", body_was_cut=False
    )
    replies: list[bytes] = []
    lane.submit(signal, target, replies.append)
    return replies[0]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (b"/api/v1/ping/abc", Target("abc", "", b"", "cronpeek")),
        (b"/cronpeek/api/v1/ping/abc", Target("abc", "", b"", "cronpeek")),
        (b"/ping/abc/start?rid=7", Target("abc", "start", b"rid=7", None)),
        (b"/tocsin/ping/abc/0", Target("abc", "0", b"", "tocsin")),
        (b"/ping/abc/end/fail", Target("abc", "end/fail", b"", None)),
        (b"/ping/", Target("", "", b"", None)),
    ],
)
def test_a_ping_is_told_by_its_path(url: bytes, expected: Target) -> None:
    found = lane().match(url)
    assert found is not None
    assert found[:3] == expected[:3]
    assert expected.dialect in (None, found.dialect)


@pytest.mark.parametrize(
    "url",
    [b"/", b"/pings/abc", b"/api/v1/monitors", b"/api/v1/pingabc", b"/nobody/ping/abc", b"/cronpeek/ping"],
)
def test_everything_else_is_no_ping(url: bytes) -> None:
    assert lane().match(url) is None


HEX = "0123456789abcdef0123456789abcdef01234567"
ON_THE_PING_HOST = [(b"host", b"Ping.Example.com")]


def rooted() -> PingLane:
    config = PingConfig(host="ping.example.com")
    return PingLane(Intake(), [*discover()], config, Rates(), lambda: 0)  # type: ignore[arg-type]


def test_a_token_of_forty_digits_stands_at_the_root_of_any_host() -> None:
    for url in (f"/{HEX}", f"/cronping/{HEX}"):
        assert rooted().match(url.encode()) == Target(HEX, "", b"", "cronping")
    assert rooted().match(f"/{HEX}/start?rid=7".encode()) == Target(HEX, "start", b"rid=7", "cronping")
    for other in (f"/{HEX[:-1]}", f"/{HEX}0", f"/{HEX.upper()}", f"/cronpeek/{HEX}", "/monitors"):
        assert rooted().match(other.encode()) is None


def test_every_path_of_the_ping_host_is_a_ping() -> None:
    one = rooted()
    assert one.match(b"/whatever/fail", ON_THE_PING_HOST) == Target("whatever", "fail", b"", "cronping")
    assert one.match(b"/ping/abc", ON_THE_PING_HOST) == Target("abc", "", b"", None)
    assert one.match(b"/cronpeek/api/v1/monitors", ON_THE_PING_HOST) is None
    assert one.match(b"/whatever", [(b"host", b"example.com")]) is None
    assert one.match(b"/whatever", [(b"host", b"ping.example.com:443")]) is not None
    assert lane().match(b"/whatever", [(b"host", b"")]) is None


def test_capitals_of_a_uuid_do_not_count() -> None:
    target = lane().match(b"/ping/0AB1C2D3-0000-4000-8000-ABCDEFABCDEF/run")
    assert target is not None
    assert target.token == "0ab1c2d3-0000-4000-8000-abcdefabcdef"
    assert lane().match(b"/ping/AbCdEfGh") == Target("AbCdEfGh", "", b"", None)


def test_a_plan_may_limit_the_pings_of_a_token_and_of_a_sender() -> None:
    config = PingConfig(limits={"cronpeek": PingLimits(3, 5)})
    one = PingLane(Intake(), discover(), config, Rates(), lambda: 0)  # type: ignore[arg-type]
    statuses = [ask(one, b"/api/v1/ping/" + token).split()[1] for token in b"a a a a b b b".split()]
    assert statuses == [b"404", b"404", b"404", b"429", b"404", b"404", b"429"]
    assert b"Retry-After: 60\r\n" in ask(one, b"/api/v1/ping/c")
    assert ask(one, b"/ping/AbCdEfGhAbCdEfGhAbCdEfGh").startswith(b"HTTP/1.1 404 ")


def test_no_path_leads_around_the_limit_of_a_token() -> None:
    config = PingConfig(limits={"cronheart": PingLimits(1, None)})
    one = PingLane(Intake(), discover(), config, Rates(), lambda: 0)  # type: ignore[arg-type]
    uuid = b"0ab1c2d3-0000-4000-8000-abcdefabcdef"
    paths = [b"/ping/", b"/cronheart/ping/", b"/anethoth/ping/", b"/api/v1/ping/", b"/tocsin/ping/"]
    statuses = [ask(one, path + uuid).split()[1] for path in paths]
    assert statuses == [b"404", b"429", b"429", b"429", b"429"]


def test_a_token_that_is_no_token_is_not_even_looked_up() -> None:
    intake = Intake()
    for token in (b"", b"a" * 65):
        assert ask(lane(intake), b"/api/v1/ping/" + token).startswith(b"HTTP/1.1 404 ")
    assert intake.taken == []


def test_an_unknown_token_gets_the_404_of_the_paths_dialect() -> None:
    reply = ask(lane(), b"/api/v1/ping/abc")
    assert reply.startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert reply.endswith(b'{"error":"Ping token not found"}')


def test_an_address_that_tries_many_unknown_tokens_is_told_to_wait() -> None:
    one = lane(unknown_per_minute=3)
    statuses = [ask(one, b"/api/v1/ping/abc").split()[1] for _ in range(5)]
    assert statuses == [b"404", b"404", b"404", b"429", b"429"]


def test_a_full_queue_is_a_503_with_a_time_to_come_back() -> None:
    for result in (Full(), RuntimeError("the commit failed")):
        reply = ask(lane(Intake(result)), b"/api/v1/ping/abc")
        assert reply.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 2\r\n" in reply


def test_head_has_the_head_and_no_body() -> None:
    reply = Reply(200, b"text/plain", b"OK")
    assert render(reply, "HEAD") + b"OK" == render(reply, "GET")

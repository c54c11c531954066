"""The only HTTP client and its guard, against real servers on this machine."""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from ipaddress import ip_network
from pathlib import Path

import pytest

from tests.receivers import HANG, RESET, TRICKLE, Act, Answer, Certificate, HttpReceiver
from tocsin.domain.errors import Code, TocsinError
from tocsin.outbound import (
    BODY_LIMIT_BYTES,
    Forbidden,
    Outbound,
    Reply,
    Resolve,
    TimedOut,
    Unreachable,
    look_up,
)

LOOPBACK = [ip_network("127.0.0.0/8")]
PUBLIC = "93.184.215.14"

INSIDE = [
    "https://127.0.0.1",
    "https://127.8.8.8",
    "https://[::1]",
    "https://[::ffff:127.0.0.1]",
    "https://[::ffff:7f00:1]",
    "https://[::127.0.0.1]",
    "https://[64:ff9b::7f00:1]",
    "https://[2002:7f00:1::]",
    "https://[2001:0:4136:e378:8000:63bf:f5ff:fffe]",
    "https://169.254.169.254",
    "https://[fd00:ec2::254]",
    "https://[fe80::1]",
    "https://10.0.0.1",
    "https://172.16.0.1",
    "https://192.168.0.1",
    "https://100.64.0.1",
    "https://0.0.0.0",
    "https://[::]",
    "https://224.0.0.1",
    "https://255.255.255.255",
    "https://localhost",
    "https://2130706433",
    "https://0x7f000001",
    "https://0x7f.1",
    "https://0177.0.0.1",
    "https://127.1",
]

MALFORMED = [
    "",
    "example.com",
    "//example.com",
    "ftp://example.com",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "https://",
    "https:///alerts",
    "https://user@example.com",
    "https://user:secret@example.com",
    "https://127.0.0.1\\@example.com",
    "https://exa mple.com",
    "https://127%2e0%2e0%2e1",
    "https://example.com:0",
    "https://example.com:65536",
    "https://[::1",
    "https://[nonsense]",
    "https://example.com/\r\nHost: inside",
    "https://\uff11\uff12\uff17.0.0.1",  # full-width digits
    "https://xn--ls8h.la/",
    "https://xn--/",
    "https://a..b/",
    "https://.a/",
    f"https://{'a' * 64}.test/",
]


def answering(*answers: Sequence[str]) -> Resolve:
    """A resolver that gives these answers one after the other, the last one from then on."""
    rest = list(answers)

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return rest.pop(0) if len(rest) > 1 else rest[0]

    return resolve


async def unknown(_host: str, _port: int) -> Sequence[str]:
    raise OSError("Name or service not known")


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    made = Outbound(LOOPBACK, timeout_seconds=5)
    yield made
    await made.close()


async def send(
    url: str,
    resolve: Resolve = look_up,
    networks: Sequence[str] = ("127.0.0.0/8",),
    timeout_seconds: float = 5,
    tls: ssl.SSLContext | None = None,
) -> Reply:
    """One POST through a client of its own."""
    allowed = [ip_network(one) for one in networks]
    client = Outbound(allowed, timeout_seconds, resolve=resolve, tls=tls)
    try:
        return await client.request("POST", url, json={"a": 1})
    finally:
        await client.close()


@pytest.mark.promise(12)
@pytest.mark.parametrize("url", INSIDE)
async def test_an_address_inside_is_refused_when_it_is_saved_and_when_it_is_used(url: str) -> None:
    guarded = Outbound(timeout_seconds=5)
    with pytest.raises(TocsinError) as refusal:
        await guarded.check(url + "/hook")
    assert refusal.value.code is Code.INVALID
    assert "url" in refusal.value.fields
    with pytest.raises(Forbidden):
        await guarded.request("POST", url + "/hook")


@pytest.mark.promise(12)
async def test_nothing_reaches_a_server_inside() -> None:
    with HttpReceiver() as receiver:
        for host in ("127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"):
            for scheme in ("http", "https"):
                with pytest.raises(Forbidden):
                    await send(f"{scheme}://{host}:{receiver.port}/", networks=["10.0.0.0/8"])
        assert receiver.connections == 0


@pytest.mark.promise(12)
@pytest.mark.parametrize("inside", ["10.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1"])
async def test_a_name_that_resolves_to_an_address_inside_is_refused(inside: str) -> None:
    with pytest.raises(Forbidden):
        await send("https://receiver.test/", answering([inside]))
    with pytest.raises(TocsinError):
        await Outbound(resolve=answering([inside])).check("https://receiver.test/")


@pytest.mark.promise(12)
async def test_one_forbidden_address_among_several_is_enough() -> None:
    with HttpReceiver() as receiver:
        for addresses in (["127.0.0.1", "10.0.0.1"], ["10.0.0.1", "127.0.0.1"]):
            with pytest.raises(Forbidden):
                await send(f"http://receiver.test:{receiver.port}/", answering(addresses))
        assert receiver.connections == 0


@pytest.mark.promise(12)
async def test_a_name_that_moves_inside_after_it_was_saved_is_refused() -> None:
    guarded = Outbound(timeout_seconds=5, resolve=answering([PUBLIC], ["127.0.0.1"]))
    await guarded.check("https://receiver.test/")
    with pytest.raises(Forbidden):
        await guarded.request("POST", "https://receiver.test/")


@pytest.mark.promise(12)
async def test_the_connection_goes_to_the_address_that_was_judged() -> None:
    """Another address would be in the second answer of the resolver, and in none of the system's."""
    with HttpReceiver() as judged, HttpReceiver(host="127.0.0.2", port=judged.port) as other:
        moving = answering(["127.0.0.1"], ["127.0.0.2"])
        reply = await send(f"http://receiver.test:{judged.port}/", moving, networks=["127.0.0.1/32"])
        assert reply.status == 200
        assert (judged.connections, other.connections) == (1, 0)


@pytest.mark.promise(12)
async def test_a_kept_connection_stays_where_it_was_judged_and_a_new_one_is_judged_anew() -> None:
    with HttpReceiver(200, 200, Answer(headers={"connection": "close"})) as receiver:
        client = Outbound(LOOPBACK, resolve=answering(["127.0.0.1"], ["10.0.0.1"]))
        for _ in range(3):
            await client.request("POST", f"http://receiver.test:{receiver.port}/")
        assert receiver.connections == 1
        with pytest.raises(Forbidden):
            await client.request("POST", f"http://receiver.test:{receiver.port}/")
        await client.close()


@pytest.mark.promise(12)
async def test_a_redirect_is_the_answer_and_is_not_followed(outbound: Outbound) -> None:
    with HttpReceiver() as inside:
        moved = Answer(302, headers={"location": f"{inside.url}/secret"})
        with HttpReceiver(moved) as receiver:
            reply = await outbound.request("POST", receiver.url)
        assert reply.status == 302
        assert inside.connections == 0


@pytest.mark.promise(12)
@pytest.mark.parametrize("networks", [[], ["10.0.0.0/8"]])
async def test_plain_http_to_a_public_address_is_refused(networks: list[str]) -> None:
    with pytest.raises(Forbidden, match="https"):
        await send("http://receiver.test/", answering([PUBLIC]), networks)
    allowed = [ip_network(one) for one in networks]
    with pytest.raises(TocsinError, match="https"):
        await Outbound(allowed, resolve=answering([PUBLIC])).check("http://receiver.test/")


@pytest.mark.promise(12)
@pytest.mark.parametrize("url", MALFORMED)
async def test_what_is_no_plain_address_is_refused(url: str, outbound: Outbound) -> None:
    assert outbound.fault(url)
    with pytest.raises(TocsinError):
        await outbound.check(url)
    with pytest.raises(Forbidden):
        await outbound.request("GET", url)


async def test_a_fault_is_seen_without_a_look_up() -> None:
    guarded = Outbound(LOOPBACK, resolve=unknown)
    assert guarded.fault("https://receiver.test/hook") is None
    assert guarded.fault("http://receiver.test/hook") is None
    assert guarded.fault("http://127.0.0.1/hook") is None
    assert guarded.fault("https://10.0.0.1/hook")
    assert guarded.fault("https://0xa.1/hook")
    assert guarded.fault("http://1.1.1.1/hook")
    assert Outbound().fault("http://receiver.test/hook")


async def test_a_name_that_does_not_resolve_is_accepted_when_saved_and_judged_when_used() -> None:
    guarded = Outbound(resolve=unknown)
    await guarded.check("https://receiver.test/hook")
    with pytest.raises(Unreachable, match="does not resolve"):
        await guarded.request("POST", "https://receiver.test/hook")


async def test_a_name_that_no_resolver_takes_does_not_resolve(outbound: Outbound) -> None:
    url = f"https://{'a.' * 130}test/"
    await outbound.check(url)
    with pytest.raises(Unreachable, match="does not resolve"):
        await outbound.request("POST", url)


async def test_a_slow_look_up_does_not_hold_up_saving() -> None:
    async def slow(_host: str, _port: int) -> Sequence[str]:
        await asyncio.sleep(10)
        return [PUBLIC]

    started = time.monotonic()
    await Outbound(timeout_seconds=0.1, resolve=slow).check("https://receiver.test/")
    assert time.monotonic() - started < 5


async def test_an_allowed_network_is_reached_by_plain_http(outbound: Outbound) -> None:
    with HttpReceiver(Answer(201, b"made", {"X-Seen": "yes"})) as receiver:
        reply = await outbound.request(
            "POST", f"{receiver.url}/hook?a=1#part", json={"ä": 1}, headers={"Idempotency-Key": "k"}
        )
        [request] = receiver.wait_for(1)
    assert (reply.status, reply.body_prefix, reply.headers["x-seen"]) == (201, b"made", "yes")
    assert (request.method, request.target, request.json()) == ("POST", "/hook?a=1", {"ä": 1})
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["idempotency-key"] == "k"
    assert request.headers["user-agent"].startswith("Tocsin/")


async def test_tls_and_the_host_header_keep_the_name() -> None:
    certificate = Certificate("receiver.test")
    with HttpReceiver(certificate=certificate) as receiver:
        url = f"https://receiver.test:{receiver.port}/"
        reply = await send(url, answering(["127.0.0.1"]), tls=certificate.client_context())
        [request] = receiver.wait_for(1)
    assert reply.status == 200
    assert request.headers["host"] == f"receiver.test:{receiver.port}"


@pytest.mark.promise(12)
async def test_a_certificate_for_another_name_is_refused() -> None:
    certificate = Certificate("other.test", "127.0.0.1")
    with HttpReceiver(certificate=certificate) as receiver:
        url = f"https://receiver.test:{receiver.port}/"
        with pytest.raises(Unreachable, match="certificate is not valid"):
            await send(url, answering(["127.0.0.1"]), tls=certificate.client_context())
        assert receiver.requests == []


@pytest.mark.promise(12)
async def test_a_certificate_that_nobody_trusts_is_refused() -> None:
    with (
        HttpReceiver(certificate=Certificate("127.0.0.1")) as receiver,
        pytest.raises(Unreachable, match="certificate is not valid"),
    ):
        await send(receiver.url)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_time_is_limited_in_all(scheme: str) -> None:
    """TRICKLE sends a byte now and then: a limit for each read would never end it."""
    for answer in (HANG, TRICKLE):
        certificate = Certificate("127.0.0.1") if scheme == "https" else None
        with HttpReceiver(answer, certificate=certificate) as receiver:
            tls = certificate.client_context() if certificate else None
            client = Outbound(LOOPBACK, timeout_seconds=0.3, tls=tls)
            started = time.monotonic()
            with pytest.raises(TimedOut, match=r"within 0\.3 s"):
                await client.request("POST", receiver.url)
            assert time.monotonic() - started < 3


async def test_a_tls_handshake_that_hangs_is_given_up() -> None:
    # The system takes the connection; nobody ever speaks.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(TimedOut):
            await send(f"https://127.0.0.1:{port}/", timeout_seconds=0.3)


async def test_a_long_answer_is_cut_and_its_connection_not_used_again(outbound: Outbound) -> None:
    with HttpReceiver(Answer(body=b"x" * 1_000_000), 200) as receiver:
        reply = await outbound.request("GET", receiver.url)
        assert reply.body_prefix == b"x" * BODY_LIMIT_BYTES
        assert (await outbound.request("GET", receiver.url)).body_prefix == b"ok"
        assert receiver.connections == 2


async def test_a_connection_that_breaks_is_said_to(outbound: Outbound) -> None:
    with HttpReceiver(RESET) as receiver:
        with pytest.raises(Unreachable, match=r"reset|closed"):
            await outbound.request("POST", f"{receiver.url}/T0P-SECRET")
        url = receiver.url
    with pytest.raises(Unreachable, match="refused") as failure:
        await outbound.request("POST", f"{url}/T0P-SECRET")
    assert "T0P-SECRET" not in str(failure.value)


async def test_what_is_no_http_is_no_answer(outbound: Outbound) -> None:
    with (
        HttpReceiver(Answer(body=b"SSH-2.0-OpenSSH_9.2\r\n", act=Act.RAW)) as receiver,
        pytest.raises(Unreachable, match="broke HTTP"),
    ):
        await outbound.request("GET", receiver.url)


async def test_the_next_address_is_tried_where_the_first_takes_no_connection() -> None:
    with HttpReceiver() as receiver:
        reply = await send(
            f"http://receiver.test:{receiver.port}/", answering(["127.0.0.3", "127.0.0.1", "127.0.0.1"])
        )
    assert reply.status == 200


@pytest.mark.promise(12)
async def test_nothing_is_taken_from_the_environment(
    outbound: Outbound, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ann password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with HttpReceiver() as proxy, HttpReceiver() as receiver:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        await outbound.request("POST", receiver.url)
        assert proxy.connections == 0
        assert "authorization" not in receiver.requests[0].headers


async def test_no_cookie_is_kept(outbound: Outbound) -> None:
    with HttpReceiver(Answer(headers={"set-cookie": "a=b"})) as receiver:
        for _ in range(2):
            await outbound.request("POST", receiver.url)
        assert "cookie" not in receiver.requests[1].headers


async def test_connections_are_used_again(outbound: Outbound) -> None:
    with HttpReceiver(Answer(delay_seconds=0.01)) as receiver:
        for _ in range(3):
            await asyncio.gather(*(outbound.request("POST", receiver.url) for _ in range(20)))
        assert len(receiver.requests) == 60
        assert receiver.connections == 20


async def test_a_kept_connection_that_the_other_side_closed_is_not_used(outbound: Outbound) -> None:
    with HttpReceiver() as receiver:
        await outbound.request("POST", receiver.url)
        port = receiver.port
    with HttpReceiver(port=port) as receiver:
        assert (await outbound.request("POST", receiver.url)).status == 200


async def test_few_connections_are_kept_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.outbound.IDLE_PER_HOST", 3)
    monkeypatch.setattr("tocsin.outbound.IDLE_SECONDS", 0.3)
    client = Outbound(LOOPBACK)
    with HttpReceiver(Answer(delay_seconds=0.05)) as receiver:
        await asyncio.gather(*(client.request("POST", receiver.url) for _ in range(10)))
        await asyncio.sleep(0.1)
        assert (receiver.connections, receiver.open_connections) == (10, 3)
        for _ in range(100):
            await asyncio.sleep(0.05)
            if not receiver.open_connections:
                break
        assert receiver.open_connections == 0
    await client.close()

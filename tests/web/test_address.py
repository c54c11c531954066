from __future__ import annotations

from ipaddress import ip_network

import pytest

from tocsin.web.address import client_address, is_from_this_machine, network_of

PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "expected"),
    [
        ("198.51.100.1", None, "198.51.100.1"),
        ("198.51.100.1", "203.0.113.9", "198.51.100.1"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "6.6.6.6, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "6.6.6.6, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "6.6.6.6, , nonsense", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("::ffff:10.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
        ("fd00::1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("", "203.0.113.9", ""),
    ],
)
def test_the_nearest_address_that_is_no_trusted_proxy_is_the_clients(
    peer: str, forwarded_for: str | None, expected: str
) -> None:
    assert client_address(peer, forwarded_for, PROXIES) == expected


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_a_person_on_this_machine_asks_from_a_loopback_address(peer: str) -> None:
    assert is_from_this_machine(peer, {"user-agent": "curl", "host": "localhost"})


@pytest.mark.parametrize(
    "header",
    ["x-forwarded-for", "forwarded", "via", "x-real-ip", "cf-connecting-ip", "origin", "sec-fetch-site"],
)
def test_a_proxy_on_this_machine_or_a_page_in_its_browser_does_not(header: str) -> None:
    assert not is_from_this_machine("127.0.0.1", {header: "x"})


@pytest.mark.parametrize("peer", ["10.0.0.1", "203.0.113.9", "", "localhost"])
def test_another_address_is_not_this_machine(peer: str) -> None:
    assert not is_from_this_machine(peer, {})


@pytest.mark.parametrize(
    ("address", "sender"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::9", "2001:db8:1:3::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
    ],
)
def test_a_customer_of_ipv6_is_one_sender(address: str, sender: str) -> None:
    assert network_of(address) == sender

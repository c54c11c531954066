"""Which addresses the guard refuses, and why (promise 12)."""

from ipaddress import ip_address, ip_network

import pytest

from tocsin.domain.network import embedded, is_within, special_kind

SPECIAL = [
    ("0.0.0.0", "unspecified"),
    ("10.0.0.1", "private"),
    ("10.255.255.255", "private"),
    ("100.64.0.1", "shared"),
    ("100.127.255.255", "shared"),
    ("127.0.0.1", "loopback"),
    ("127.255.255.254", "loopback"),
    ("169.254.1.1", "link-local"),
    ("169.254.169.254", "metadata"),
    ("172.16.0.1", "private"),
    ("172.31.255.255", "private"),
    ("192.0.0.192", "reserved"),
    ("192.168.1.1", "private"),
    ("198.18.0.1", "benchmarking"),
    ("224.0.0.1", "multicast"),
    ("239.255.255.255", "multicast"),
    ("240.0.0.1", "reserved"),
    ("255.255.255.255", "reserved"),
    ("::", "unspecified"),
    ("::1", "loopback"),
    ("fe80::1", "link-local"),
    ("fe80::1%2", "link-local"),
    ("fd00:ec2::254", "private"),
    ("fec0::1", "private"),
    ("ff02::1", "multicast"),
    ("2001:db8::1", "documentation"),
    ("100::1", "reserved"),
    # Forms that carry an IPv4 address:
    ("::ffff:127.0.0.1", "loopback"),
    ("::ffff:169.254.169.254", "metadata"),
    ("::127.0.0.1", "reserved"),
    ("::ffff:0:127.0.0.1", "reserved"),
    ("64:ff9b::10.0.0.1", "private"),
    ("64:ff9b:1::10.0.0.1", "reserved"),
    ("2002:7f00:1::", "loopback"),
    ("2002:a00:1::1", "private"),
    ("2001:0:4136:e378:8000:63bf:f5ff:fffe", "reserved"),
]

PUBLIC = [
    "1.1.1.1",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450:4001:82a::200e",
    "::ffff:1.1.1.1",
    "64:ff9b::1.1.1.1",
    "2002:101:101::1",
]


@pytest.mark.promise(12)
@pytest.mark.parametrize(("address", "kind"), SPECIAL)
def test_an_address_that_is_not_public_has_a_kind(address: str, kind: str) -> None:
    assert special_kind(ip_address(address)) == kind


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_has_none(address: str) -> None:
    assert special_kind(ip_address(address)) is None


def test_an_ipv6_address_is_within_a_network_of_the_ipv4_address_that_it_carries() -> None:
    networks = [ip_network("127.0.0.0/8"), ip_network("fd00::/8")]
    inside = ["127.1.2.3", "::ffff:127.0.0.1", "64:ff9b::127.0.0.1", "fd12::1"]
    outside = ["128.0.0.1", "::1", "::ffff:10.0.0.1", "fe80::1"]
    assert [one for one in inside + outside if is_within(ip_address(one), networks)] == inside


def test_no_ipv4_address_is_carried_by_an_ordinary_one() -> None:
    assert embedded(ip_address("2606:4700::1")) is None
    assert embedded(ip_address("1.1.1.1")) is None

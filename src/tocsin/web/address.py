"""Who is asking: the client's address, seen through the reverse proxies that are trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

# Headers by which a proxy or a browser betrays that the request was not typed on this machine.
_RELAYED = (
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "fly-client-ip",
    "cdn-loop",
    "forwarded",
    "via",
    "origin",
    "sec-fetch-site",
)


def client_address(peer: str, forwarded_for: str | None, trusted: Sequence[Network]) -> str:
    """The nearest address that is no trusted proxy.

    `peer` is the socket's other end, `forwarded_for` the value of X-Forwarded-For (of several headers joined
    by commas), which is believed from right to left, and only as far as trusted proxies wrote it.
    """
    current = peer
    hops = [hop.strip() for hop in (forwarded_for or "").split(",") if hop.strip()]
    while hops and _is_among(current, trusted):
        hop = _parse(hops.pop())
        if hop is None:
            break
        current = str(hop)
    return current


def is_from_this_machine(peer: str, headers: Mapping[str, str]) -> bool:
    """Whether a person on this very machine asks, not a proxy on it nor a web page in its browser."""
    address = _parse(peer)
    return address is not None and address.is_loopback and not any(name in headers for name in _RELAYED)


def network_of(address: str) -> str:
    """Who counts as one sender: an IPv4 address, or the /64 of an IPv6 one, which one customer has."""
    parsed = _parse(address)
    if isinstance(parsed, IPv6Address):
        return str(IPv6Network((parsed, 64), strict=False))
    return address if parsed is None else str(parsed)


def _is_among(text: str, networks: Sequence[Network]) -> bool:
    address = _parse(text)
    return address is not None and any(address in network for network in networks)


def _parse(text: str) -> Address | None:
    """Also "[v6]", "[v6]:port" and "v4:port", as proxies write them; v4-mapped v6 is read as v4."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address

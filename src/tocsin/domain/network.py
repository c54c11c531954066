"""Which addresses a user's destination may stand for (promise 12)."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# The special-purpose registries of IANA (RFC 6890). Written out because Python's is_global differs from
# version to version. The first network that fits gives the word.
_SPECIAL: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), word)
    for network, word in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.169.254/32", "metadata"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "reserved"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("2001::/23", "reserved"),  # Teredo too, which embeds two IPv4 addresses
        ("2001:db8::/32", "documentation"),
        ("3fff::/20", "documentation"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "private"),
        ("ff00::/8", "multicast"),
    )
)
_GLOBAL_UNICAST_V6 = ip_network("2000::/3")
_NAT64 = ip_network("64:ff9b::/96")


def special_kind(address: Address) -> str | None:
    """The word for an address that is not a public one ("private", "loopback", …); None for a public one.

    An IPv6 address that carries an IPv4 one (mapped, 6to4, NAT64) is what that one is.
    """
    address = embedded(address) or address
    for network, word in _SPECIAL:
        if address in network:
            return word
    is_public = isinstance(address, IPv4Address) or address in _GLOBAL_UNICAST_V6
    return None if is_public else "reserved"


def is_within(address: Address, networks: Sequence[Network]) -> bool:
    """Whether an address, or the IPv4 one that it carries, lies in one of the networks."""
    spellings = {address, embedded(address) or address}
    return any(one in network for one in spellings for network in networks)


def embedded(address: Address) -> IPv4Address | None:
    """The IPv4 address at which a packet to an IPv6 address would end, if there is one."""
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour

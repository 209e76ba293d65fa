"""Which addresses may be connected to on behalf of a client: public ones, and those that the operator allows."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_V4_REFUSED = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT; clouds put services there
        "127.0.0.0/8",
        "168.63.129.16/32",  # the platform service of Azure, though the address is public
        "169.254.0.0/16",  # link-local, and the metadata services of most clouds
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",
    )
)
_V6_UNICAST = ip_network("2000::/3")
_V6_REFUSED = tuple(
    ip_network(text)
    for text in (
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "3fff::/20",
    )
)
_NAT64 = ip_network("64:ff9b::/96")


def may_connect(address: Address, allowed: Iterable[Network]) -> bool:
    """Whether a connection to the address may be made: it is public, or in a network that is allowed."""
    address = _embedded(address)
    return any(address in network for network in allowed) or _public(address)


def parse_address(text: str) -> Address:
    """The address that getaddrinfo gave; ValueError for any other text."""
    return ip_address(text)


def _embedded(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, where it does."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address


def _public(address: Address) -> bool:
    # Not is_global: what it says differs between versions of Python.
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _V4_REFUSED)
    return address in _V6_UNICAST and not any(address in network for network in _V6_REFUSED)

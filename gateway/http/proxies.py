"""Which proxies may say for whom they ask (`X-Forwarded-For`, `X-Forwarded-Proto`)."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, ip_address, ip_network

from starlette.types import Scope

_MAPPED_BITS = 96
"""An IPv4 address that reaches an IPv6 socket is `::ffff:` and its own 32 bits."""


def trusted_networks(proxies: Iterable[str]) -> list[str]:
    """As uvicorn takes them: networks, those of IPv4 as IPv6 sockets see them, too."""
    networks = [ip_network(each) for each in proxies]
    mapped = [
        f"::ffff:{network.network_address}/{_MAPPED_BITS + network.prefixlen}"
        for network in networks
        if isinstance(network, IPv4Network)
    ]
    return [*map(str, networks), *mapped]


def address_of(scope: Scope) -> str | None:
    """The client's; None where what a trusted proxy passed on is no address, but whatever the client wrote."""
    client = scope.get("client")
    try:
        return str(ip_address(client[0])) if client else None
    except ValueError:
        return None

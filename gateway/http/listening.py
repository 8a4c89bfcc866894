"""The sockets that the gateway listens on: of the loopback address both, as `localhost` may mean either."""

from __future__ import annotations

import logging
import socket

from gateway.settings import GatewaySettings

_BACKLOG = 2048
_UNTAKEN_MS = 30_000
_LOOPBACK = ("127.0.0.1", "::1")

_log = logging.getLogger("facet.server")


def listening(settings: GatewaySettings) -> list[socket.socket]:
    """All on one port; the second one only where the system has its address.

    Raises:
        OSError: The port is in use, or the address is not this machine's.
    """
    shared = settings.shared
    both = shared.host == "localhost" or "host" not in shared.model_fields_set
    first, *others = _LOOPBACK if both else (shared.host,)
    try:
        listeners = [_listen(first, settings.port)]
    except OSError as error:
        raise OSError(
            f"cannot listen on {first}:{settings.port} ({error.strerror}); choose another port with FACET_GATEWAY_PORT"
        ) from error
    port = listeners[0].getsockname()[1]
    for other in others:
        try:
            listeners.append(_listen(other, port))
        except OSError as error:
            _log.info("listens on one loopback address", extra={"fields": {"without": other, "why": error.strerror}})
    return listeners


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server(
        (host, port), family=family, backlog=_BACKLOG, dualstack_ipv6=host == "::" and socket.has_dualstack_ipv6()
    )
    # Connections inherit it. asyncio sets it only for sockets made with an explicit protocol; without it an answer's
    # body waits up to 40 ms for the client to acknowledge its headers.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # A client that does not take its answer is dropped.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNTAKEN_MS)
    return listener

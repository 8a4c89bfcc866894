"""`localhost` is two addresses: the gateway listens on both, unless told to listen on one."""

from __future__ import annotations

import socket
from contextlib import closing

import httpx
import pytest

from tests.support.processes import RunningTier, start

NOWHERE = dict.fromkeys(("FACET_DETECTOR_TARGET", "FACET_EMBEDDER_TARGET", "FACET_ANONYMIZER_TARGET"), "127.0.0.1:1")


def has_ipv6_loopback() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6_loopback(), reason="this machine has no ::1")


def answers(gateway: RunningTier, host: str) -> bool:
    try:
        return httpx.get(f"http://{host}:{gateway.port}/healthz", trust_env=False).status_code == 200
    except httpx.ConnectError:
        return False


@needs_ipv6
@pytest.mark.parametrize("settings", [{}, {"FACET_HOST": "localhost"}])
def test_localhost_is_answered_whatever_it_means(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FACET_HOST", raising=False)
    gateway = start("gateway", **NOWHERE, **settings)
    try:
        assert answers(gateway, "127.0.0.1")
        assert answers(gateway, "[::1]")
    finally:
        assert gateway.stop() == 0


@needs_ipv6
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_one_address_is_listened_on_where_it_is_named(host: str) -> None:
    gateway = start("gateway", **NOWHERE, FACET_HOST=host)
    try:
        assert answers(gateway, "127.0.0.1") is (host == "127.0.0.1")
        assert answers(gateway, "[::1]") is (host == "::1")
    finally:
        gateway.stop()


@needs_ipv6
def test_gateway_goes_on_where_another_program_has_the_port_of_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FACET_HOST", raising=False)
    with closing(socket.create_server(("::1", 0), family=socket.AF_INET6)) as other:
        gateway = start("gateway", **NOWHERE, FACET_GATEWAY_PORT=str(other.getsockname()[1]))
        try:
            assert answers(gateway, "127.0.0.1")
            gateway.wait_for(lambda line: line.get("without") == "::1")
        finally:
            gateway.stop()

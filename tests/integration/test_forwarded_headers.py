"""For whom a proxy says that it asks: believed from the proxies that a setting names, and from nobody else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.settings import GatewaySettings
from services.chassis.process.settings import load_settings
from tests.support.processes import RunningTier, start

NOWHERE = dict.fromkeys(("FACET_DETECTOR_TARGET", "FACET_EMBEDDER_TARGET", "FACET_ANONYMIZER_TARGET"), "127.0.0.1:1")
HSTS = "strict-transport-security"
Starter = Callable[..., RunningTier]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@pytest.fixture
def started(path: Path) -> Iterator[Starter]:
    running: list[RunningTier] = []

    def starter(**settings: str) -> RunningTier:
        running.append(start("gateway", **NOWHERE, FACET_GATEWAY_AUDIT_LOG=str(path), **settings))
        return running[-1]

    yield starter
    for gateway in running:
        gateway.stop()


def entered(gateway: RunningTier, path: Path, forwarded_for: str, proto: str = "https") -> tuple[Any, bool]:
    """The address that is entered for a request, and whether it counts as one over HTTPS."""
    headers = {"X-Forwarded-For": forwarded_for, "X-Forwarded-Proto": proto, "Host": "facet.example"}
    answer = httpx.post(f"{gateway.url}/v1/detect", content=b"x", headers=headers)
    assert answer.status_code == 503  # no tiers run
    return json.loads(path.read_bytes().splitlines()[-1])["address"], HSTS in answer.headers


def test_nobody_is_believed_unless_a_setting_names_them(started: Starter, path: Path) -> None:
    for environment in ({}, {"FORWARDED_ALLOW_IPS": "*"}, {"FACET_GATEWAY_TRUSTED_PROXIES": "10.0.0.0/8, ::1"}):
        gateway = started(**environment)
        assert entered(gateway, path, "203.0.113.9") == ("127.0.0.1", False)
        gateway.stop()


@pytest.mark.parametrize("trusted", ["127.0.0.1", "10.1.2.3,127.0.0.0/8", " ::1 , 127.0.0.1/32 "])
def test_named_proxy_is_believed(started: Starter, path: Path, trusted: str) -> None:
    gateway = started(FACET_GATEWAY_TRUSTED_PROXIES=trusted)
    assert entered(gateway, path, "203.0.113.9") == ("203.0.113.9", True)
    assert entered(gateway, path, "198.51.100.1, 203.0.113.9", "http") == ("203.0.113.9", False)  # its own word alone
    assert entered(gateway, path, "2001:db8::1") == ("2001:db8::1", True)
    assert entered(gateway, path, "hidden; DROP TABLE") == (None, True)


@pytest.mark.parametrize("wrong", ["*", "proxy.example", "10.0.0.1/8", "127.0.0.1;10.0.0.1", "300.1.1.1"])
def test_setting_that_names_no_address_is_refused(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACET_GATEWAY_TRUSTED_PROXIES", wrong)
    with pytest.raises(SystemExit, match=r"FACET_GATEWAY_TRUSTED_PROXIES: .*neither an address nor a network"):
        load_settings(GatewaySettings)


def test_no_proxy_is_trusted_by_default() -> None:
    assert GatewaySettings().trusted_proxies == ()

"""The audit log of a running gateway: every picture call is in it before its answer is, and no answer is without."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.audit.verification import BrokenChainError, Expected, verify
from gateway.identity.caller import Scope
from gateway.identity.keys import KeyEntry, NewKey, digest_of, make_key
from tests.support.clients import metrics_of
from tests.support.processes import REPOSITORY, RunningTier, Stack, start
from tests.support.waiting import eventually

UNLIMITED = resource.RLIM_INFINITY


@pytest.fixture(scope="module")
def key() -> NewKey:
    return make_key()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, key: NewKey) -> Path:
    folder = tmp_path_factory.mktemp("audit")
    fields = {"name": "paper", "id": key.id, "sha256": digest_of(key.text).hex()}
    entry = KeyEntry.model_validate({**fields, "scopes": [Scope.ANONYMIZE, Scope.DETECT], "burst": 1000})
    (folder / "keys.toml").write_text(entry.to_toml())
    return folder


@pytest.fixture(scope="module")
def path(folder: Path) -> Path:
    return folder / "audit.jsonl"


@pytest.fixture(scope="module")
def settings(stack: Stack, folder: Path, path: Path) -> dict[str, str]:
    return {
        **stack.targets(),
        "FACET_GATEWAY_KEYS": str(folder / "keys.toml"),
        "FACET_GATEWAY_AUDIT_LOG": str(path),
        "FACET_GATEWAY_PORT": "0",
        "FACET_GATEWAY_METRICS_PORT": "0",
        "FACET_DRAIN_S": "0",
    }


@pytest.fixture(scope="module")
def gateway(settings: dict[str, str]) -> Iterator[RunningTier]:
    running = start("gateway", **settings)
    yield running
    assert running.stop() == 0


@pytest.fixture
def client(gateway: RunningTier, key: NewKey) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {key.text}"}
    with httpx.Client(base_url=gateway.url, headers=headers, timeout=30) as client:
        yield client


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_call_is_told_without_its_content(client: httpx.Client, path: Path, key: NewKey, astronaut_jpeg: bytes) -> None:
    answer = client.post(
        "/v1/anonymize",
        params={"style": "solid", "model": "blazeface-full", "verify": "true"},
        files={"image": ("aunt-mary.jpg", astronaut_jpeg)},
        headers={"X-Request-Id": "order-7"},
    )
    assert answer.status_code == 200
    line = lines_of(path)[-1]
    assert (
        line.items()
        >= {
            "event": "call",
            "request_id": "order-7",
            "caller": f"key:paper/{key.id}",
            "address": "127.0.0.1",
            "operation": "anonymize",
            "status": 200,
            "outcome": "OK",
            "faces_found": 1,
            "faces_hidden": 1,
            "models": [answer.headers["x-facet-model"]],
            "response_bytes": len(answer.content),
        }.items()
    )
    assert line["options"].items() >= {"style": "solid", "verify": True, "recall": "balanced"}.items()
    assert line["request_bytes"] > len(astronaut_jpeg)
    assert line["duration_s"] > 0
    text = path.read_text()
    assert key.text.removeprefix(f"facet_{key.id}_") not in text
    assert "aunt-mary" not in text
    assert max(map(len, text.splitlines())) < 1500


def test_refused_calls_are_told_with_their_reason(
    gateway: RunningTier, client: httpx.Client, path: Path, astronaut_jpeg: bytes
) -> None:
    earlier = len(lines_of(path))
    httpx.post(f"{gateway.url}/v1/detect", content=astronaut_jpeg)
    httpx.post(f"{gateway.url}/v1/detect", content=astronaut_jpeg, headers={"Authorization": "Bearer facet_none"})
    client.post("/v1/embed", content=astronaut_jpeg)
    client.post("/v1/detect", content=b"not a picture")
    client.post("/v1/detect", params={"secret": "hunter2"}, content=astronaut_jpeg)
    client.post("/v1/detect", params={"model": "hunter2"}, content=astronaut_jpeg)
    told = [(line["status"], line["outcome"], bool(line["caller"])) for line in lines_of(path)[earlier:]]
    assert told == [
        (401, "UNAUTHENTICATED", False),
        (401, "INVALID_CREDENTIAL", False),
        (403, "FORBIDDEN", True),
        (415, "UNSUPPORTED_FORMAT", True),
        (400, "INVALID_REQUEST", True),
        (400, "INVALID_REQUEST", True),
    ]
    assert "hunter2" not in path.read_text()


def test_client_that_left_is_told(gateway: RunningTier, path: Path, key: NewKey) -> None:
    earlier = len(lines_of(path))
    head = (
        f"POST /v1/detect HTTP/1.1\r\nHost: facet\r\nAuthorization: Bearer {key.text}\r\nContent-Length: 9\r\n\r\nabc"
    )
    with socket.create_connection((gateway.host, gateway.port), timeout=10) as connection:
        connection.sendall(head.encode())
    eventually(lambda: len(lines_of(path)) > earlier)
    [line] = lines_of(path)[earlier:]
    assert (line["status"], line["outcome"], line["caller"]) == (499, "CLIENT_LEFT", f"key:paper/{key.id}")


def test_only_picture_calls_are_entered(client: httpx.Client, path: Path) -> None:
    earlier = len(lines_of(path))
    for other in ("/", "/readyz", "/v1/models", "/v1/nothing"):
        client.get(other)
    client.post("/v1/nothing", content=b"x")
    assert len(lines_of(path)) == earlier


def test_access_log_and_metric_show_that_the_end_was_removed(
    gateway: RunningTier, client: httpx.Client, path: Path, tmp_path: Path, astronaut_jpeg: bytes
) -> None:
    client.post("/v1/detect", content=astronaut_jpeg, headers={"X-Request-Id": "anchor-1"})
    logged = gateway.wait_for(lambda line: line.get("request_id") == "anchor-1")
    known = Expected.parse(logged["audit"])
    assert metrics_of(gateway)["facet_gateway_audit_lines"] == known.seq
    assert verify([path], known).last is not None
    shorter = tmp_path / "shorter.jsonl"
    shorter.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    with pytest.raises(BrokenChainError, match="its end was removed"):
        verify([shorter], known)


def test_log_goes_on_in_a_new_file_after_it_was_moved(client: httpx.Client, path: Path, astronaut_jpeg: bytes) -> None:
    client.post("/v1/detect", content=astronaut_jpeg)
    moved = path.rename(path.with_name("audit.jsonl.1"))
    client.post("/v1/detect", content=astronaut_jpeg)
    assert lines_of(path)[0]["prev"] == lines_of(moved)[-1]["hash"]
    assert verify([moved, path]).notices == []
    path.write_bytes(moved.read_bytes() + path.read_bytes())  # one file for the tests that follow


def test_nothing_is_answered_that_cannot_be_entered(
    gateway: RunningTier, client: httpx.Client, path: Path, astronaut_jpeg: bytes
) -> None:
    client.post("/v1/detect", content=astronaut_jpeg)
    before = path.read_bytes()
    # A limit on files is like a full disk: the kernel writes what fits and refuses the rest.
    resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, (len(before) + 100, UNLIMITED))
    refused = client.post("/v1/anonymize", content=astronaut_jpeg)
    assert refused.status_code == 503
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["retry-after"]
    assert "audit log cannot be written" in refused.json()["detail"]
    assert path.read_bytes() == before
    resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, (UNLIMITED, UNLIMITED))
    assert client.post("/v1/anonymize", content=astronaut_jpeg).status_code == 200
    assert len(lines_of(path)) == before.count(b"\n") + 1
    assert verify([path]).notices == []
    assert metrics_of(gateway)["facet_gateway_audit_failures_total"] == 1


def test_second_gateway_is_refused_the_file(gateway: RunningTier, settings: dict[str, str], path: Path) -> None:
    assert gateway.process.poll() is None
    ended = subprocess.run(
        [sys.executable, "-m", "gateway"],
        env={**os.environ, **settings},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert f"FACET_GATEWAY_AUDIT_LOG: {path} is in use by another process" in ended.stderr


def test_killed_gateway_goes_on_with_its_log(
    gateway: RunningTier, key: NewKey, path: Path, astronaut_jpeg: bytes
) -> None:
    headers = {"Authorization": f"Bearer {key.text}"}
    httpx.post(f"{gateway.url}/v1/detect", content=astronaut_jpeg, headers=headers)
    gateway.signal(signal.SIGKILL)
    gateway.wait()
    with path.open("ab") as file:  # what a crash of the machine may leave of a line
        file.write(b'{"seq":99,"time":"20')
    gateway.restart()
    httpx.post(f"{gateway.url}/v1/detect", content=astronaut_jpeg, headers=headers)
    events = [json.loads(line).get("event") for line in path.read_bytes().splitlines() if line.endswith(b"}")]
    assert events[-3:] == ["call", "torn", "call"]
    verified = verify([path])
    assert len(verified.notices) == 1
    assert "cut off by a crash, and marked" in verified.notices[0]

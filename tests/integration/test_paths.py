"""Every way to spell a path, at a running gateway that keeps an audit log: what is served is entered, by its route."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.audit.verification import verify
from gateway.identity.caller import Scope
from gateway.identity.keys import KeyEntry, NewKey, digest_of, make_key
from tests.support.processes import RunningTier, start
from tests.support.waiting import eventually

ANONYMIZE = "/v1/anonymize"
SPELLINGS = (
    "/v1/anonymize",
    *(f"/v1/anonymize%{code:02X}" for code in (*range(0x21), 0x7F)),
    *("/v1/anonymize%0a", "/v1/anonymize%0D%0A", "/v1/anonymize%C2%85", "/v1/anonymize%E2%80%A8", "/%0Av1/anonymize"),
    *("/v1/anonymize/", "/v1/anonymize//", "//v1/anonymize", "/v1//anonymize", "///v1/anonymize", "/v1/anonymize%2F"),
    *("/v1%2Fanonymize", "/%2Fv1/anonymize", "/v1%5Canonymize", "/v1/%61nonymize", "/%76%31/anonymize"),
    *("/v1/./anonymize", "/v1/detect/../anonymize", "/./v1/anonymize", "/v1/%2e/anonymize", "/static/../v1/anonymize"),
    *("/V1/anonymize", "/v1/ANONYMIZE", "/v1/Anonymize", "/v1/anonymize;a=b", "/v1;a/anonymize", "/v1/anonymize%3Fa"),
    *(
        "/v1/anonymize?",
        "/v1/anonymize?style=blur",
        "/v1/anonymize?style=blur%0A",
        "/v1/anonymize??",
        "/v1/anonymize%23",
    ),
    *(
        "/v1/anonymize?_method=GET",
        "/v1/anonymize?/../detect",
        "/v1/anonymize#a",
        "/v1/anonymiz%C3%A9",
        "/v1/anonymize.",
    ),
    *("/v1/anonymize%EF%BC%8F", "/v1/anonymize%FF", "/v1/anonymize%", "/v1/anonymize%zz", "/v1/anonymize%250A"),
    *("http://facet.example/v1/anonymize", "HTTP://other/v1/anonymize", "http:///v1/anonymize", "//facet/v1/anonymize"),
    *("http://facet.example/v1/anonymize%0A", "*", "v1/anonymize", "/v1/embed%0A", "/v1/detect%0A", "/v1/compare%0A"),
    *("/v1/embed", "/v1/detect", "/v1/compare", "/static/..%2Fv1/anonymize", "/%2e%2e/v1/anonymize"),
)
METHODS = ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
STATUS = re.compile(rb"^HTTP/1\.[01] (\d{3}) ")
OPERATIONS = ("anonymize", "embed", "detect", "compare")


@pytest.fixture(scope="module")
def key() -> NewKey:
    return make_key()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("paths") / "audit.jsonl"


@pytest.fixture(scope="module")
def gateway(key: NewKey, path: Path) -> Iterator[RunningTier]:
    fields = {"name": "paper", "id": key.id, "sha256": digest_of(key.text).hex()}
    entry = KeyEntry.model_validate({**fields, "scopes": list(Scope), "burst": 10_000})
    keys = path.with_name("keys.toml")
    keys.write_text(entry.to_toml())
    nowhere = dict.fromkeys(
        ("FACET_DETECTOR_TARGET", "FACET_EMBEDDER_TARGET", "FACET_ANONYMIZER_TARGET"), "127.0.0.1:1"
    )
    running = start("gateway", **nowhere, FACET_GATEWAY_KEYS=str(keys), FACET_GATEWAY_AUDIT_LOG=str(path))
    yield running
    assert running.stop() == 0


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def answer_to(
    gateway: RunningTier, key: NewKey, method: str, target: str, *headers: str, version: str = "1.1"
) -> bytes:
    """Everything that comes back; no client library spells paths as they are spelled here."""
    lines = (
        f"{method} {target} HTTP/{version}",
        "Host: facet.example",
        f"Authorization: Bearer {key.text}",
        "Content-Length: 11",
        "Connection: close",
        *headers,
    )
    with socket.create_connection((gateway.host, gateway.port), timeout=30) as connection:
        connection.sendall("\r\n".join((*lines, "", "no picture.")).encode("latin-1"))
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def status_of(answer: bytes) -> int:
    found = STATUS.match(answer)
    assert found, answer
    return int(found[1])


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("target", SPELLINGS)
def test_whatever_reaches_a_picture_call_is_entered(
    gateway: RunningTier, key: NewKey, path: Path, target: str, version: str
) -> None:
    earlier = len(lines_of(path))
    answer = answer_to(gateway, key, "POST", target, version=version)
    entered = lines_of(path)[earlier:]
    # The call itself refuses what was sent: it asks for a picture, for parameters that exist, or for the tiers.
    unmatched = status_of(answer) in {404, 405} or b"control character" in answer or b"Invalid HTTP request" in answer
    assert len(entered) == (0 if unmatched else 1), answer
    for line in entered:
        assert line["operation"] in OPERATIONS
        assert (line["status"], line["caller"]) == (status_of(answer), f"key:paper/{key.id}")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("target", [ANONYMIZE, "/v1/anonymize%0A"])
def test_other_methods_do_nothing_and_are_not_entered(
    gateway: RunningTier, key: NewKey, path: Path, method: str, target: str
) -> None:
    earlier = len(lines_of(path))
    overrides = [f"{name}: POST" for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")]
    assert status_of(answer_to(gateway, key, method, target, *overrides)) == (405 if target == ANONYMIZE else 400)
    assert len(lines_of(path)) == earlier


@pytest.mark.parametrize("header", ["X-Original-URL: /v1/embed", "X-Rewrite-URL: /v1/embed", "X-Forwarded-Prefix: /x"])
def test_headers_do_not_change_the_path(gateway: RunningTier, key: NewKey, path: Path, header: str) -> None:
    assert status_of(answer_to(gateway, key, "POST", ANONYMIZE, header)) == 503  # no tiers run
    assert lines_of(path)[-1]["operation"] == "anonymize"


@pytest.mark.parametrize("target", ["/v1/anonymize%0A", "/%00", "/static/app.js%0D", "/healthz%C2%85"])
def test_control_characters_in_paths_are_refused(gateway: RunningTier, key: NewKey, target: str) -> None:
    answer = answer_to(gateway, key, "POST", target)
    assert status_of(answer) == 400
    assert b"application/problem+json" in answer
    assert b"control character" in answer


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize(
    "target",
    [
        "/v1/anonymize/",
        "/healthz/",
        "/docs/",
        "/v1/models/",
        "/static",
        "/static/swagger",
        "/openapi.json/",
        "//evil.example",
    ],
)
def test_nothing_is_redirected(gateway: RunningTier, key: NewKey, method: str, target: str) -> None:
    answer = answer_to(gateway, key, method, target, "X-Forwarded-Proto: https")
    assert status_of(answer) in {404, 405}
    assert b"\r\nlocation:" not in answer.lower()


@pytest.mark.parametrize("target", ["/v1/anonymize/", "//v1/anonymize", "/V1/Anonymize", "/v1/anonymize;x=1"])
def test_path_that_leads_nowhere_is_told_how_it_is_spelled(gateway: RunningTier, target: str) -> None:
    refused = httpx.post(f"{gateway.url}{target}", content=b"x")
    assert refused.status_code == 404
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["detail"] == "there is nothing at this path; it is spelled /v1/anonymize"


@pytest.mark.parametrize(
    "target", ["/", "/docs", "/healthz", "/readyz", "/health", "/ready", "/v1/models", "/openapi.json"]
)
def test_head_is_answered_as_get_without_the_body(gateway: RunningTier, key: NewKey, target: str) -> None:
    headers = {"Authorization": f"Bearer {key.text}"}
    with httpx.Client(base_url=gateway.url, headers=headers) as client:
        got, head = client.get(target), client.head(target)
        assert head.status_code == got.status_code
        assert head.headers["content-type"] == got.headers["content-type"]
        assert head.headers["content-length"] == got.headers["content-length"]
        assert not head.content
        assert client.get("/healthz").status_code == 200  # the connection is in step


def test_head_of_a_picture_call_names_its_method(gateway: RunningTier) -> None:
    refused = httpx.head(f"{gateway.url}/v1/detect")
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    assert httpx.post(f"{gateway.url}/healthz").headers["allow"] == "GET, HEAD"


def test_unknown_callers_do_not_fill_the_audit_log(gateway: RunningTier, key: NewKey, path: Path) -> None:
    earlier = len(lines_of(path))
    count = 400
    with httpx.Client(base_url=gateway.url) as client:
        for number in range(count):
            assert client.post("/v1/detect", content=b"x").status_code == 401
            if number % 40 == 0:
                headers = {"Authorization": f"Bearer {key.text}"}
                client.post("/v1/embed", content=b"x", headers=headers)
    eventually(lambda: sum(line.get("count", 1) for line in lines_of(path)[earlier:]) == count + 10)
    lines = lines_of(path)[earlier:]
    of_somebody = [line for line in lines if line["caller"] is not None]
    assert [line["operation"] for line in of_somebody] == ["embed"] * 10
    assert len(lines) - len(of_somebody) < 40
    counted = [line for line in lines if line["event"] == "refused"]
    assert counted
    assert counted[0]["outcomes"].keys() == {"UNAUTHENTICATED"}
    assert counted[0]["addresses"] == ["127.0.0.1"]
    assert verify([path]).notices == []


def test_metrics_answer_head(gateway: RunningTier) -> None:
    head = httpx.head(f"http://{gateway.host}:{gateway.metrics_port}/metrics")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"].startswith("text/plain")


def test_metrics_name_the_route_and_no_path_of_a_caller(gateway: RunningTier, key: NewKey) -> None:
    answer_to(gateway, key, "POST", "/v1/%61nonymize")
    answer_to(gateway, key, "POST", "/v1/anonymize%0A")
    text = httpx.get(f"http://{gateway.host}:{gateway.metrics_port}/metrics").text
    methods = set(re.findall(r'facet_gateway_calls_total\{code="\d+",method="([^"]*)"', text))
    known = {
        *(f"/v1/{each}" for each in OPERATIONS),
        "/v1/models",
        "/",
        "/docs",
        "/openapi.json",
        "/static",
        "unmatched",
    }
    assert methods <= known

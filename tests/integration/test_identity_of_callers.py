"""Who may call: keys and tokens over real connections, refused early, limited, rotated under load, never logged."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from gateway.identity.caller import Scope
from gateway.identity.keys import KeyEntry, NewKey, digest_of, make_key
from tests.support.clients import metrics_of
from tests.support.issuer import AUDIENCE, ISSUER, ed25519_key, jwk, jwks, token
from tests.support.processes import REPOSITORY, LogLine, RunningTier, Stack, start
from tests.support.waiting import eventually

CALLS = tuple(f"/v1/{scope}" for scope in Scope)
UNLIMITED = {"requests_per_s": 100_000, "burst": 100_000, "at_once": 1000}
SIGNER = ed25519_key()


def entry(key: NewKey, name: str, *scopes: Scope, **limits: float) -> KeyEntry:
    fields = {"name": name, "id": key.id, "sha256": digest_of(key.text).hex(), "scopes": scopes or list(Scope)}
    return KeyEntry.model_validate({**fields, **(limits or UNLIMITED)})


def publish(folder: Path, *entries: KeyEntry) -> Path:
    """Puts a file of keys where the gateway looks, as Kubernetes changes a Secret: by swapping a link."""
    version = folder / f"version-{time.monotonic_ns()}"
    version.mkdir()
    (version / "keys.toml").write_text("\n\n".join(one.to_toml() for one in entries))
    (folder / "..data_tmp").symlink_to(version.name)
    (folder / "..data_tmp").replace(folder / "..data")
    link = folder / "keys.toml"
    if not link.is_symlink():
        link.symlink_to("..data/keys.toml")
    return link


def bearer(credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}"}


def of_request(request_id: str) -> Callable[[LogLine], bool]:
    return lambda line: line.get("request_id") == request_id


def reloaded(gateway: RunningTier, change: Callable[[], object], event: str = "files reloaded") -> None:
    """Makes a change, and calls until the gateway has seen it: it looks when somebody shows a key."""
    earlier = len(gateway.log)
    change()

    def seen() -> bool:
        httpx.get(f"{gateway.url}/v1/models", headers=bearer("facet_nobody"), trust_env=False)
        return any(line.get("event") == event for line in gateway.log[earlier:])

    eventually(seen)


@pytest.fixture(scope="module")
def keys() -> dict[str, NewKey]:
    return {name: make_key() for name in ("all", *Scope, "seldom", "single")}


@pytest.fixture(scope="module")
def entries(keys: dict[str, NewKey]) -> list[KeyEntry]:
    return [
        entry(keys["all"], "all"),
        *(entry(keys[scope], scope, scope) for scope in Scope),
        entry(keys["seldom"], "seldom", requests_per_s=0.05, burst=2, at_once=9),
        entry(keys["single"], "single", requests_per_s=1000, burst=1000, at_once=1),
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("secret")


@pytest.fixture(scope="module")
def gateway(stack: Stack, folder: Path, entries: list[KeyEntry]) -> Iterator[RunningTier]:
    (folder / "jwks.json").write_bytes(jwks(jwk("one", SIGNER)))
    running = start(
        "gateway",
        **stack.targets(),
        FACET_GATEWAY_KEYS=str(publish(folder, *entries)),
        FACET_GATEWAY_OIDC_ISSUER=ISSUER,
        FACET_GATEWAY_OIDC_AUDIENCE=AUDIENCE,
        FACET_GATEWAY_OIDC_JWKS=str(folder / "jwks.json"),
    )
    yield running
    running.stop()


@pytest.fixture
def client(gateway: RunningTier) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url, timeout=30, trust_env=False) as client:
        yield client


@pytest.mark.parametrize("call", CALLS)
def test_call_wants_a_key_of_its_own_scope(client: httpx.Client, keys: dict[str, NewKey], call: str) -> None:
    for scope in Scope:
        answer = client.post(call, headers=bearer(keys[scope].text), content=b"not a picture")
        if call == f"/v1/{scope}":
            assert answer.status_code in (400, 415)  # let in, and then its content judged
        else:
            assert answer.status_code == 403
            assert answer.json()["type"] == "urn:facet:error:FORBIDDEN"
            assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("call", [*CALLS, "/v1/models"])
def test_nobody_is_let_in_without_a_key_whatever_they_ask(client: httpx.Client, call: str) -> None:
    method = "GET" if call == "/v1/models" else "POST"
    absent = client.request(method, call, params={"no-such-parameter": "1"})
    assert (absent.status_code, absent.headers["www-authenticate"]) == (401, 'Bearer realm="facet"')
    assert absent.headers["content-type"] == "application/problem+json"
    wrong = client.request(method, call, headers=bearer(make_key().text))
    assert (wrong.status_code, wrong.json()["type"]) == (401, "urn:facet:error:INVALID_CREDENTIAL")
    assert 'error="invalid_token"' in wrong.headers["www-authenticate"]


def test_two_authorization_headers_are_none(client: httpx.Client, keys: dict[str, NewKey]) -> None:
    headers = [("Authorization", f"Bearer {keys['all'].text}")] * 2
    assert client.get("/v1/models", headers=headers).status_code == 401


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/openapi.json", "/static/app.js", "/healthz", "/readyz", "/favicon.ico"]
)
def test_page_and_probes_are_open(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 200


def test_key_and_token_hide_faces(client: httpx.Client, keys: dict[str, NewKey], astronaut_jpeg: bytes) -> None:
    for credential in (keys["anonymize"].text, token("one", SIGNER, "EdDSA", scope="facet:anonymize")):
        answer = client.post("/v1/anonymize", headers=bearer(credential), content=astronaut_jpeg)
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-facet-faces"] == "1"


def test_openapi_tells_that_calls_want_a_key(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    [(name, scheme)] = document["components"]["securitySchemes"].items()
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    for scope in Scope:
        operation = document["paths"][f"/v1/{scope}"]["post"]
        assert operation["security"] == [{name: [scope]}]
        assert {"401", "403", "429"} <= operation["responses"].keys()


def test_client_that_waits_to_send_its_body_never_has_to(gateway: RunningTier) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        head = "POST /v1/detect HTTP/1.1\r\nHost: x\r\nContent-Length: 30000000\r\nExpect: 100-continue\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 401 ")


def test_body_of_a_refused_request_is_read_by_nobody_and_its_connection_serves_the_next(gateway: RunningTier) -> None:
    size = 8 * 1024 * 1024
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        connection.sendall(
            f"POST /v1/detect HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode() + b"x" * 1000
        )
        answer = connection.recv(4096)
        assert answer.startswith(b"HTTP/1.1 401 ")
        connection.sendall(b"x" * (size - 1000) + b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        rest = b""
        while b"alive" not in rest:
            received = connection.recv(4096)
            assert received
            rest += received
        assert b"HTTP/1.1 200 " in rest
    [request_id] = [
        line.partition(b": ")[2].decode() for line in answer.split(b"\r\n") if line.lower().startswith(b"x-request-id")
    ]
    logged = gateway.wait_for(of_request(request_id))
    assert (logged["code"], "caller" in logged) == (401, False)
    assert logged["request_bytes"] == 0


def test_caller_that_asks_too_often_is_told_when_to_come_back(client: httpx.Client, keys: dict[str, NewKey]) -> None:
    answers = [client.get("/v1/models", headers=bearer(keys["seldom"].text)) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
    assert answers[-1].json()["type"] == "urn:facet:error:LIMIT_REACHED"
    assert 15 <= int(answers[-1].headers["retry-after"]) <= 20
    assert client.get("/v1/models", headers=bearer(keys["all"].text)).status_code == 200


def test_caller_has_so_many_requests_at_once_and_gets_a_place_back_by_leaving(
    gateway: RunningTier, client: httpx.Client, keys: dict[str, NewKey]
) -> None:
    credential = bearer(keys["single"].text)

    def status() -> int:
        return client.get("/v1/models", headers=credential).status_code

    assert status() == 200
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as unfinished:
        head = f"POST /v1/detect HTTP/1.1\r\nHost: x\r\nAuthorization: {credential['Authorization']}\r\n"
        unfinished.sendall(f"{head}Content-Length: 1000\r\n\r\nbegun".encode())
        eventually(lambda: metrics_of(gateway)["facet_gateway_calls_in_progress"] == 1)
        assert status() == 429
    eventually(lambda: status() == 200)


def test_refusals_are_counted_by_reason_and_by_nothing_a_caller_chooses(
    gateway: RunningTier, client: httpx.Client, keys: dict[str, NewKey]
) -> None:
    def refusals() -> dict[str, float]:
        return {name: value for name, value in metrics_of(gateway).items() if "identity_refusals_total" in name}

    before = refusals()
    client.get("/v1/models")
    client.get("/v1/models", headers=bearer("made up"))
    client.post("/v1/embed", headers=bearer(keys["detect"].text))
    grown = {name: value - before[name] for name, value in refusals().items()}
    assert grown == {
        "facet_gateway_identity_refusals_total{reason=UNAUTHENTICATED}": 1,
        "facet_gateway_identity_refusals_total{reason=INVALID_CREDENTIAL}": 1,
        "facet_gateway_identity_refusals_total{reason=FORBIDDEN}": 1,
        "facet_gateway_identity_refusals_total{reason=LIMIT_REACHED}": 0,
    }


def test_log_names_callers_and_never_what_they_showed(
    gateway: RunningTier, client: httpx.Client, keys: dict[str, NewKey]
) -> None:
    expired = token("one", SIGNER, "EdDSA", exp=1)
    good = token("one", SIGNER, "EdDSA", sub='eve", "caller": "root')
    sent = [keys["all"].text, f"{keys['all'].text}x", good, expired, f"{good}x"]
    answers = [client.get("/v1/models", headers=bearer(credential)) for credential in sent]
    assert [answer.status_code for answer in answers] == [200, 401, 200, 401, 401]
    lines = [gateway.wait_for(of_request(answer.headers["x-request-id"])) for answer in answers]
    shown = [line.get("caller") for line in lines]
    assert shown == [f"key:all/{keys['all'].id}", None, 'token:eve", "caller": "root', None, None]
    told = "".join(gateway.output) + "".join(answer.text + str(answer.headers) for answer in answers)
    for credential in (*sent, *(key.text for key in keys.values())):
        parts = (credential, *(part for part in credential.replace("_", ".", 2).split(".") if len(part) > 20))
        assert [part for part in parts if part in told] == []


def test_key_is_changed_for_another_under_load_and_nobody_is_refused(
    gateway: RunningTier, folder: Path, entries: list[KeyEntry]
) -> None:
    old, new = make_key(), make_key()
    statuses: list[int] = []
    in_use = old
    done = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=gateway.url, timeout=30, trust_env=False) as asking:
            while not done.is_set():
                statuses.append(asking.post("/v1/detect", headers=bearer(in_use.text)).status_code)
                done.wait(0.005)

    old_entry, new_entry = entry(old, "newsletter"), entry(new, "newsletter")
    reloaded(gateway, lambda: publish(folder, *entries, old_entry))
    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    reloaded(gateway, lambda: publish(folder, *entries, old_entry, new_entry))
    in_use = new
    eventually(lambda: len(statuses) > 100)
    reloaded(gateway, lambda: publish(folder, *entries, new_entry))
    asked = len(statuses)
    eventually(lambda: len(statuses) > asked + 50)
    done.set()
    for asker in askers:
        asker.join()
    assert set(statuses) == {400}  # let in, without a picture
    assert httpx.get(f"{gateway.url}/v1/models", headers=bearer(old.text), trust_env=False).status_code == 401


def test_broken_file_keeps_the_keys_and_is_logged(
    gateway: RunningTier, client: httpx.Client, folder: Path, entries: list[KeyEntry], keys: dict[str, NewKey]
) -> None:
    link = publish(folder, *entries)
    pasted = make_key().text
    reloaded(gateway, lambda: link.resolve().write_text(f'[[keys]]\nsha256 = "{pasted}"'), "files not reloaded")
    assert client.get("/v1/models", headers=bearer(keys["all"].text)).status_code == 200
    told = gateway.wait_for(lambda line: line.get("event") == "files not reloaded")
    assert (told["level"], "keys.toml, line" in told["why"]) == ("error", True)
    assert pasted not in "".join(gateway.output)


def test_gateway_that_everyone_could_reach_does_not_start() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "gateway"],
        env={**os.environ, "FACET_HOST": "0.0.0.0"},  # noqa: S104
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 1
    assert "FACET_GATEWAY_KEYS" in ended.stderr
    assert "Traceback" not in ended.stderr

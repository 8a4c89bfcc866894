"""Whatever opens a connection does so where all its options are, read from the source: none can be forgotten."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import REPOSITORY

PRODUCT = ("services", "gateway", "cli", "client")
CHANNELS = "services/chassis/rpc/channels.py"
COLLECTOR = "services/chassis/process/otlp.py"
THROUGH_PROXIES = {"gateway/identity/jwks.py": "public keys", "services/chassis/models/pull.py": "weights"}
"""Who may go through a proxy that the environment names, and for what: for no picture."""
HTTP_CALLS = {"AsyncClient", "Client", "delete", "get", "head", "options", "patch", "post", "put", "request", "stream"}
OTHER_CLIENTS = {"aiohttp", "http.client", "requests", "urllib.request", "urllib3"}


def files() -> Iterator[tuple[str, ast.Module]]:
    for part in PRODUCT:
        for path in sorted((REPOSITORY / part).rglob("*.py")):
            yield str(path.relative_to(REPOSITORY)), ast.parse(path.read_text())


def calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """Every call, with what is called, as it is written."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def test_channels_are_opened_in_one_place() -> None:
    opened = {
        path
        for path, tree in files()
        for name, _ in calls(tree)
        if name.rpartition(".")[2] in {"insecure_channel", "secure_channel"}
    }
    assert opened == {CHANNELS}


def test_channel_to_the_collector_of_traces_passes_by_proxies() -> None:
    [(path, call)] = [
        (path, call) for path, tree in files() for name, call in calls(tree) if name.endswith("SpanExporter")
    ]
    assert path == COLLECTOR
    assert {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords} == {"channel_options": "DIRECT"}


def test_http_clients_say_whether_they_use_proxies_of_the_environment() -> None:
    said = {
        (path, next((ast.unparse(word.value) for word in call.keywords if word.arg == "trust_env"), "nothing"))
        for path, tree in files()
        for name, call in calls(tree)
        if name.startswith("httpx.") and name.removeprefix("httpx.") in HTTP_CALLS
    }
    assert {path for path, trusts in said if trusts != "False"} == set(THROUGH_PROXIES)
    assert {trusts for _, trusts in said} == {"True", "False"}


@pytest.mark.parametrize("name", sorted(OTHER_CLIENTS))
def test_no_other_http_client_is_used(name: str) -> None:
    users = [path for path, tree in files() if name in _imports(tree)]
    assert users == []


def _imports(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def test_every_file_of_the_product_is_looked_at() -> None:
    assert Path(CHANNELS).as_posix() in dict(files())

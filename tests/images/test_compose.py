"""compose.yaml, brought up by podman-compose."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
import yaml

from tests.images.podman import inspected
from tests.support.processes import REPOSITORY

TIERS = ("detector", "embedder", "anonymizer", "gateway")
READY_S = 180.0
POLL_S = 1.0


@pytest.fixture(scope="module")
def project(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The project's name; all of it is up, its weights from a folder, its page at FACET_GATEWAY_PORT."""
    name = f"facet-compose-{os.getpid()}"
    lent = {"environment": {"FACET_MODELS_MIRROR": "/mirror"}, "volumes": [f"{mirror}:/mirror:ro"]}
    override = tmp_path_factory.mktemp("compose") / "mirror.yaml"
    override.write_text(yaml.safe_dump({"services": {"weights": lent}}))
    podman_compose = str(Path(sys.executable).with_name("podman-compose"))
    command = [podman_compose, "-p", name, "-f", "compose.yaml", "-f", str(override)]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACET_GATEWAY_PORT", port)
        try:
            subprocess.run([*command, "up", "--detach"], check=True, cwd=REPOSITORY)
            yield name
        finally:
            subprocess.run([*command, "down", "--volumes"], check=True, cwd=REPOSITORY)


def test_every_tier_becomes_healthy_and_a_picture_is_anonymized(project: str, astronaut_jpeg: bytes) -> None:
    waiting = {f"{project}_{tier}_1" for tier in TIERS}
    until = time.monotonic() + READY_S
    while waiting := {name for name in waiting if not _is_healthy(name)}:
        assert time.monotonic() < until, f"not healthy: {waiting}"
        time.sleep(POLL_S)

    url = f"http://127.0.0.1:{os.environ['FACET_GATEWAY_PORT']}/v1/anonymize?verify=true"
    with urlopen(Request(url, data=astronaut_jpeg)) as answer:
        assert answer.headers["X-Facet-Faces"] == "1"
        assert answer.read() != astronaut_jpeg
    assert inspected(f"{project}_weights_1")["State"]["ExitCode"] == 0


def _is_healthy(name: str) -> bool:
    """By the container's own check, run now: podman alone, without systemd, runs none by itself."""
    return subprocess.run(["podman", "healthcheck", "run", name], check=False, capture_output=True).returncode == 0

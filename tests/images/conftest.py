"""The images, built once, and a running stack of them with weights in a volume."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.chassis.models.store import ModelState, ModelStore
from services.chassis.process.settings import ModelSettings
from tests.images.base import provide_base
from tests.images.building import build_images, image_of
from tests.images.manifests import TIERS, memory_limit
from tests.images.podman import Container, configure, podman, run_once, start

START_TIMEOUT_S = 120.0
POLL_S = 0.1
PORTS = {"detector": 50051, "embedder": 50052, "anonymizer": 50053, "gateway": 8080}
WEIGHTS = {"detector": "blazeface-full", "embedder": "mobilefacenet"}
MODELS_DIR = "/var/lib/facet/models"
_NETWORK = f"facet-images-{os.getpid()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningImage:
    """One tier's container, and how its start went."""

    tier: str
    container: Container
    ready_after_s: float

    @property
    def target(self) -> str:
        """Address and port."""
        return f"{self.container.address}:{PORTS[self.tier]}"


@pytest.fixture(scope="session", autouse=True)
def images() -> None:
    """All four, up to date with the working tree."""
    if shutil.which("podman") is None or os.geteuid() != 0:
        pytest.skip("needs podman, run by root")
    configure()
    provide_base()
    build_images()


@pytest.fixture(scope="session")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of weights by file name, as an air-gapped site has it."""
    store, folder = ModelStore(ModelSettings()), tmp_path_factory.mktemp("mirror")
    for name in WEIGHTS.values():
        if store.state(name) is not ModelState.INSTALLED:
            pytest.skip(f"needs the weights of {name}: run `facet models pull {name}`")
        shutil.copy(store.path(name), folder)
    folder.chmod(0o755)
    return folder


@pytest.fixture(scope="session")
def network() -> Iterator[str]:
    """A network of the containers' own; a container's name is its host name."""
    podman("network", "create", _NETWORK)
    yield _NETWORK
    podman("network", "rm", "--force", _NETWORK)


@pytest.fixture(scope="session")
def weights(mirror: Path) -> Iterator[dict[str, str]]:
    """Of each tier that needs weights, the volume that `facet models pull` of its own image has filled."""
    volumes = {tier: f"facet-images-{tier}-{os.getpid()}" for tier in WEIGHTS}
    for tier, name in WEIGHTS.items():
        run_once(
            image_of(tier),
            *("facet", "models", "pull", name),
            environment={"FACET_MODELS_MIRROR": "/mirror"},
            volumes=[f"{mirror}:/mirror:ro", f"{volumes[tier]}:{MODELS_DIR}"],
        )
    yield volumes
    podman("volume", "rm", "--force", *volumes.values())


@pytest.fixture(scope="session")
def running(network: str, weights: dict[str, str]) -> Iterator[dict[str, RunningImage]]:
    """All four tiers, ready."""
    started: dict[str, RunningImage] = {}
    try:
        for tier in TIERS:
            started[tier] = _start(tier, network, weights)
        yield started
    finally:
        podman("rm", "--force", "--ignore", "--time", "0", *TIERS)


def _start(tier: str, network: str, weights: dict[str, str]) -> RunningImage:
    environment = {"FACET_GATEWAY_ALLOW_ANONYMOUS": "true"}
    environment |= {f"FACET_{name.upper()}_TARGET": f"dns:///{name}:{PORTS[name]}" for name in TIERS[:-1]}
    begun = time.monotonic()
    container = start(
        image_of(tier),
        name=tier,
        network=network,
        memory=memory_limit(tier),
        environment=environment if tier == "gateway" else {},
        volumes=[f"{weights[tier]}:{MODELS_DIR}:ro"] if tier in weights else [],
    )
    wait_until_ready(tier, f"{container.address}:{PORTS[tier]}")
    return RunningImage(tier=tier, container=container, ready_after_s=time.monotonic() - begun)


def wait_until_ready(tier: str, target: str) -> None:
    """Returns when the tier says of itself that it is ready."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while not is_ready(tier, target):
        if time.monotonic() > deadline:
            pytest.fail(f"the {tier} at {target} is not ready after {START_TIMEOUT_S:.0f} s")
        time.sleep(POLL_S)


def is_ready(tier: str, target: str) -> bool:
    """What Kubernetes' readiness probe would find."""
    if tier == "gateway":
        try:
            return bool(urlopen(f"http://{target}/readyz", timeout=5).status == 200)
        except (URLError, OSError):
            return False
    with grpc.insecure_channel(target) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service=f"facet.v1.{tier.capitalize()}Service")
        try:
            return bool(health.Check(request, timeout=5).status == health_pb2.HealthCheckResponse.SERVING)
        except grpc.RpcError:
            return False

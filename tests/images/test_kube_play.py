"""The development overlay's own manifests, run by `podman kube play`."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import yaml

from tests.images.conftest import PORTS, wait_until_ready
from tests.images.manifests import TIERS, Manifest, config_maps, workload
from tests.images.podman import USER, Container, inspected, podman

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """What podman made of one workload."""

    tier: str

    @property
    def container(self) -> Container:
        """The tier's own."""
        return Container(name=f"{self.tier}-pod-0-{self.tier}")

    @property
    def target(self) -> str:
        """Address and port."""
        infra = podman("pod", "inspect", f"{self.tier}-pod-0", "--format", "{{.InfraContainerID}}").strip()
        return f"{Container(name=infra).address}:{PORTS[self.tier]}"


@pytest.fixture(scope="module")
def played(network: str, mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Pod]]:
    """The containers of all four workloads, each found under the name of its Service."""
    folder = tmp_path_factory.mktemp("manifests")
    files = {tier: folder / f"{tier}.yaml" for tier in TIERS}
    pods = {}
    try:
        for tier, file in files.items():
            file.write_text(yaml.safe_dump_all([*config_maps(), *playable(workload(tier), mirror)]))
            podman("kube", "play", "--network", f"{network}:alias={tier}", str(file), timeout_s=300)
            pods[tier] = Pod(tier=tier)
        yield pods
    finally:
        for tier, file in files.items():
            if file.exists():
                podman("kube", "down", str(file), timeout_s=300)
                podman("volume", "rm", "--force", f"{tier}-weights")


def playable(manifest: Manifest, mirror: Path) -> list[Manifest]:
    """What podman takes: Deployments, weights in a claim, no gRPC probes, no ports that it would open on the host.

    Init containers get a mirror, as there may be no network to pull from. They run again and again unless nothing does.
    """
    deployment: Any = deepcopy(manifest) | {"kind": "Deployment"}
    tier, pod = deployment["metadata"]["name"], deployment["spec"]["template"]["spec"]
    claim = {"claimName": f"{tier}-weights"}
    pod["restartPolicy"] = "Never"
    pod["volumes"] = [{"name": "weights", "persistentVolumeClaim": claim}] if "initContainers" in pod else []
    for container in pod["containers"]:
        for key in ("ports", "startupProbe", "readinessProbe", "livenessProbe"):
            del container[key]
    for container in pod.get("initContainers", []):
        container.setdefault("env", []).append({"name": "FACET_MODELS_MIRROR", "value": "/mirror"})
        container["volumeMounts"].append({"name": "mirror", "mountPath": "/mirror", "readOnly": True})
        pod["volumes"].append({"name": "mirror", "hostPath": {"path": str(mirror), "type": "Directory"}})
    claimed = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": claim["claimName"], "annotations": {"volume.podman.io/uid": str(USER)}},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    return [claimed, deployment] if pod["volumes"] else [deployment]


@pytest.mark.parametrize("tier", TIERS)
def test_every_workload_becomes_ready(tier: str, played: dict[str, Pod]) -> None:
    wait_until_ready(tier, played[tier].target)


@pytest.mark.parametrize("tier", TIERS)
def test_the_manifests_restrictions_hold(tier: str, played: dict[str, Pod]) -> None:
    container = played[tier].container
    host = inspected(container.name)["HostConfig"]

    assert container.process["Uid"].split() == [str(USER)] * 4
    assert int(container.process["CapEff"], 16) == 0
    assert container.process["NoNewPrivs"] == "1"
    assert host["ReadonlyRootfs"]
    assert host["Memory"] > 256 * MIB


def test_a_picture_is_anonymized_through_all_pods(played: dict[str, Pod], astronaut_jpeg: bytes) -> None:
    for tier, pod in played.items():
        wait_until_ready(tier, pod.target)
    with urlopen(Request(f"http://{played['gateway'].target}/v1/anonymize?verify=true", data=astronaut_jpeg)) as answer:
        hidden = answer.read()

    assert answer.headers["X-Facet-Faces"] == "1"
    assert hidden != astronaut_jpeg

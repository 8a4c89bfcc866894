"""The development overlay as `kubectl kustomize` renders it, and what of it podman can run."""

from __future__ import annotations

import subprocess
from functools import cache
from typing import Any

import yaml

from tests.support.processes import REPOSITORY

Manifest = dict[str, Any]
TIERS = ("detector", "embedder", "anonymizer", "gateway")


@cache
def rendered() -> tuple[Manifest, ...]:
    """All objects of k8s/overlays/dev."""
    command = ["kubectl", "kustomize", str(REPOSITORY / "k8s/overlays/dev")]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return tuple(yaml.safe_load_all(output))


def workload(tier: str) -> Manifest:
    """The tier's Deployment or StatefulSet."""
    (found,) = (m for m in rendered() if m["kind"] in ("Deployment", "StatefulSet") and m["metadata"]["name"] == tier)
    return found


def memory_limit(tier: str) -> str:
    """Of the tier's container, as podman takes it."""
    (container,) = workload(tier)["spec"]["template"]["spec"]["containers"]
    return str(container["resources"]["limits"]["memory"]).removesuffix("i").lower()


def config_maps() -> tuple[Manifest, ...]:
    """All settings."""
    return tuple(m for m in rendered() if m["kind"] == "ConfigMap")

"""Renders an overlay, with components added or left out, as `kubectl apply -k` would."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import yaml

from tests.k8s.manifests import Manifests
from tests.support.processes import REPOSITORY

K8S = REPOSITORY / "k8s"
OVERLAYS = tuple(sorted(path.parent.name for path in (K8S / "overlays").glob("*/kustomization.yaml")))
COMPONENTS = tuple(sorted(path.parent.name for path in (K8S / "components").glob("*/kustomization.yaml")))


def kubectl(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs kubectl without any cluster.

    Raises:
        RuntimeError: There is none.
    """
    if shutil.which("kubectl") is None:
        raise RuntimeError("no kubectl on PATH: `make k8s-check` fetches one")
    environment = os.environ | {"KUBECONFIG": os.devnull}
    return subprocess.run(["kubectl", *arguments], env=environment, capture_output=True, text=True, check=False)


def included(overlay: str) -> frozenset[str]:
    """The components that an overlay has of its own."""
    kustomization = yaml.safe_load((K8S / "overlays" / overlay / "kustomization.yaml").read_text())
    return frozenset(Path(folder).name for folder in kustomization.get("components", []))


@cache
def render(overlay: str, components: frozenset[str]) -> Manifests:
    """The overlay with exactly these components. Not to be changed: it is shared between callers.

    Raises:
        RuntimeError: `kubectl` cannot render it; its own words.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "k8s"
        shutil.copytree(K8S, copy)
        file = copy / "overlays" / overlay / "kustomization.yaml"
        kustomization = yaml.safe_load(file.read_text())
        kustomization["components"] = [f"../../components/{name}" for name in sorted(components)]
        file.write_text(yaml.safe_dump(kustomization))
        done = kubectl("kustomize", str(file.parent))
    if done.returncode != 0 or done.stderr:
        raise RuntimeError(f"overlay {overlay} with {', '.join(sorted(components)) or 'no component'}: {done.stderr}")
    return Manifests(resources=tuple(yaml.load_all(done.stdout, Loader=yaml.CSafeLoader)))

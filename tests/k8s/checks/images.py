"""Images are Facet's own, of this release, the right one for each tier."""

from __future__ import annotations

import re
from collections.abc import Iterator

from services.chassis.version import facet_version
from tests.k8s.manifests import TIERS, Finding, Manifests

_IMAGE = re.compile(rf"facet/(?P<tier>{'|'.join(TIERS)}):{re.escape(facet_version())}(-(?P<variant>\w+))?")
_VARIANTS = {None: TIERS, "cuda": ("embedder",), "retinaface": ("detector",)}


def images_are_of_this_release(manifests: Manifests) -> Iterator[Finding]:
    """`facet/<tier>` with the release as its tag; a tag that moves would start different things on different days."""
    for container in manifests.containers:
        image = _IMAGE.fullmatch(container.spec["image"])
        if image is None:
            yield Finding(
                where=container.title, problem=f"{container.spec['image']} is no facet/<tier> of this release"
            )
        elif image["tier"] not in _VARIANTS.get(image["variant"], ()):
            yield Finding(where=container.title, problem=f"there is no {container.spec['image']}")


def tiers_run_their_own_image(manifests: Manifests) -> Iterator[Finding]:
    """A tier's pods, its model download too, run that tier's image."""
    for workload in manifests.workloads:
        for container in workload.containers:
            image = _IMAGE.fullmatch(container.spec["image"])
            if workload.tier and image and image["tier"] != workload.tier:
                yield Finding(where=container.title, problem=f"runs {container.spec['image']} as {workload.tier}")


def gpus_and_cuda_go_together(manifests: Manifests) -> Iterator[Finding]:
    """Whoever asks for a GPU runs the image that can use one, and the other way round."""
    for workload in manifests.workloads:
        for container in workload.containers:
            has_gpu = "nvidia.com/gpu" in container.spec.get("resources", {}).get("limits", {})
            if has_gpu != container.spec["image"].endswith("-cuda") and not container.is_init:
                yield Finding(where=container.title, problem="a GPU limit and a -cuda image must come together")


def retinaface_and_its_image_go_together(manifests: Manifests) -> Iterator[Finding]:
    """A detector that is to serve RetinaFace runs the image that has it, and no other does."""
    for workload, container in manifests.tier_containers:
        model = manifests.environment(container).get("FACET_DETECTOR_MODEL", "")
        if workload.tier == "detector" and model.startswith("retinaface") != container.spec["image"].endswith(
            "-retinaface"
        ):
            yield Finding(where=container.title, problem=f"{container.spec['image']} is not the image for {model}")

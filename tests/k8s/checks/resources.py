"""Every container says what it needs and what it may take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal, InvalidOperation

from tests.k8s.manifests import Finding, Manifests, strings_in

_NEEDED = ("cpu", "memory", "ephemeral-storage")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {f"{letter}i": power for power, letter in enumerate("KMGTPE", start=1)}


def quantity(value: str | int) -> Decimal:
    """The number that a Kubernetes quantity such as `500m`, `2Gi` or 1 means.

    Raises:
        ValueError: It means none.
    """
    text = str(value)
    digits = text.rstrip("inumkKMGTPE")
    suffix = text[len(digits) :]
    try:
        number = Decimal(digits)
    except InvalidOperation:
        raise ValueError(f"{text} is no quantity") from None
    if suffix in _BINARY:
        return number * Decimal(1024) ** _BINARY[suffix]
    if suffix in _DECIMAL:
        return number.scaleb(_DECIMAL[suffix])
    raise ValueError(f"{text} is no quantity: there is no suffix {suffix}")


def containers_have_requests_and_limits(manifests: Manifests) -> Iterator[Finding]:
    """Processor, memory and disk of every container are known to the scheduler and bounded."""
    for container in manifests.containers:
        for part in ("requests", "limits"):
            given = container.spec.get("resources", {}).get(part, {})
            for name in _NEEDED:
                if name not in given:
                    yield Finding(where=container.title, problem=f"give it {name} in resources.{part}")


def quantities_parse(manifests: Manifests) -> Iterator[Finding]:
    """Every amount of a container, claim or scratch volume is a quantity."""
    for workload in manifests.workloads:
        parts = [
            *(container.spec.get("resources", {}) for container in workload.containers),
            *(claim["spec"]["resources"] for claim in workload.spec.get("volumeClaimTemplates", [])),
            *(
                volume["emptyDir"].get("sizeLimit", "0")
                for volume in workload.pod.get("volumes", [])
                if "emptyDir" in volume
            ),
        ]
        for text in strings_in(parts):
            try:
                quantity(text)
            except ValueError as error:
                yield Finding(where=workload.title, problem=str(error))


def requests_fit_limits(manifests: Manifests) -> Iterator[Finding]:
    """Nothing is asked for beyond what may be taken, and a GPU is not shared by asking for less than the limit."""
    for container in manifests.containers:
        resources = container.spec.get("resources", {})
        requests, limits = resources.get("requests", {}), resources.get("limits", {})
        for name in requests.keys() & limits.keys():
            with suppress(ValueError):  # told by quantities_parse
                if quantity(requests[name]) > quantity(limits[name]):
                    yield Finding(where=container.title, problem=f"requests more {name} than its limit")
        if limits.get("nvidia.com/gpu") != requests.get("nvidia.com/gpu", limits.get("nvidia.com/gpu")):
            yield Finding(where=container.title, problem="requests and limits of nvidia.com/gpu must be the same")


def scratch_volumes_are_bounded(manifests: Manifests) -> Iterator[Finding]:
    """An emptyDir has a size, or one pod can fill the node's disk or memory."""
    for workload in manifests.workloads:
        for volume in workload.pod.get("volumes", []):
            if "emptyDir" in volume and "sizeLimit" not in (volume["emptyDir"] or {}):
                yield Finding(where=workload.title, problem=f"give the volume {volume['name']} a sizeLimit")

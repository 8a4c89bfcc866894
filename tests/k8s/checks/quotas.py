"""A quota leaves room for what the autoscalers and a rollout may ask for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal

from tests.k8s.checks.resources import quantity
from tests.k8s.checks.scaling import most_replicas
from tests.k8s.manifests import Finding, Manifests, Workload, title


def quotas_have_room(manifests: Manifests) -> Iterator[Finding]:
    """Every workload at its most replicas, and one more of each Deployment while it rolls out, fits the quota."""
    needed: defaultdict[str, Decimal] = defaultdict(Decimal)
    for workload in manifests.workloads:
        pods = most_replicas(manifests, workload) + (workload.kind == "Deployment")
        for name, amount in _of_one_pod(workload).items():
            needed[name] += pods * amount
    needed["persistentvolumeclaims"] += len(manifests.of_kind("PersistentVolumeClaim"))
    for quota in manifests.of_kind("ResourceQuota"):
        for name, hard in quota["spec"]["hard"].items():
            if needed[name] > quantity(hard):
                most = f"{needed[name] / 2**30:.0f}Gi" if needed[name] > 2**30 else str(needed[name])
                yield Finding(where=title(quota), problem=f"{name} is {hard}, but {most} may be needed")


def _of_one_pod(workload: Workload) -> dict[str, Decimal]:
    """What a quota counts of one pod: its containers together, or the largest that runs before them if that is more."""
    amounts = defaultdict(Decimal, {"pods": Decimal(1)})
    amounts["persistentvolumeclaims"] += len(workload.spec.get("volumeClaimTemplates", []))
    for container in sorted(workload.containers, key=lambda container: container.is_init):
        for part, given in container.spec.get("resources", {}).items():
            for name, value in given.items():
                key = f"{part}.{name}"
                with suppress(ValueError):  # told by resources.quantities_parse
                    of_this = quantity(value)
                    amounts[key] = max(amounts[key], of_this) if container.is_init else amounts[key] + of_this
    return amounts

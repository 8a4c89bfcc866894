"""Rollouts lose no call: a replica is added before one goes, and one that goes has the time to finish."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import ValidationError

from tests.k8s.checks.settings import load
from tests.k8s.manifests import Finding, Manifests, Resource


def the_grace_period_covers_a_graceful_stop(manifests: Manifests) -> Iterator[Finding]:
    """Kubernetes kills no process that is still draining or finishing its calls."""
    for workload, container in manifests.tier_containers:
        try:
            shared = load(str(workload.tier), manifests.environment(container)).shared
        except ValidationError:
            continue  # told by settings.values_are_accepted
        needed_s = _pre_stop_s(container.spec) + shared.drain_s + shared.grace_s
        granted_s = workload.pod.get("terminationGracePeriodSeconds", 30)
        if granted_s <= needed_s:
            yield Finding(
                where=workload.title,
                problem=f"terminationGracePeriodSeconds is {granted_s}; preStop, FACET_DRAIN_S and FACET_GRACE_S "
                f"take {needed_s:g}",
            )


def rollouts_take_no_replica_first(manifests: Manifests) -> Iterator[Finding]:
    """A Deployment starts a new pod before it stops an old one; a StatefulSet cannot."""
    for workload in manifests.workloads:
        if workload.kind != "Deployment":
            continue
        rolling = workload.spec.get("strategy", {}).get("rollingUpdate", {})
        if rolling.get("maxUnavailable") != 0:
            yield Finding(where=workload.title, problem="set strategy.rollingUpdate.maxUnavailable: 0")


def _pre_stop_s(container: Resource) -> float:
    sleep = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {})
    return float(sleep.get("seconds", 0))

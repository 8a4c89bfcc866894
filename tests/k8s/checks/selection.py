"""Selectors select what they are meant to, and labels are the agreed ones."""

from __future__ import annotations

from collections.abc import Iterator

from services.chassis.version import facet_version
from tests.k8s.manifests import INSTANCE, NAME, Finding, Manifests, matches, title


def workloads_select_their_own_pods(manifests: Manifests) -> Iterator[Finding]:
    """A selector matches the labels of the pods made from the template beside it, by name and instance alone."""
    for workload in manifests.workloads:
        if not workload.serves:
            continue
        selector = workload.spec["selector"]
        if not matches(selector, workload.labels):
            yield Finding(where=workload.title, problem=f"its selector {selector} misses its pods {workload.labels}")
        if selector.get("matchLabels", {}).keys() != {NAME, INSTANCE}:
            yield Finding(where=workload.title, problem=f"select by {NAME} and {INSTANCE} alone: it can never change")


def no_two_workloads_select_the_same_pods(manifests: Manifests) -> Iterator[Finding]:
    """A canary is not a pod of the stable workload, or the two would delete each other's."""
    serving = [workload for workload in manifests.workloads if workload.serves]
    for workload in serving:
        for other in serving:
            if other is not workload and matches(workload.spec["selector"], other.labels):
                yield Finding(where=workload.title, problem=f"also selects the pods of {other.title}")


def services_select_pods(manifests: Manifests) -> Iterator[Finding]:
    """Every Service selects pods that serve."""
    for service in manifests.of_kind("Service"):
        if not any(workload.serves for workload in manifests.selected_by(service)):
            selector = service["spec"].get("selector")
            yield Finding(where=title(service), problem=f"no pod has the labels it selects: {selector}")


def tiers_are_behind_their_service(manifests: Manifests) -> Iterator[Finding]:
    """Every pod of a tier, a canary too, is behind the Service of that tier; behind a headless one where it is gRPC."""
    for workload in manifests.workloads:
        if workload.tier is None:
            continue
        service = manifests.find("Service", workload.tier)
        if service is None or workload not in manifests.selected_by(service):
            yield Finding(where=workload.title, problem=f"Service/{workload.tier} does not select its pods")
        elif workload.tier != "gateway" and service["spec"].get("clusterIP") != "None":
            yield Finding(
                where=title(service),
                problem="a cluster IP pins each connection to one replica; set clusterIP: None",
            )
        if workload.kind == "StatefulSet" and workload.spec["serviceName"] != workload.tier:
            yield Finding(where=workload.title, problem=f"serviceName must be {workload.tier}, its headless Service")


def pods_have_the_agreed_labels(manifests: Manifests) -> Iterator[Finding]:
    """Pods tell whose they are and of which release, for selectors, dashboards and people."""
    agreed = {"app.kubernetes.io/part-of": "facet", "app.kubernetes.io/version": facet_version()}
    for workload in manifests.workloads:
        for name in (NAME, INSTANCE):
            if name not in workload.labels:
                yield Finding(where=workload.title, problem=f"its pods have no label {name}")
        for name, value in agreed.items():
            if workload.labels.get(name) != value:
                yield Finding(where=workload.title, problem=f"its pods need the label {name}: {value}")


def replicas_spread_from_their_own_kind(manifests: Manifests) -> Iterator[Finding]:
    """Constraints that keep replicas apart count the pods they are written at."""
    for workload in manifests.workloads:
        for constraint in workload.pod.get("topologySpreadConstraints", []):
            if not matches(constraint.get("labelSelector", {"matchLabels": {"": ""}}), workload.labels):
                yield Finding(where=workload.title, problem="topologySpreadConstraints do not select its own pods")
            for key in constraint.get("matchLabelKeys", []):
                if key not in (*workload.labels, "pod-template-hash", "controller-revision-hash"):
                    yield Finding(where=workload.title, problem=f"topologySpreadConstraints: its pods have no {key}")

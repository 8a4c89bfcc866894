"""Autoscalers and disruption budgets act on what exists, and do not stand in each other's way."""

from __future__ import annotations

from collections.abc import Iterator

from tests.k8s.manifests import Finding, Manifests, Resource, Workload, matches, title


def autoscalers_have_a_target(manifests: Manifests) -> Iterator[Finding]:
    """An autoscaler names a workload by its kind, name and version, speaks autoscaling/v2, and has a range."""
    for scaler in _autoscalers(manifests):
        spec = scaler["spec"]
        if scaler["apiVersion"] != "autoscaling/v2":
            yield Finding(where=title(scaler), problem=f"is {scaler['apiVersion']}; use autoscaling/v2")
        reference = spec["scaleTargetRef"]
        target = manifests.find(reference["kind"], reference["name"])
        if target is None or target["apiVersion"] != reference.get("apiVersion"):
            wanted = f"{reference.get('apiVersion')} {reference['kind']}/{reference['name']}"
            yield Finding(where=title(scaler), problem=f"its target {wanted} does not exist")
        if not 1 <= spec.get("minReplicas", 1) < spec["maxReplicas"]:
            yield Finding(where=title(scaler), problem="minReplicas must be below maxReplicas")


def utilisation_has_requests_to_compare_with(manifests: Manifests) -> Iterator[Finding]:
    """A share of processor or memory is a share of the request, of every container."""
    for scaler in _autoscalers(manifests):
        target = _target(manifests, scaler)
        for metric in scaler["spec"].get("metrics", []):
            measured = metric.get("resource") or metric.get("containerResource")
            if target is None or measured is None or "averageUtilization" not in measured["target"]:
                continue
            for container in target.containers:
                wanted = container.name == measured.get("container", container.name) and not container.is_init
                requests = container.spec.get("resources", {}).get("requests", {})
                if wanted and measured["name"] not in requests:
                    yield Finding(
                        where=title(scaler),
                        problem=f"scales by {measured['name']}, which {container.title} does not request",
                    )


def autoscaled_workloads_leave_their_replicas_open(manifests: Manifests) -> Iterator[Finding]:
    """Where an autoscaler decides, the manifest does not, or every `kubectl apply` undoes the scaling."""
    for scaler in _autoscalers(manifests):
        target = _target(manifests, scaler)
        if target is not None and "replicas" in target.spec:
            yield Finding(where=target.title, problem=f"remove replicas: {title(scaler)} sets them")


def no_workload_has_two_autoscalers(manifests: Manifests) -> Iterator[Finding]:
    """Two would work against each other."""
    targets = [
        (s["spec"]["scaleTargetRef"]["kind"], s["spec"]["scaleTargetRef"]["name"]) for s in _autoscalers(manifests)
    ]
    for kind, name in sorted({target for target in targets if targets.count(target) > 1}):
        yield Finding(where=f"{kind}/{name}", problem="has two autoscalers")


def budgets_protect_pods_and_let_nodes_drain(manifests: Manifests) -> Iterator[Finding]:
    """A disruption budget selects the pods of exactly one workload and always allows one eviction."""
    for budget in manifests.of_kind("PodDisruptionBudget"):
        spec = budget["spec"]
        chosen = [w for w in manifests.workloads if w.serves and matches(spec["selector"], w.labels)]
        if len(chosen) != 1:
            names = ", ".join(w.title for w in chosen) or "nothing"
            yield Finding(where=title(budget), problem=f"selects {names}; it must select one workload")
        for workload in chosen:
            replicas = _fewest_replicas(manifests, workload)
            if not _allows_an_eviction(spec, replicas):
                yield Finding(
                    where=title(budget),
                    problem=f"with {replicas} of {workload.title} no node can ever be drained; use maxUnavailable: 1",
                )


def tiers_have_a_budget(manifests: Manifests) -> Iterator[Finding]:
    """A drained node takes one replica of a tier at a time."""
    for workload in manifests.workloads:
        if workload.tier and workload.labels.get("app.kubernetes.io/instance") == "stable":
            budgets = manifests.of_kind("PodDisruptionBudget")
            if not any(matches(budget["spec"]["selector"], workload.labels) for budget in budgets):
                yield Finding(where=workload.title, problem="no PodDisruptionBudget selects its pods")


def most_replicas(manifests: Manifests, workload: Workload) -> int:
    """How many pods a workload may have."""
    scaler = _autoscaler(manifests, workload)
    return int(scaler["spec"]["maxReplicas"] if scaler else _fixed_replicas(workload))


def _fewest_replicas(manifests: Manifests, workload: Workload) -> int:
    scaler = _autoscaler(manifests, workload)
    return int(scaler["spec"].get("minReplicas", 1) if scaler else _fixed_replicas(workload))


def _fixed_replicas(workload: Workload) -> int:
    job = workload.spec["jobTemplate"]["spec"] if workload.kind == "CronJob" else workload.spec
    return int(job.get("replicas", job.get("parallelism", 1)))


def _autoscaler(manifests: Manifests, workload: Workload) -> Resource | None:
    return next((s for s in _autoscalers(manifests) if _target(manifests, s) == workload), None)


def _allows_an_eviction(budget: Resource, replicas: int) -> bool:
    if "maxUnavailable" in budget:
        return budget["maxUnavailable"] not in (0, "0%")
    at_least = budget["minAvailable"]
    # Kubernetes rounds a share up.
    kept = -(-replicas * int(at_least[:-1]) // 100) if isinstance(at_least, str) else int(at_least)
    return kept < replicas


def _autoscalers(manifests: Manifests) -> list[Resource]:
    return manifests.of_kind("HorizontalPodAutoscaler")


def _target(manifests: Manifests, scaler: Resource) -> Workload | None:
    reference = scaler["spec"]["scaleTargetRef"]
    resource = manifests.find(reference["kind"], reference["name"])
    return None if resource is None else Workload(resource=resource)

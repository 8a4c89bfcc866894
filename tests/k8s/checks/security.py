"""Pods are as restricted as Kubernetes can make them: Pod Security `restricted`, and more."""

from __future__ import annotations

from collections.abc import Iterator

from tests.k8s.manifests import Finding, Manifests

USER = 10001
"""The user and group of all images."""
_RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": USER,
    "runAsGroup": USER,
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
_HOST = ("hostNetwork", "hostPID", "hostIPC")


def containers_are_restricted(manifests: Manifests) -> Iterator[Finding]:
    """No root, no new privileges, no capability, a read-only root, the runtime's system call filter."""
    for workload in manifests.workloads:
        pod = workload.pod.get("securityContext", {})
        for container in workload.containers:
            effective = pod | container.spec.get("securityContext", {})
            for name, value in _RESTRICTED.items():
                if effective.get(name) != value:
                    yield Finding(where=container.title, problem=f"set securityContext.{name} to {value}")
            if effective.get("privileged"):
                yield Finding(where=container.title, problem="must not be privileged")


def pods_share_nothing_of_their_node(manifests: Manifests) -> Iterator[Finding]:
    """No namespace, port or folder of the host."""
    for workload in manifests.workloads:
        for name in _HOST:
            if workload.pod.get(name):
                yield Finding(where=workload.title, problem=f"must not have {name}")
        for volume in workload.pod.get("volumes", []):
            if "hostPath" in volume:
                yield Finding(where=workload.title, problem=f"the volume {volume['name']} is a folder of the host")
        for container in workload.containers:
            for port in container.ports:
                if "hostPort" in port:
                    yield Finding(where=container.title, problem=f"takes the port {port['hostPort']} of the host")


def pods_have_no_token(manifests: Manifests) -> Iterator[Finding]:
    """No pod talks to the API server, so none holds a token for it, its own account's least of all."""
    for workload in manifests.workloads:
        name = workload.pod.get("serviceAccountName", "default")
        account = manifests.find("ServiceAccount", name) or {}
        mounts = workload.pod.get("automountServiceAccountToken", account.get("automountServiceAccountToken", True))
        if mounts:
            yield Finding(where=workload.title, problem="set automountServiceAccountToken: false")
        if name == "default":
            yield Finding(where=workload.title, problem="give it a ServiceAccount of its own")


def the_namespace_enforces_it(manifests: Manifests) -> Iterator[Finding]:
    """The cluster itself refuses a pod that is less restricted."""
    for namespace in manifests.of_kind("Namespace"):
        label = "pod-security.kubernetes.io/enforce"
        if namespace["metadata"].get("labels", {}).get(label) != "restricted":
            where = f"Namespace/{namespace['metadata']['name']}"
            yield Finding(where=where, problem=f"set the label {label}: restricted")

"""What an object names exists: accounts, settings, Secrets, volumes."""

from __future__ import annotations

from collections.abc import Iterator

from tests.k8s.manifests import Finding, Manifests, Resource, Workload, title

SECRETS_FROM_OUTSIDE = frozenset(
    {
        "facet-api-keys",  # the owner's keys; a repository is no place for them
        "facet-batch-key",  # one of those keys
        "facet-web-tls",  # the certificate of the site, from cert-manager or the owner
    }
)
"""Secrets that no manifest makes, on purpose."""


def referenced_objects_exist(manifests: Manifests) -> Iterator[Finding]:
    """Every ConfigMap, Secret, ServiceAccount and claim that a pod names is made here or given from outside."""
    for workload in manifests.workloads:
        for kind, name in _references(workload):
            given = kind == "Secret" and name in SECRETS_FROM_OUTSIDE | _issued(manifests)
            if not given and manifests.find(kind, name) is None:
                yield Finding(where=workload.title, problem=f"there is no {kind}/{name}")


def mounts_name_volumes(manifests: Manifests) -> Iterator[Finding]:
    """Every mount names a volume of its pod, no folder has two, and no volume is left over."""
    for workload in manifests.workloads:
        claims = [claim["metadata"]["name"] for claim in workload.spec.get("volumeClaimTemplates", [])]
        volumes = [volume["name"] for volume in workload.pod.get("volumes", [])] + claims
        mounted = set()
        for container in workload.containers:
            mounts = container.spec.get("volumeMounts", [])
            for mount in mounts:
                mounted.add(mount["name"])
                if mount["name"] not in volumes:
                    yield Finding(
                        where=container.title, problem=f"mounts {mount['name']}, which is no volume of its pod"
                    )
            paths = [mount["mountPath"] for mount in mounts]
            for path in sorted({path for path in paths if paths.count(path) > 1}):
                yield Finding(where=container.title, problem=f"mounts two volumes at {path}")
        for name in sorted(set(volumes) - mounted):
            yield Finding(where=workload.title, problem=f"no container mounts the volume {name}")


def weights_are_mounted_read_only_where_they_are_looked_for(manifests: Manifests) -> Iterator[Finding]:
    """The model tiers find the weights that another container, or a job, put there, and cannot change them."""
    for workload in manifests.workloads:
        for container in workload.containers:
            folder = manifests.environment(container).get("FACET_MODELS_DIR")
            if container.is_init or workload.tier not in ("detector", "embedder"):
                continue
            mount = next((m for m in container.spec.get("volumeMounts", []) if m["mountPath"] == folder), None)
            if mount is None:
                yield Finding(where=container.title, problem=f"mount the weights at FACET_MODELS_DIR={folder}")
            elif not mount.get("readOnly"):
                yield Finding(where=container.title, problem=f"mount {mount['name']} with readOnly: true")


def files_that_settings_name_are_mounted(manifests: Manifests) -> Iterator[Finding]:
    """A variable that names a file below /etc/facet names one inside a mounted volume."""
    for container in manifests.containers:
        folders = [mount["mountPath"] for mount in container.spec.get("volumeMounts", [])]
        for name, value in manifests.environment(container).items():
            if value.startswith("/etc/facet/") and not any(value.startswith(f"{folder}/") for folder in folders):
                yield Finding(where=container.title, problem=f"{name}={value}, but no volume is mounted there")


def everything_is_in_the_namespace(manifests: Manifests) -> Iterator[Finding]:
    """One namespace holds all of Facet; nothing lands in the one that happens to be current."""
    for resource in manifests.resources:
        if resource["kind"] not in ("Namespace", "ClusterIssuer", "PriorityClass") and (
            resource["metadata"].get("namespace") != "facet"
        ):
            yield Finding(where=title(resource), problem="set namespace: facet")


def no_secret_is_in_the_manifests(manifests: Manifests) -> Iterator[Finding]:
    """Keys and passwords come from their owner, never from a repository."""
    for secret in manifests.of_kind("Secret"):
        yield Finding(where=title(secret), problem="make it with kubectl, or an operator, and only name it here")


def _references(workload: Workload) -> Iterator[tuple[str, str]]:
    yield "ServiceAccount", workload.pod.get("serviceAccountName", "default")
    for container in workload.containers:
        for source in container.spec.get("envFrom", []):
            yield from _named(source, {"configMapRef": "ConfigMap", "secretRef": "Secret"}, "name")
        for entry in container.spec.get("env", []):
            kinds = {"configMapKeyRef": "ConfigMap", "secretKeyRef": "Secret"}
            yield from _named(entry.get("valueFrom", {}), kinds, "name")
    for volume in workload.pod.get("volumes", []):
        yield from _named(volume, {"configMap": "ConfigMap"}, "name")
        yield from _named(volume, {"secret": "Secret"}, "secretName")
        yield from _named(volume, {"persistentVolumeClaim": "PersistentVolumeClaim"}, "claimName")
        for source in volume.get("projected", {}).get("sources", []):
            yield from _named(source, {"configMap": "ConfigMap", "secret": "Secret"}, "name")


def _named(part: Resource, kinds: dict[str, str], field: str) -> Iterator[tuple[str, str]]:
    for key, kind in kinds.items():
        if key in part:
            yield kind, part[key][field]


def _issued(manifests: Manifests) -> set[str]:
    """The Secrets that cert-manager makes."""
    return {certificate["spec"]["secretName"] for certificate in manifests.of_kind("Certificate")}

"""Probes ask what exists, and ask the right thing: alive is not ready."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

from tests.k8s.manifests import Finding, Manifests, Resource, Workload

_KINDS = ("startupProbe", "readinessProbe", "livenessProbe")


def tiers_have_all_probes(manifests: Manifests) -> Iterator[Finding]:
    """A slow start, a hang and not being ready are three things, each with its probe."""
    for _, container in manifests.tier_containers:
        for kind in _KINDS:
            if kind not in container.spec:
                yield Finding(where=container.title, problem=f"has no {kind}")


def probed_ports_are_plaintext_ports_of_the_container(manifests: Manifests) -> Iterator[Finding]:
    """A probe's port is one the container declares; a gRPC probe's is a number and speaks no TLS."""
    for _, container in manifests.tier_containers:
        for kind in _KINDS:
            probe = container.spec.get(kind, {})
            asked = probe.get("grpc") or probe.get("httpGet") or {}
            port = container.port(asked.get("port"))
            if asked and port is None:
                yield Finding(where=container.title, problem=f"{kind}: no port {asked.get('port')} is declared")
            encrypted = "FACET_TLS_CERTIFICATE" in manifests.environment(container)
            if "grpc" in probe and port is not None and encrypted and port.get("name") != "health":
                yield Finding(where=container.title, problem=f"{kind}: under TLS the port `health` answers, no other")


def probes_ask_for_real_services(manifests: Manifests) -> Iterator[Finding]:
    """Readiness asks for the tier's own gRPC service, liveness for the process; the gateway has paths for both."""
    for workload, container in manifests.tier_containers:
        alive, ready = _questions(workload)
        for kind in _KINDS:
            if kind not in container.spec:
                continue
            expected = ready if kind == "readinessProbe" else alive
            asked = _asked(container.spec[kind])
            if asked != expected:
                yield Finding(where=container.title, problem=f"{kind} asks for {asked!r}; it must ask for {expected!r}")


def _questions(workload: Workload) -> tuple[str, str]:
    """What asks whether a process of this workload is alive, and what whether it is ready."""
    if workload.tier == "gateway":
        return "/healthz", "/readyz"
    file = import_module(f"facet.v1.{workload.tier}_pb2").DESCRIPTOR
    [service] = file.services_by_name.values()
    return "", service.full_name


def _asked(probe: Resource) -> str | None:
    if "grpc" in probe:
        return str(probe["grpc"].get("service", ""))
    path = probe.get("httpGet", {}).get("path")
    return None if path is None else str(path)

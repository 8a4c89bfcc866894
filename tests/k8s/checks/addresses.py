"""Who calls whom: every port and address that is named exists at the other end."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.k8s.manifests import Container, Finding, Manifests, Resource, matches, strings_in, title

_ADDRESS = re.compile(r"\b(?P<scheme>dns|https?)://(?:/)?(?P<host>[a-z0-9.-]+)(?::(?P<port>\d+))?")
_DEFAULT_PORTS = {"http": 80, "https": 443, "dns": 443}


def service_ports_exist_at_the_pods(manifests: Manifests) -> Iterator[Finding]:
    """What a Service passes on, a container of every selected pod listens on; headless Services translate no number."""
    for service in manifests.of_kind("Service"):
        for port in service["spec"]["ports"]:
            target = port.get("targetPort", port["port"])
            for workload in manifests.selected_by(service):
                found = [p for c in workload.containers if not c.is_init and (p := c.port(target))]
                if not found:
                    yield Finding(where=title(service), problem=f"{workload.title} has no container port {target}")
                elif service["spec"].get("clusterIP") == "None" and found[0]["containerPort"] != port["port"]:
                    yield Finding(
                        where=title(service),
                        problem=f"port {port['port']} is {found[0]['containerPort']} there, and nothing translates it",
                    )


def ports_have_one_owner(manifests: Manifests) -> Iterator[Finding]:
    """Within a pod no two containers declare one port's number or name."""
    for workload in manifests.workloads:
        declared = [port for container in workload.containers if not container.is_init for port in container.ports]
        for key in ("name", "containerPort"):
            values = [port[key] for port in declared if key in port]
            for value in {value for value in values if values.count(value) > 1}:
                yield Finding(where=workload.title, problem=f"declares the {key} {value} of a port twice")


def addresses_lead_to_services(manifests: Manifests) -> Iterator[Finding]:
    """Every address inside the cluster in a container's command or variables is a Service with that port."""
    for container in manifests.containers:
        for name, port in called_services(manifests, container):
            problem = _missing(manifests, name, port)
            if problem:
                yield Finding(where=container.title, problem=f"calls {name}:{port}, but {problem}")


def ingress_backends_exist(manifests: Manifests) -> Iterator[Finding]:
    """Every backend of an Ingress is a Service with that port."""
    for ingress in manifests.of_kind("Ingress"):
        paths = [path for rule in ingress["spec"].get("rules", []) for path in rule.get("http", {}).get("paths", [])]
        backends = [path["backend"] for path in paths]
        if "defaultBackend" in ingress["spec"]:
            backends.append(ingress["spec"]["defaultBackend"])
        for backend in backends:
            service = backend["service"]
            port = service["port"].get("name", service["port"].get("number"))
            problem = _missing(manifests, service["name"], port)
            if problem:
                yield Finding(where=title(ingress), problem=problem)


def monitors_find_what_they_scrape(manifests: Manifests) -> Iterator[Finding]:
    """A ServiceMonitor's Services, or a PodMonitor's pods, exist and have the port it names."""
    for monitor in manifests.of_kind("ServiceMonitor", "PodMonitor"):
        selector = monitor["spec"]["selector"]
        if monitor["kind"] == "ServiceMonitor":
            chosen = [s for s in manifests.of_kind("Service") if matches(selector, s["metadata"].get("labels", {}))]
            ports = {title(service): service["spec"]["ports"] for service in chosen}
            endpoints: list[Resource] = monitor["spec"]["endpoints"]
        else:
            workloads = [w for w in manifests.workloads if w.serves and matches(selector, w.labels)]
            ports = {w.title: [port for c in w.containers for port in c.ports] for w in workloads}
            endpoints = monitor["spec"]["podMetricsEndpoints"]
        if not ports:
            yield Finding(where=title(monitor), problem=f"nothing has the labels it selects: {selector}")
        for name, declared in ports.items():
            for endpoint in endpoints:
                if endpoint["port"] not in [port.get("name") for port in declared]:
                    yield Finding(where=title(monitor), problem=f"{name} has no port named {endpoint['port']}")


def called_services(manifests: Manifests, container: Container) -> Iterator[tuple[str, int]]:
    """Name and port of every Service that a container's command or variables name by an address."""
    parts = [manifests.environment(container), container.spec.get("command", []), container.spec.get("args", [])]
    for text in strings_in(parts):
        for address in _ADDRESS.finditer(text):
            name, _, domain = address["host"].partition(".")
            if not domain or domain.startswith("facet.svc"):
                yield name, int(address["port"] or _DEFAULT_PORTS[address["scheme"]])


def _missing(manifests: Manifests, name: str, port: int | str | None) -> str | None:
    """What is absent of that port of that Service."""
    service = manifests.find("Service", name)
    if service is None:
        return f"there is no Service/{name}"
    known = [value for p in service["spec"]["ports"] for value in (p["port"], p.get("name"))]
    return None if port in known else f"Service/{name} has no port {port}"

"""Network policies let through every call that Facet makes, and no other: arrows of source, destination and port.

Needed arrows are derived from the rest of the manifests; which ones the policies allow is worked out as network plugins
do. A set without policies allows everything and is not judged.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product

from tests.k8s.checks.addresses import called_services
from tests.k8s.manifests import Finding, Manifests, Resource, matches, strings_in

_NAMESPACE_NAME = "kubernetes.io/metadata.name"
_FACET = {_NAMESPACE_NAME: "facet"}
_POD_ADDRESS = "10.244.1.9"
_NO_PORT_OF_OURS = 4444


@dataclass(frozen=True, kw_only=True, slots=True)
class Party:
    """Something that calls or is called: pods inside the cluster, or an address outside of it."""

    name: str
    namespace: dict[str, str] | None = None
    """The labels of its namespace; None = outside the cluster."""
    labels: dict[str, str] = field(default_factory=dict)
    address: str = _POD_ADDRESS
    named_ports: dict[str, int] = field(default_factory=dict)

    @property
    def is_ours(self) -> bool:
        """Whether Facet's policies can select it."""
        return self.namespace == _FACET


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrow:
    """One call."""

    source: str
    destination: str
    port: int
    protocol: str = "TCP"


INGRESS = Party(name="the ingress controller", namespace={_NAMESPACE_NAME: "ingress-nginx"})
PROMETHEUS = Party(name="Prometheus", namespace={_NAMESPACE_NAME: "monitoring"})
DNS = Party(name="DNS", namespace={_NAMESPACE_NAME: "kube-system"}, labels={"k8s-app": "kube-dns"})
INTERNET = Party(name="the internet", address="203.0.113.9")
STRANGERS = (
    Party(name="a pod of another namespace", namespace={_NAMESPACE_NAME: "other"}),
    Party(name="another pod of this namespace", namespace=_FACET),
    Party(name="the cloud's metadata", address="169.254.169.254"),
)


def policies_allow_every_needed_call(manifests: Manifests) -> Iterator[Finding]:
    """No policy cuts a call that some part of Facet makes, or that it is there to answer."""
    parties = _parties(manifests)
    for arrow in sorted(_needed(manifests), key=str):
        end = _cut_at(manifests, parties[arrow.source], parties[arrow.destination], arrow)
        if end:
            yield Finding(
                where=f"NetworkPolicy of {end}",
                problem=f"allow {arrow.source} to reach {arrow.destination} at {arrow.protocol} {arrow.port}",
            )


def policies_allow_nothing_else(manifests: Manifests) -> Iterator[Finding]:
    """No tier reaches another, nothing reaches a tier but the gateway, nothing leaves."""
    if not manifests.of_kind("NetworkPolicy"):
        return
    needed = _needed(manifests)
    parties = _parties(manifests).values()
    for source, destination in product(parties, parties):
        if source is destination or not (source.is_ours or destination.is_ours):
            continue
        ports = {*destination.named_ports.values(), _NO_PORT_OF_OURS} if destination.named_ports else {53, 80, 443}
        for port in sorted(ports):
            arrow = Arrow(source=source.name, destination=destination.name, port=port)
            if arrow not in needed and not _cut_at(manifests, source, destination, arrow):
                yield Finding(
                    where=f"NetworkPolicy of {source.name if source.is_ours else destination.name}",
                    problem=f"must not allow {source.name} to reach {destination.name} at {port}",
                )


def _parties(manifests: Manifests) -> dict[str, Party]:
    workloads = [
        Party(
            name=workload.title,
            namespace=_FACET,
            labels=workload.labels,
            named_ports={p["name"]: p["containerPort"] for c in workload.containers for p in c.ports},
        )
        for workload in manifests.workloads
    ]
    return {party.name: party for party in (*workloads, INGRESS, PROMETHEUS, DNS, INTERNET, *STRANGERS)}


def _needed(manifests: Manifests) -> set[Arrow]:
    arrows: set[Arrow] = set()
    if not manifests.of_kind("NetworkPolicy"):
        return arrows
    for container in manifests.containers:
        caller = container.workload
        called = list(called_services(manifests, container))
        for service, port in called:
            arrows |= _to_pods(manifests, caller, service, port)
        downloads = any("models pull" in text for text in strings_in(container.spec.get("command", [])))
        if downloads:
            arrows.add(Arrow(source=caller, destination=INTERNET.name, port=443))
        if downloads or called:
            arrows |= {Arrow(source=caller, destination=DNS.name, port=53, protocol=p) for p in ("TCP", "UDP")}
    arrows |= _to_pods(manifests, INGRESS.name, "gateway", "http")
    for workload in manifests.workloads:
        for container in workload.containers:
            metrics = container.port("metrics")
            if metrics:
                arrows.add(Arrow(source=PROMETHEUS.name, destination=workload.title, port=metrics["containerPort"]))
    return arrows


def _to_pods(manifests: Manifests, caller: str, name: str, port: str | int) -> set[Arrow]:
    """The arrows from a caller to the pods behind a port of a Service."""
    service = manifests.find("Service", name)
    if service is None:
        return set()  # told by addresses
    targets = [p.get("targetPort", p["port"]) for p in service["spec"]["ports"] if port in (p["port"], p.get("name"))]
    return {
        Arrow(source=caller, destination=workload.title, port=found["containerPort"])
        for workload in manifests.selected_by(service)
        for container in workload.containers
        for target in targets
        if (found := container.port(target)) is not None
    }


def _cut_at(manifests: Manifests, source: Party, destination: Party, arrow: Arrow) -> str | None:
    """The end whose policies cut this arrow; None where they let it through."""
    for end, other, direction in ((source, destination, "Egress"), (destination, source, "Ingress")):
        policies = [policy["spec"] for policy in _selecting(manifests, end, direction)] if end.is_ours else []
        rules = [rule for spec in policies for rule in spec.get(direction.lower()) or []]
        peers_key = "to" if direction == "Egress" else "from"
        allowed = any(
            (peers_key not in rule or any(_is_peer(peer, other) for peer in rule[peers_key]))
            and ("ports" not in rule or any(_covers(port, arrow, destination) for port in rule["ports"]))
            for rule in rules
        )
        if policies and not allowed:
            return end.name
    return None


def _selecting(manifests: Manifests, party: Party, direction: str) -> Iterator[Resource]:
    for policy in manifests.of_kind("NetworkPolicy"):
        spec = policy["spec"]
        directions = spec.get("policyTypes", ["Ingress", *(["Egress"] if "egress" in spec else [])])
        if direction in directions and matches(spec["podSelector"], party.labels):
            yield policy


def _is_peer(peer: Resource, party: Party) -> bool:
    if "ipBlock" in peer:
        address = ipaddress.ip_address(party.address)
        block = peer["ipBlock"]
        return address in ipaddress.ip_network(block["cidr"]) and not any(
            address in ipaddress.ip_network(excluded) for excluded in block.get("except", [])
        )
    if party.namespace is None:
        return False
    right_namespace = (
        matches(peer["namespaceSelector"], party.namespace) if "namespaceSelector" in peer else party.is_ours
    )
    return right_namespace and matches(peer.get("podSelector", {}), party.labels)


def _covers(port: Resource, arrow: Arrow, destination: Party) -> bool:
    if port.get("protocol", "TCP") != arrow.protocol:
        return False
    if "port" not in port:
        return True
    first: int = destination.named_ports.get(port["port"], -1) if isinstance(port["port"], str) else port["port"]
    last: int = port.get("endPort", first)
    return first <= arrow.port <= last

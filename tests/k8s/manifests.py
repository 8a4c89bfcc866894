"""A rendered set of manifests, and the questions that checks ask of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Resource = dict[str, Any]
"""One Kubernetes object, or a part of one, as YAML gives it."""

NAME = "app.kubernetes.io/name"
INSTANCE = "app.kubernetes.io/instance"
TIERS = ("detector", "embedder", "anonymizer", "gateway")


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that is wrong: which object, what about it, and what to do."""

    where: str
    """`Kind/name`, with ` container NAME` where it is one container's."""
    problem: str

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Container:
    """One container of a workload."""

    workload: str
    """`Kind/name` of the workload."""
    spec: Resource
    is_init: bool

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.spec["name"])

    @property
    def title(self) -> str:
        """How findings name it."""
        return f"{self.workload} container {self.name}"

    @property
    def ports(self) -> list[Resource]:
        """Its declared ports."""
        return list(self.spec.get("ports", []))

    def port(self, name_or_number: str | int | None) -> Resource | None:
        """The declared port of that name or number."""
        return next((p for p in self.ports if name_or_number in (p.get("name", ""), p["containerPort"])), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    """A Deployment, StatefulSet, Job or CronJob."""

    resource: Resource

    @property
    def kind(self) -> str:
        """Its kind."""
        return str(self.resource["kind"])

    @property
    def title(self) -> str:
        """How findings name it."""
        return title(self.resource)

    @property
    def spec(self) -> Resource:
        """Its own specification."""
        spec: Resource = self.resource["spec"]
        return spec

    @property
    def template(self) -> Resource:
        """The template of its pods."""
        spec = self.spec["jobTemplate"]["spec"] if self.kind == "CronJob" else self.spec
        template: Resource = spec["template"]
        return template

    @property
    def labels(self) -> dict[str, str]:
        """The labels of its pods."""
        return dict(self.template.get("metadata", {}).get("labels", {}))

    @property
    def pod(self) -> Resource:
        """The specification of its pods."""
        pod: Resource = self.template["spec"]
        return pod

    @property
    def containers(self) -> list[Container]:
        """All its containers, those that run before the others too."""
        return [
            Container(workload=self.title, spec=spec, is_init=key == "initContainers")
            for key in ("initContainers", "containers")
            for spec in self.pod.get(key, [])
        ]

    @property
    def serves(self) -> bool:
        """Whether its pods run for ever, behind a Service."""
        return self.kind in ("Deployment", "StatefulSet")

    @property
    def tier(self) -> str | None:
        """The tier it serves; None for jobs and other things beside the tiers."""
        name = self.labels.get(NAME)
        return name if self.serves and name in TIERS else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifests:
    """Everything that one `kubectl apply` would send."""

    resources: tuple[Resource, ...]

    def of_kind(self, *kinds: str) -> list[Resource]:
        """The objects of these kinds."""
        return [resource for resource in self.resources if resource["kind"] in kinds]

    def find(self, kind: str, name: str) -> Resource | None:
        """The one object of this kind and name."""
        return next((r for r in self.of_kind(kind) if r["metadata"]["name"] == name), None)

    @property
    def workloads(self) -> list[Workload]:
        """Everything that makes pods."""
        kinds = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")
        return [Workload(resource=resource) for resource in self.of_kind(*kinds)]

    @property
    def containers(self) -> list[Container]:
        """All containers of all workloads."""
        return [container for workload in self.workloads for container in workload.containers]

    @property
    def tier_containers(self) -> list[tuple[Workload, Container]]:
        """The container that is the tier, of every workload that serves one."""
        return [(w, c) for w in self.workloads if w.tier for c in w.containers if c.name == w.tier]

    def selected_by(self, service: Resource) -> list[Workload]:
        """The workloads whose pods a Service selects."""
        selector = service["spec"].get("selector") or {}
        return [w for w in self.workloads if selector and selector.items() <= w.labels.items()]

    def environment(self, container: Container) -> dict[str, str]:
        """The variables of a container whose values the manifests tell, later sources before earlier ones."""
        variables: dict[str, str] = {}
        for source in container.spec.get("envFrom", []):
            config_map = self.find("ConfigMap", source.get("configMapRef", {}).get("name", ""))
            variables |= (config_map or {}).get("data", {})
        for entry in container.spec.get("env", []):
            if "value" in entry:
                variables[entry["name"]] = entry["value"]
        return variables


def title(resource: Resource) -> str:
    """`Kind/name`, as findings name an object."""
    return f"{resource['kind']}/{resource['metadata']['name']}"


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector (`matchLabels`, `matchExpressions`) selects what has these labels; {} selects all."""
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()) and all(
        _holds(expression, labels) for expression in selector.get("matchExpressions", [])
    )


def _holds(expression: Resource, labels: Mapping[str, str]) -> bool:
    present = expression["key"] in labels
    listed = labels.get(expression["key"]) in expression.get("values", [])
    return {"In": listed, "NotIn": not listed, "Exists": present, "DoesNotExist": not present}[expression["operator"]]


def strings_in(part: object) -> Iterator[str]:
    """Every string value inside a part of a manifest."""
    if isinstance(part, str):
        yield part
    elif isinstance(part, Mapping):
        yield from strings_in(part.values())
    elif isinstance(part, Iterable):
        for item in part:
            yield from strings_in(item)

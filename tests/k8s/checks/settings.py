"""Variables are real settings with values that the tiers accept, and agree with what else the manifests say."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from unittest import mock

from pydantic import ValidationError
from pydantic_settings import BaseSettings

from cli.batch.journal_key import JournalSettings
from gateway.settings import GatewaySettings
from services.anonymizer.settings import AnonymizerSettings
from services.chassis.models.manifest import load_manifest
from services.chassis.process.settings import TierSettings
from services.detector.settings import DetectorSettings
from services.embedder.settings import EmbedderSettings
from tests.k8s.checks.commands import commands
from tests.k8s.manifests import Finding, Manifests

SETTINGS: dict[str, type[TierSettings | GatewaySettings]] = {
    "detector": DetectorSettings,
    "embedder": EmbedderSettings,
    "anonymizer": AnonymizerSettings,
    "gateway": GatewaySettings,
}


def load(tier: str, environment: dict[str, str]) -> TierSettings | GatewaySettings:
    """The settings as the tier itself would read them.

    Raises:
        ValidationError: It would not start with these.
    """
    return _load(tier, frozenset(environment.items()))


def variables_are_settings(manifests: Manifests) -> Iterator[Finding]:
    """Every `FACET_…` variable is a setting of some tier (they share a ConfigMap) or of the command line.

    A misspelt one would be ignored.
    """
    known = {name for kind in SETTINGS.values() for name in _names(kind)}
    known |= set(_names(JournalSettings))
    known |= {name for command in commands().values() for name in command.variables}
    for container in manifests.containers:
        given = manifests.environment(container).keys() | {entry["name"] for entry in container.spec.get("env", [])}
        for name in sorted(given - known):
            if name.startswith("FACET_"):
                yield Finding(where=container.title, problem=f"{name} is no setting of Facet")


def values_are_accepted(manifests: Manifests) -> Iterator[Finding]:
    """Every tier starts with the values it is given."""
    for workload, container in manifests.tier_containers:
        try:
            load(str(workload.tier), manifests.environment(container))
        except ValidationError as error:
            for wrong in error.errors():
                yield Finding(where=container.title, problem=f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}")


def models_are_in_the_manifest(manifests: Manifests) -> Iterator[Finding]:
    """A model that a tier is told to serve is one that can be installed."""
    known = load_manifest().keys()
    for workload, container in manifests.tier_containers:
        name = f"FACET_{str(workload.tier).upper()}_MODEL"
        model = manifests.environment(container).get(name, "")
        if model and model not in known:
            yield Finding(where=container.title, problem=f"{name}={model} is no model; `facet models list` names them")


def tiers_listen_where_they_are_called(manifests: Manifests) -> Iterator[Finding]:
    """The declared ports are those the process opens, on all addresses of the pod."""
    for workload, container in manifests.tier_containers:
        try:
            settings = load(str(workload.tier), manifests.environment(container))
        except ValidationError:
            continue  # told by values_are_accepted
        serving = "http" if workload.tier == "gateway" else "grpc"
        opens = {serving: settings.port, "metrics": settings.metrics_port}
        if settings.shared.health_port is not None and workload.tier != "gateway":
            opens["health"] = settings.shared.health_port
        for name, opened in opens.items():
            port = container.port(name)
            if port is None or port["containerPort"] != opened:
                yield Finding(where=container.title, problem=f"declare the port {name} as {opened}, which it opens")
        if settings.shared.host != "0.0.0.0":  # noqa: S104
            yield Finding(where=container.title, problem="set FACET_HOST=0.0.0.0, or nobody reaches it")


def all_parts_agree_on_sizes(manifests: Manifests) -> Iterator[Finding]:
    """What the gateway accepts, the tiers accept: limits on pictures are one setting for all."""
    limits = {}
    for workload, container in manifests.tier_containers:
        environment = manifests.environment(container)
        limits[workload.title] = {n: environment.get(n) for n in ("FACET_MAX_IMAGE_BYTES", "FACET_MAX_PIXELS")}
    for name, given in limits.items():
        if given != next(iter(limits.values())):
            yield Finding(where=name, problem=f"limits pictures otherwise than the others: {given}; use facet-settings")


@cache
def _load(tier: str, environment: frozenset[tuple[str, str]]) -> TierSettings | GatewaySettings:
    with mock.patch.dict(os.environ, dict(environment), clear=True):
        return SETTINGS[tier]()


def _names(kind: type[BaseSettings]) -> Iterator[str]:
    """The variables that a settings class reads, those of the classes nested in it too."""
    for name, field in kind.model_fields.items():
        nested = field.annotation
        if isinstance(nested, type) and issubclass(nested, BaseSettings):
            yield from _names(nested)
        else:
            yield f"{kind.model_config['env_prefix']}{name.upper()}"

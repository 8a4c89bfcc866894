"""What compose.yaml names exists: images, ports, settings, modules; and its containers are held as in Kubernetes."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic_settings import BaseSettings

from gateway.settings import GatewaySettings
from services.anonymizer.settings import AnonymizerSettings
from services.chassis.models.store import ModelStore
from services.chassis.process.settings import ModelSettings
from services.chassis.version import facet_version
from services.detector.settings import DetectorSettings
from services.embedder.settings import EmbedderSettings

REPOSITORY = Path(__file__).parents[2]
SETTINGS: dict[str, type[BaseSettings]] = {
    "detector": DetectorSettings,
    "embedder": EmbedderSettings,
    "anonymizer": AnonymizerSettings,
    "gateway": GatewaySettings,
}
TIERS = tuple(name for name in SETTINGS if name != "gateway")
MODELS = "/var/lib/facet/models"

Service = dict[str, Any]


@pytest.fixture(scope="module")
def services() -> dict[str, Service]:
    """By name."""
    composed: dict[str, Service] = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())["services"]
    return composed


def test_every_tier_and_what_fetches_weights_is_there(services: dict[str, Service]) -> None:
    assert services.keys() == {*SETTINGS, "weights"}


def test_images_are_those_that_make_images_builds_of_this_version(services: dict[str, Service]) -> None:
    images = {name: service["image"] for name, service in services.items()}
    assert images == {name: f"facet/{name}:{facet_version()}" for name in SETTINGS} | {"weights": images["detector"]}


def test_every_container_runs_as_restricted_as_in_kubernetes(services: dict[str, Service]) -> None:
    for service in services.values():
        assert service["user"] == "10001:10001"
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", SETTINGS)
def test_memory_is_what_kubernetes_allows(services: dict[str, Service], name: str) -> None:
    manifest = (REPOSITORY / "k8s" / "base" / f"{name}.yaml").read_text()
    limits = re.findall(r"limits: \{.*memory: (\d+)Gi", manifest)
    assert services[name]["mem_limit"] == f"{limits[-1]}g"


@pytest.mark.parametrize("name", TIERS)
def test_tier_is_probed_where_it_listens_and_the_gateway_looks_for_it_there(
    services: dict[str, Service], name: str
) -> None:
    port = SETTINGS[name].model_fields["port"].default
    command, *python, module, probed, service = services[name]["healthcheck"]["test"]
    assert (command, python, probed) == ("CMD", ["python", "-m"], str(port))
    assert importlib.util.find_spec(module) is not None
    assert service == f"facet.v1.{name.capitalize()}Service"
    assert services["gateway"]["environment"][f"FACET_{name.upper()}_TARGET"] == f"dns:///{name}:{port}"


def test_gateway_is_open_to_this_machine_alone_and_probed_where_it_listens(services: dict[str, Service]) -> None:
    port = GatewaySettings.model_fields["port"].default
    assert services["gateway"]["ports"] == [f"127.0.0.1:${{FACET_GATEWAY_PORT:-{port}}}:{port}"]
    assert f"http://127.0.0.1:{port}/readyz" in services["gateway"]["healthcheck"]["test"][-1]


def test_one_volume_of_weights_is_filled_once_and_read_by_others(services: dict[str, Service]) -> None:
    mounted = {name: service["volumes"] for name, service in services.items() if "volumes" in service}
    read = [f"weights:{MODELS}:ro"]
    assert mounted == {"weights": [f"weights:{MODELS}"], "detector": read, "embedder": read}


def test_what_is_fetched_are_light_models_of_the_tiers(services: dict[str, Service]) -> None:
    models = {entry.name: entry for entry in ModelStore(ModelSettings()).entries()}
    *command, blazeface, mobilefacenet = services["weights"]["entrypoint"]
    assert command == ["facet", "models", "pull"]
    assert (models[blazeface].tier, models[mobilefacenet].tier) == ("detector", "embedder")
    assert models[blazeface].light
    assert models[mobilefacenet].light
    assert services["embedder"]["environment"]["FACET_EMBEDDER_MODEL"] == mobilefacenet


def test_every_setting_exists(services: dict[str, Service]) -> None:
    known = "".join(path.read_text() for path in (REPOSITORY / "gateway" / "README.md", REPOSITORY / "README.md"))
    known += "".join((REPOSITORY / "services" / tier / "README.md").read_text() for tier in TIERS)
    named = {variable for service in services.values() for variable in service.get("environment", {})}
    targets = {f"FACET_{tier.upper()}_TARGET" for tier in TIERS}
    assert {variable for variable in named - targets if variable not in known} == set()

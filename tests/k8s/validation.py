"""The published JSON schemas of Kubernetes, in their strict form: no unknown field, no unknown kind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache

import kubernetes_validate

from tests.k8s.manifests import Finding, Manifests, title

KUBERNETES = "1.32"

CUSTOM_KINDS = frozenset(
    {
        ("cert-manager.io/v1", "Certificate"),
        ("cert-manager.io/v1", "Issuer"),
        ("monitoring.coreos.com/v1", "PodMonitor"),
        ("monitoring.coreos.com/v1", "PrometheusRule"),
        ("monitoring.coreos.com/v1", "ServiceMonitor"),
    }
)
"""Kinds of other projects, whose schemas no tool here knows. Any other unknown kind is a mistake."""


def objects_follow_the_schemas(manifests: Manifests) -> Iterator[Finding]:
    """Every object follows the schema of its kind and version, with no field that the schema does not have."""
    for resource in manifests.resources:
        if (resource["apiVersion"], resource["kind"]) in CUSTOM_KINDS:
            continue
        problem = _problem(json.dumps(resource, sort_keys=True))
        if problem:
            yield Finding(where=title(resource), problem=problem)


@cache  # many renderings share most of their objects
def _problem(text: str) -> str | None:
    try:
        kubernetes_validate.validate(json.loads(text), KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"{'.'.join(str(part) for part in error.path)}: {error.message}"
    except kubernetes_validate.SchemaNotFoundError as error:
        return str(error.message)
    return None

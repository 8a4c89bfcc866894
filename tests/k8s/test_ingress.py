"""The ingress lets through what the gateway takes."""

from __future__ import annotations

import re

import yaml

from gateway.anonymize.documents import MAX_DOCUMENT_BYTES
from gateway.routes.uploads import MAX_REFERENCE_PICTURES
from services.chassis.process.settings import MIB, SharedSettings
from tests.support.processes import REPOSITORY

INGRESS = REPOSITORY / "k8s/components/ingress/ingress.yaml"


def test_largest_call_passes_the_ingress() -> None:
    annotations = yaml.safe_load(INGRESS.read_text())["metadata"]["annotations"]
    size = re.fullmatch(r"(\d+)m", annotations["nginx.ingress.kubernetes.io/proxy-body-size"])
    assert size is not None
    pictures = (1 + MAX_REFERENCE_PICTURES) * SharedSettings.model_fields["max_image_bytes"].default
    assert int(size[1]) * MIB > pictures + MAX_DOCUMENT_BYTES

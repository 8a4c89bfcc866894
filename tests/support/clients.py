"""Clients of running tiers as the gateway has them: balanced, health checked, retrying channels and typed stubs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.request import urlopen

import grpc
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_health.v1 import health_pb2_grpc
from grpc_status import rpc_status
from prometheus_client.parser import text_string_to_metric_families

from facet.v1 import anonymizer_pb2, anonymizer_pb2_grpc, detector_pb2, detector_pb2_grpc, geometry_pb2, image_pb2
from services.chassis.process.settings import SharedSettings
from services.chassis.rpc.channels import open_channel
from tests.support.processes import RunningTier

DETECTOR = "facet.v1.DetectorService"
ANONYMIZER = "facet.v1.AnonymizerService"
TIMEOUT_S = 30.0

ASTRONAUTS_FACE = anonymizer_pb2.Region(box=geometry_pb2.BoundingBox(x_min=170, y_min=60, x_max=275, y_max=180))


@asynccontextmanager
async def detector_at(target: str) -> AsyncIterator[detector_pb2_grpc.DetectorServiceAsyncStub]:
    """A client of every detector behind the target."""
    async with open_channel(target, DETECTOR, SharedSettings()) as channel:
        yield _stub(detector_pb2_grpc.DetectorServiceStub, channel)


@asynccontextmanager
async def anonymizer_at(target: str) -> AsyncIterator[anonymizer_pb2_grpc.AnonymizerServiceAsyncStub]:
    """A client of every anonymizer behind the target."""
    async with open_channel(target, ANONYMIZER, SharedSettings()) as channel:
        yield _stub(anonymizer_pb2_grpc.AnonymizerServiceStub, channel)


@asynccontextmanager
async def plain_channel(target: str) -> AsyncIterator[grpc.aio.Channel]:
    """A channel that neither retries nor checks health: what the server says is what one gets."""
    async with grpc.aio.insecure_channel(target, options=[("grpc.enable_retries", 0)]) as channel:
        yield channel


@asynccontextmanager
async def plain_detector_at(target: str) -> AsyncIterator[detector_pb2_grpc.DetectorServiceAsyncStub]:
    """A detector's client that neither retries nor checks health."""
    async with plain_channel(target) as channel:
        yield _stub(detector_pb2_grpc.DetectorServiceStub, channel)


@asynccontextmanager
async def health_at(target: str) -> AsyncIterator[health_pb2_grpc.HealthStub]:
    """A client of a tier's health service."""
    async with plain_channel(target) as channel:
        yield health_pb2_grpc.HealthStub(channel)


def detect_request(
    content: bytes, recall: detector_pb2.Recall.ValueType = detector_pb2.RECALL_FAST
) -> detector_pb2.DetectFacesRequest:
    """Asks for the faces of a picture."""
    return detector_pb2.DetectFacesRequest(
        image=image_pb2.Image(content=content), config=detector_pb2.DetectionConfig(recall=recall)
    )


def align_request(content: bytes, *faces: geometry_pb2.Face) -> detector_pb2.AlignFacesRequest:
    """Asks for the crops of known faces."""
    return detector_pb2.AlignFacesRequest(image=image_pb2.Image(content=content), faces=faces)


def anonymize_request(content: bytes, *regions: anonymizer_pb2.Region) -> anonymizer_pb2.AnonymizeImageRequest:
    """Asks to hide regions of a picture."""
    return anonymizer_pb2.AnonymizeImageRequest(image=image_pb2.Image(content=content), regions=regions)


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """The machine-readable reason in an error of a tier."""
    status = rpc_status.from_call(error)
    assert status is not None
    info = ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.domain == "facet"
    reason: str = info.reason
    return reason


def metrics_of(tier: RunningTier) -> dict[str, float]:
    """Every sample that a tier exposes, by its name and labels: `facet_detector_calls_total{code=OK,method=…}`."""
    with urlopen(f"http://{tier.host}:{tier.metrics_port}/metrics", timeout=10) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    return {sample.name + _labels(sample.labels): sample.value for family in families for sample in family.samples}


def _labels(labels: dict[str, str]) -> str:
    return "{" + ",".join(f"{name}={value}" for name, value in sorted(labels.items())) + "}" if labels else ""


def _stub(kind: Any, channel: grpc.aio.Channel) -> Any:  # noqa: ANN401  (the generated types know no aio channel)
    return kind(channel)

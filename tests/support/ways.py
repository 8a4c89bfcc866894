"""The ways to send a picture: each tier's work over REST and over gRPC, and what a refusal must look like on each."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from facet.v1 import (
    anonymizer_pb2,
    anonymizer_pb2_grpc,
    detector_pb2,
    detector_pb2_grpc,
    geometry_pb2,
    image_pb2,
)
from tests.support.processes import Stack

TIMEOUT_S = 60.0
STATUS_OF_REASON = {
    "INVALID_REQUEST": 400,
    "INVALID_PICTURE": 400,
    "UNSUPPORTED_FORMAT": 415,
    "TOO_LARGE": 413,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "INTERNAL": 500,
}
REFUSING = ("REST detect", "REST anonymize", "gRPC detect", "gRPC anonymize")
"""Names of every way to send a picture that may be refused; see `Ways.refusal`."""
MESSAGE_OPTIONS = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call was refused, the same over both protocols."""

    reason: str
    detail: str


def refusal_of_response(response: httpx.Response) -> Refusal:
    """Reads a problem, after checking that it is one in every part."""
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert set(problem) == {"type", "title", "status", "detail", "request_id"}
    reason = problem["type"].removeprefix("urn:facet:error:")
    assert problem["status"] == response.status_code == STATUS_OF_REASON[reason]
    assert problem["title"]
    assert problem["detail"]
    assert response.headers["x-request-id"] == problem["request_id"]
    sent = response.request.headers.get("x-request-id")
    assert sent is None or sent == problem["request_id"]
    return Refusal(reason, problem["detail"])


def refusal_of_call(method: Callable[..., Any], request: object) -> Refusal:
    """Makes a gRPC call that must be refused as INVALID_ARGUMENT, with a google.rpc.ErrorInfo."""
    with pytest.raises(grpc.RpcError) as raised:
        method(request, timeout=TIMEOUT_S)
    error = raised.value
    assert isinstance(error, grpc.Call)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, error
    status = rpc_status.from_call(error)
    assert status is not None
    [packed] = status.details
    info = ErrorInfo()
    assert packed.Unpack(info)
    assert info.domain == "facet"
    return Refusal(info.reason, status.message)


class Ways:
    """Clients of every part of a stack."""

    def __init__(self, stack: Stack) -> None:
        """Opens the connections."""
        self.http = httpx.Client(base_url=stack.gateway.url, timeout=TIMEOUT_S)
        self._channels = [grpc.insecure_channel(t.target, MESSAGE_OPTIONS) for t in (stack.detector, stack.anonymizer)]
        self.detector = detector_pb2_grpc.DetectorServiceStub(self._channels[0])
        self.anonymizer = anonymizer_pb2_grpc.AnonymizerServiceStub(self._channels[1])

    def close(self) -> None:
        """Closes them."""
        self.http.close()
        for channel in self._channels:
            channel.close()

    def refusal(self, way: str, content: bytes) -> Refusal:
        """Sends a picture that must be refused; `way` is one of `REFUSING`."""
        image = image_pb2.Image(content=content)
        match way:
            case "REST detect":
                return self.refused_post("/v1/detect", content=content)
            case "REST anonymize":
                return self.refused_post("/v1/anonymize", files={"image": ("face.jpg", content, "image/jpeg")})
            case "gRPC detect":
                return refusal_of_call(self.detector.DetectFaces, detector_pb2.DetectFacesRequest(image=image))
            case "gRPC anonymize":
                request = anonymizer_pb2.AnonymizeImageRequest(image=image)
                return refusal_of_call(self.anonymizer.AnonymizeImage, request)
        raise AssertionError(way)

    def refused_post(self, path: str, **request: Any) -> Refusal:  # noqa: ANN401  (what httpx takes)
        """Posts what must be refused, under a request id that the problem must repeat."""
        headers = {**request.pop("headers", {}), "X-Request-Id": uuid.uuid4().hex}
        return refusal_of_response(self.http.post(path, headers=headers, **request))

    def detect(self, content: bytes, **parameters: object) -> dict[str, Any]:
        """The answer of POST /v1/detect."""
        response = self.http.post("/v1/detect", content=content, params=_query(parameters))
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = json.loads(response.content)
        return answer

    def anonymize(self, content: bytes, **parameters: object) -> httpx.Response:
        """The answer of POST /v1/anonymize."""
        response = self.http.post("/v1/anonymize", content=content, params=_query(parameters))
        assert response.status_code == 200, response.text
        return response

    def hide(self, content: bytes, *boxes: tuple[float, float, float, float]) -> anonymizer_pb2.AnonymizeImageResponse:
        """The answer of AnonymizeImage with these boxes as regions."""
        request = anonymizer_pb2.AnonymizeImageRequest(
            image=image_pb2.Image(content=content), regions=[region(*box) for box in boxes]
        )
        return self.anonymizer.AnonymizeImage(request, timeout=TIMEOUT_S)


def region(x_min: float, y_min: float, x_max: float, y_max: float) -> anonymizer_pb2.Region:
    """A region without landmarks."""
    return anonymizer_pb2.Region(box=geometry_pb2.BoundingBox(x_min=x_min, y_min=y_min, x_max=x_max, y_max=y_max))


def _query(parameters: dict[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in parameters.items()}

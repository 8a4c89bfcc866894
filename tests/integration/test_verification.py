"""Results that are searched again: what still shows is repaired, or answered as an error and never as a picture."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import httpx
import pytest
from PIL import Image

from facet.v1 import anonymizer_pb2 as pb
from facet.v1 import anonymizer_pb2_grpc, geometry_pb2
from tests.support.clients import TIMEOUT_S, align_request, detect_request, detector_at
from tests.support.pictures import encode
from tests.support.processes import Stack, start, suspended

TOO_SMALL = {"x_min": 209, "y_min": 105, "x_max": 239, "y_max": 135}
"""The middle of the astronaut's face."""


class HidesNothing(anonymizer_pb2_grpc.AnonymizerServiceServicer):
    """An anonymizer with the worst of faults: it answers the picture as it came."""

    def AnonymizeImage(  # noqa: N802
        self,
        request: pb.AnonymizeImageRequest,
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> pb.AnonymizeImageResponse:
        """Hides nothing."""
        return pb.AnonymizeImageResponse(
            image=request.image, media_type="image/jpeg", width_px=512, height_px=512, hidden_regions=1
        )

    def StreamAnonymizeImages(  # noqa: N802
        self,
        request_iterator: Iterator[pb.StreamAnonymizeImagesRequest],
        context: grpc.ServicerContext,
    ) -> Iterator[pb.StreamAnonymizeImagesResponse]:
        """Hides nothing."""
        for item in request_iterator:
            yield pb.StreamAnonymizeImagesResponse(response=self.AnonymizeImage(item.request, context))


@pytest.fixture(scope="module")
def faulty_anonymizer() -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(2))
    anonymizer_pb2_grpc.add_AnonymizerServiceServicer_to_server(HidesNothing(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


@contextmanager
def gateway_of(stack: Stack, **settings: str) -> Iterator[httpx.Client]:
    """A gateway of one's own before the tiers of a stack."""
    gateway = start("gateway", **{**stack.targets(), **settings})
    try:
        with httpx.Client(base_url=gateway.url, timeout=60, trust_env=False) as client:
            yield client
    finally:
        gateway.stop()


def client_of(stack: Stack) -> httpx.Client:
    return httpx.Client(base_url=stack.gateway.url, timeout=60, trust_env=False)


def faces_in(client: httpx.Client, picture: bytes) -> list[dict[str, Any]]:
    faces: list[dict[str, Any]] = client.post("/v1/detect", content=picture).json()["faces"]
    return faces


def given(*boxes: dict[str, int]) -> bytes:
    return json.dumps({"width": 512, "height": 512, "faces": [{"box": box} for box in boxes]}).encode()


def test_a_box_that_is_too_small_is_repaired(stack: Stack, astronaut_jpeg: bytes) -> None:
    files = {"image": astronaut_jpeg, "faces": given(TOO_SMALL)}
    with client_of(stack) as client:
        unchecked = client.post("/v1/anonymize", files=files, params={"style": "solid", "margin": "0"})
        assert "X-Facet-Check" not in unchecked.headers
        assert len(faces_in(client, unchecked.content)) == 1
        checked = client.post("/v1/anonymize", files=files, params={"style": "solid", "margin": "0", "verify": "true"})
        assert checked.status_code == 200, checked.text
        assert checked.headers["X-Facet-Check"] == "passed; escalated=1; identity=not compared"
        assert checked.headers["X-Facet-Faces"] == "1"
        assert faces_in(client, checked.content) == []


def test_a_face_that_a_person_left_visible_stays(stack: Stack, astronaut_jpeg: bytes) -> None:
    corner = {"x_min": 400, "y_min": 20, "x_max": 460, "y_max": 80}
    files = {"image": astronaut_jpeg, "faces": given(corner)}
    with client_of(stack) as client:
        answer = client.post("/v1/anonymize", files=files, params={"verify": "true"})
        assert answer.headers["X-Facet-Check"] == "partial; escalated=0; visible=1; identity=not compared"
        assert "1 face stays visible" in answer.headers["X-Facet-Notice"]
        assert len(faces_in(client, answer.content)) == 1


def test_faces_beyond_max_faces_stay_visible(stack: Stack, astronaut: Image.Image) -> None:
    scene = Image.new("RGB", (1024, 512))
    for x in (0, 512):
        scene.paste(astronaut, (x, 0))
    with client_of(stack) as client:
        answer = client.post("/v1/anonymize", content=encode(scene, "PNG"), params={"verify": "true", "max_faces": "1"})
        assert answer.headers["X-Facet-Faces"] == "1"
        assert len(faces_in(client, answer.content)) == 1


@pytest.mark.parametrize("style", ["mosaic", "blur", "solid"])
def test_hidden_faces_are_compared_with_their_originals(
    identity_stack: Stack, astronaut_jpeg: bytes, style: str
) -> None:
    with client_of(identity_stack) as client:
        answer = client.post("/v1/anonymize", content=astronaut_jpeg, params={"verify": "true", "style": style})
        assert answer.status_code == 200, answer.text
        assert answer.headers["X-Facet-Check"].endswith("identity=compared")
        assert faces_in(client, answer.content) == []


def test_a_face_without_landmarks_is_counted_as_not_compared(identity_stack: Stack, astronaut_jpeg: bytes) -> None:
    with client_of(identity_stack) as client:
        detected = client.post("/v1/detect", content=astronaut_jpeg).json()
        detected["faces"].append({"box": {"x_min": 400, "y_min": 20, "x_max": 460, "y_max": 80}})
        files = {"image": astronaut_jpeg, "faces": json.dumps(detected).encode()}
        answer = client.post("/v1/anonymize", files=files, params={"verify": "true"})
        assert answer.headers["X-Facet-Check"].endswith("identity=compared 1 of 2")


def test_a_hidden_face_that_is_recognised_is_an_error_though_no_search_finds_it(
    identity_stack: Stack, faulty_anonymizer: str, astronaut_jpeg: bytes
) -> None:
    """The search is told to look for larger faces alone, so that the comparison is all that is left."""
    with gateway_of(identity_stack, FACET_ANONYMIZER_TARGET=faulty_anonymizer) as client:
        detected = client.post("/v1/detect", content=astronaut_jpeg).json()
        files = {"image": astronaut_jpeg, "faces": json.dumps(detected).encode()}
        blind = {"min_face_px": "400", "verify": "true", "style": "blur"}
        answer = client.post("/v1/anonymize", files=files, params=blind)
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:facet:error:STILL_RECOGNISABLE")


def test_an_anonymizer_that_hides_nothing_is_found_out(
    stack: Stack, faulty_anonymizer: str, astronaut_jpeg: bytes
) -> None:
    with gateway_of(stack, FACET_ANONYMIZER_TARGET=faulty_anonymizer, FACET_GATEWAY_VERIFY="true") as client:
        answer = client.post("/v1/anonymize", content=astronaut_jpeg)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["type"] == "urn:facet:error:STILL_RECOGNISABLE"
        assert "style=solid" in problem["detail"]


def test_every_result_is_checked_where_the_owner_says_so(stack: Stack, astronaut_jpeg: bytes) -> None:
    with gateway_of(stack, FACET_GATEWAY_VERIFY="true") as client:
        answer = client.post("/v1/anonymize", content=astronaut_jpeg)
        assert answer.headers["X-Facet-Check"] == "passed; escalated=0; identity=not compared"


def test_an_embedder_that_hangs_or_ends_does_not_fail_the_check(astronaut_jpeg: bytes) -> None:
    own = Stack(embedder=True)
    try:
        assert own.embedder is not None
        with client_of(own) as client:
            compared = client.post("/v1/anonymize", content=astronaut_jpeg, params={"verify": "true"})
            assert compared.headers["X-Facet-Check"].endswith("identity=compared")
            with suspended(own.embedder):
                hung = client.post("/v1/anonymize", content=astronaut_jpeg, params={"verify": "true"})
            own.embedder.stop()
            ended = client.post("/v1/anonymize", content=astronaut_jpeg, params={"verify": "true"})
            for answer in (hung, ended):
                assert answer.status_code == 200, answer.text
                assert answer.headers["X-Facet-Check"].endswith("identity=not compared")
            selective = client.post("/v1/anonymize", files={"image": astronaut_jpeg, "keep": astronaut_jpeg})
            assert selective.status_code == 503
            assert "embedder" in selective.json()["detail"]
    finally:
        own.stop()


async def test_known_faces_are_aligned_as_detected_ones(stack: Stack, astronaut_jpeg: bytes) -> None:
    async with detector_at(stack.detector.target) as detector:
        request = detect_request(astronaut_jpeg)
        request.config.include_aligned = True
        [face] = (await detector.DetectFaces(request, timeout=TIMEOUT_S)).faces
        bare = geometry_pb2.Face(box=face.box)
        answer = await detector.AlignFaces(align_request(astronaut_jpeg, bare, face), timeout=TIMEOUT_S)
    assert [crop.pixels for crop in answer.aligned] == [b"", face.aligned.pixels]
    assert answer.aligned[1].alignment == face.aligned.alignment


@pytest.mark.parametrize(
    ("face", "told"),
    [
        (geometry_pb2.Face(), r"faces\[0\]\.box: "),
        (
            geometry_pb2.Face(
                box=geometry_pb2.BoundingBox(x_max=9, y_max=9),
                landmarks=[geometry_pb2.Landmark(position=geometry_pb2.Point(x=1, y=1))],
            ),
            r"faces\[0\]\.landmarks: ",
        ),
    ],
)
async def test_a_known_face_that_is_none_is_refused(
    stack: Stack, astronaut_jpeg: bytes, face: geometry_pb2.Face, told: str
) -> None:
    async with detector_at(stack.detector.target) as detector:
        with pytest.raises(grpc.aio.AioRpcError, match=told) as refused:
            await detector.AlignFaces(align_request(astronaut_jpeg, face), timeout=TIMEOUT_S)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT

"""A running embedder answers the published vectors, refuses what it must, and says what it is missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from facet.v1 import embedder_pb2 as pb
from facet.v1 import embedder_pb2_grpc
from facet.v1.geometry_pb2 import AlignedFace
from services.embedder.embeddings import FACE_BYTES, FaceBatch
from services.embedder.mobilefacenet import MobileFaceNet
from tests.support.embedders import (
    MOBILEFACENET,
    golden_vectors,
    random_faces,
    running_embedder,
    write_random_weights,
)

TIMEOUT_S = 60
Stub = embedder_pb2_grpc.EmbedderServiceStub


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[grpc.Channel]:
    """To an embedder with a light network of random weights and room for 20 faces."""
    weights = write_random_weights(MobileFaceNet(48), tmp_path_factory.mktemp("weights") / "own-model.pth")
    with running_embedder(weights=str(weights), precision="fp32", queue_size="20") as tier:
        tier.wait_ready()
        with grpc.insecure_channel(tier.target) as opened:
            yield opened


def request(faces: FaceBatch) -> pb.EmbedFacesRequest:
    return pb.EmbedFacesRequest(faces=[AlignedFace(pixels=face.tobytes()) for face in faces])


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["curricular_ir50", MOBILEFACENET])  # all of them: tests/unit/embedder/test_engine.py
def test_embedder_answers_the_golden_vectors_with_and_without_the_flip_test(name: str, shared_dir: Path) -> None:
    with golden_vectors(name, shared_dir) as golden:
        for flip_test, expected in ((False, golden.embedding), (True, golden.flipped)):
            settings = {
                "weights": str(golden.weights),
                "precision": "fp32",
                "flip_test": str(flip_test),
                "max_batch": "4",
            }
            with running_embedder(**settings) as tier:
                tier.wait_ready()
                with grpc.insecure_channel(tier.target) as opened:
                    answer = Stub(opened).EmbedFaces(request(golden.faces), timeout=TIMEOUT_S)

            values = np.array([embedding.values for embedding in answer.embeddings])
            np.testing.assert_allclose(values, expected, atol=1e-4)
            np.testing.assert_allclose([embedding.norm for embedding in answer.embeddings], golden.norm, rtol=1e-4)


def test_model_is_named_after_the_owners_file_and_has_no_threshold(channel: grpc.Channel) -> None:
    model = Stub(channel).GetModel(pb.GetModelRequest(), timeout=TIMEOUT_S)

    name, _, digits = model.model_id.partition("@")
    assert name == "own-model"
    assert len(digits) == 12
    assert model.dimension == 48
    assert not model.HasField("threshold")


def test_published_model_answers_with_its_calibrated_threshold(shared_dir: Path) -> None:
    with running_embedder(weights=str(shared_dir / "weights" / "mobilefacenet.pt")) as tier:
        tier.wait_ready()
        with grpc.insecure_channel(tier.target) as opened:
            model = Stub(opened).GetModel(pb.GetModelRequest(), timeout=TIMEOUT_S)

    assert model.model_id == "mobilefacenet@90a00ba1d8b0"
    assert model.HasField("threshold")
    assert model.threshold_calibration
    assert model.license == "Apache-2.0"


def test_answer_names_the_model_and_tells_times(channel: grpc.Channel) -> None:
    answer = Stub(channel).EmbedFaces(request(random_faces(3)), timeout=TIMEOUT_S)

    assert answer.model_id.startswith("own-model@")
    assert len(answer.embeddings) == 3
    assert answer.device_s > 0
    assert answer.queue_wait_s >= 0


@pytest.mark.parametrize("length", [0, FACE_BYTES - 1, FACE_BYTES + 1])
def test_face_of_a_wrong_length_is_invalid(channel: grpc.Channel, length: int) -> None:
    faces = [AlignedFace(pixels=bytes(FACE_BYTES)), AlignedFace(pixels=bytes(length))]

    with pytest.raises(grpc.RpcError) as refused:
        Stub(channel).EmbedFaces(pb.EmbedFacesRequest(faces=faces), timeout=TIMEOUT_S)

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert f"faces[1].pixels: {length} bytes" in str(refused.value.details())


def test_encoded_picture_is_no_aligned_face(channel: grpc.Channel, astronaut_jpeg: bytes) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        Stub(channel).EmbedFaces(pb.EmbedFacesRequest(faces=[AlignedFace(pixels=astronaut_jpeg)]), timeout=TIMEOUT_S)

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("count", [0, 21])
def test_no_faces_and_more_than_the_queue_holds_are_invalid(channel: grpc.Channel, count: int) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        Stub(channel).EmbedFaces(request(random_faces(count)), timeout=TIMEOUT_S)

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_call_that_finds_the_queue_full_is_refused(channel: grpc.Channel) -> None:
    calls = [Stub(channel).EmbedFaces.future(request(random_faces(20)), timeout=TIMEOUT_S) for _ in range(8)]
    codes = [call.code() for call in calls]

    assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}


def test_stream_answers_in_order_and_survives_a_bad_request(channel: grpc.Channel) -> None:
    faces = random_faces(6)
    requests = [request(faces[index : index + 1]) for index in range(6)]
    requests[2] = pb.EmbedFacesRequest()

    answers = list(
        Stub(channel).StreamEmbedFaces(
            (pb.StreamEmbedFacesRequest(request=item) for item in requests), timeout=TIMEOUT_S
        )
    )

    alone = [Stub(channel).EmbedFaces(item, timeout=TIMEOUT_S) for item in requests if item.faces]
    good = [answer.response for answer in answers if answer.WhichOneof("result") == "response"]
    assert [answer.WhichOneof("result") for answer in answers].index("error") == 2
    assert answers[2].error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    for streamed, unary in zip(good, alone, strict=True):
        np.testing.assert_allclose(streamed.embeddings[0].values, unary.embeddings[0].values, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"weights": "/nowhere/weights.pth"}, "/nowhere/weights.pth"),
        ({"weights": __file__}, "damaged or not a torch weights file"),
        ({"model": "blazeface-full"}, "FACET_EMBEDDER_MODEL"),
    ],
)
def test_embedder_without_usable_weights_is_not_serving_and_says_why(
    settings: dict[str, str], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACET_MODELS_DIR", str(tmp_path))
    with running_embedder(**settings) as tier, grpc.insecure_channel(tier.target) as opened:
        tier.wait_for(lambda line: reason in str(line))
        health = health_pb2_grpc.HealthStub(opened)
        state = health.Check(health_pb2.HealthCheckRequest(service="facet.v1.EmbedderService"), timeout=TIMEOUT_S)
        with pytest.raises(grpc.RpcError) as refused:
            Stub(opened).EmbedFaces(request(random_faces(1)), timeout=TIMEOUT_S)

    assert state.status == health_pb2.HealthCheckResponse.NOT_SERVING
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE

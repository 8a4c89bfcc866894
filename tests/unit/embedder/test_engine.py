"""Embeddings are the published ones, whatever the batch, the precision and the device."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from services.chassis.errors import NotReady
from services.chassis.inference.folding import fold
from services.chassis.inference.openvino import Processors
from services.chassis.inference.precision import Precision
from services.embedder.cuda_backend import PixelNetwork, captured_sizes
from services.embedder.engine import Engine, open_engine
from services.embedder.network import load_network
from services.embedder.openvino_backend import OpenVinoBackend
from services.embedder.options import Device, EngineOptions
from tests.support.embedders import Golden, random_faces

FP32_ON_CPU = EngineOptions(device=Device.CPU, precision=Precision.FP32, threads=2, max_batch=64, flip_test=False)


needs_bf16 = pytest.mark.skipif(not Processors().have_bf16, reason="this processor does not compute in bf16")


def cosines(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    similarities: NDArray[np.float32] = (first * second).sum(axis=1)
    return similarities


def test_engine_answers_the_golden_vectors_with_and_without_the_flip_test(golden: Golden) -> None:
    network = load_network(golden.weights)
    backend = OpenVinoBackend(network, precision=Precision.FP32, threads=2)
    for flip_test, expected in ((False, golden.embedding), (True, golden.flipped)):
        embeddings = Engine(network, backend, flip_test=flip_test, max_batch=4).embed(golden.faces)

        np.testing.assert_allclose(embeddings.values, expected, atol=1e-4)
        np.testing.assert_allclose(embeddings.norms, golden.norm, rtol=1e-4)


@needs_bf16
def test_bf16_drifts_less_than_a_thousandth_from_the_golden_vectors(golden: Golden) -> None:
    embeddings = open_engine(golden.weights, replace(FP32_ON_CPU, precision=Precision.BF16)).embed(golden.faces)

    assert cosines(embeddings.values, golden.embedding).min() > 0.999


@pytest.fixture(scope="module", params=["ir50_weights", "mobilefacenet_weights"])
def weights(request: pytest.FixtureRequest) -> Path:
    path: Path = request.getfixturevalue(request.param)
    return path


def test_lone_face_has_the_same_embedding_in_a_full_batch_in_fp32(weights: Path) -> None:
    engine = open_engine(weights, FP32_ON_CPU)
    faces = random_faces(64)

    together = engine.embed(faces)
    for index in (0, 31, 63):
        alone = engine.embed(faces[index : index + 1])
        np.testing.assert_allclose(alone.values[0], together.values[index], atol=1e-5)
        np.testing.assert_allclose(alone.norms[0], together.norms[index], rtol=1e-5)


@needs_bf16
def test_lone_face_has_the_same_embedding_in_a_full_batch_in_bf16(weights: Path) -> None:
    engine = open_engine(weights, replace(FP32_ON_CPU, precision=Precision.BF16))
    faces = random_faces(64)

    together = engine.embed(faces)
    alone = np.concatenate([engine.embed(faces[index : index + 1]).values for index in (0, 31, 63)])

    assert cosines(alone, together.values[[0, 31, 63]]).min() > 0.9999


def test_embeddings_have_length_one_and_norms_are_those_of_the_raw_output(weights: Path) -> None:
    network = load_network(weights)
    faces = random_faces(3)

    embeddings = open_engine(weights, FP32_ON_CPU).embed(faces)
    with torch.inference_mode():
        raw = PixelNetwork(network, dtype=torch.float32, device=torch.device("cpu"))(torch.from_numpy(faces)).numpy()

    np.testing.assert_allclose(np.linalg.norm(embeddings.values, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(embeddings.norms, np.linalg.norm(raw, axis=1), rtol=1e-4)


def test_mirrored_face_has_the_same_embedding_under_the_flip_test(weights: Path) -> None:
    engine = open_engine(weights, replace(FP32_ON_CPU, flip_test=True))
    faces = random_faces(1)

    mirrored = np.ascontiguousarray(faces[:, :, ::-1])
    np.testing.assert_allclose(engine.embed(faces).values, engine.embed(mirrored).values, atol=1e-5)


def test_preparing_a_network_leaves_the_loaded_one_as_it_was(weights: Path) -> None:
    network = load_network(weights)
    before = {key: value.clone() for key, value in network.module.state_dict().items()}

    PixelNetwork(network, dtype=torch.bfloat16, device=torch.device("cpu"))

    after = network.module.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[key], value) and after[key].dtype is value.dtype for key, value in before.items())


def test_folding_leaves_only_batch_norms_that_open_a_unit(ir50_weights: Path, mobilefacenet_weights: Path) -> None:
    def norms(path: Path) -> list[str]:
        layers = fold(load_network(path).module).named_modules()
        return [name for name, layer in layers if isinstance(layer, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d)]

    assert norms(mobilefacenet_weights) == []
    assert norms(ir50_weights) == [*(f"body.{unit}.res_layer.0" for unit in range(24)), "output_layer.0"]


def test_pixel_network_computes_in_the_dtype_asked_for_and_answers_float32(weights: Path) -> None:
    network = load_network(weights)
    faces = torch.from_numpy(random_faces(2))

    with torch.inference_mode():
        exact = PixelNetwork(network, dtype=torch.float32, device=torch.device("cpu"))(faces)
        rounded = PixelNetwork(network, dtype=torch.bfloat16, device=torch.device("cpu"))(faces)

    assert rounded.dtype is torch.float32
    assert not torch.equal(rounded, exact)
    assert torch.nn.functional.cosine_similarity(rounded, exact).min() > 0.99


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_absent_gpu_that_was_asked_for_is_an_error(mobilefacenet_weights: Path) -> None:
    with pytest.raises(NotReady, match="a GPU was asked for, but torch finds none"):
        open_engine(mobilefacenet_weights, replace(FP32_ON_CPU, device=Device.CUDA))


def test_fp16_on_a_cpu_is_an_error(mobilefacenet_weights: Path) -> None:
    with pytest.raises(NotReady, match="fp16 needs a GPU"):
        open_engine(mobilefacenet_weights, replace(FP32_ON_CPU, precision=Precision.FP16))


def test_auto_takes_bf16_exactly_where_the_processor_has_it(mobilefacenet_weights: Path) -> None:
    engine = open_engine(mobilefacenet_weights, replace(FP32_ON_CPU, precision=Precision.AUTO))

    assert engine.precision is (Precision.BF16 if Processors().have_bf16 else Precision.FP32)


def test_bf16_on_a_processor_without_it_is_an_error(
    mobilefacenet_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.chassis.inference.openvino.BF16_CAPABILITY", "a processor's flag of the future")

    with pytest.raises(NotReady, match="does not compute in bf16"):
        open_engine(mobilefacenet_weights, replace(FP32_ON_CPU, precision=Precision.BF16))


@pytest.mark.parametrize(("max_batch", "sizes"), [(1, (1,)), (2, (1, 2)), (12, (1, 2, 4, 8, 12)), (8, (1, 2, 4, 8))])
def test_captured_sizes_double_up_to_the_largest_batch(max_batch: int, sizes: tuple[int, ...]) -> None:
    assert captured_sizes(max_batch) == sizes

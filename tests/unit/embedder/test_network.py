"""Networks are recognised from their keys and loaded strictly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from services.chassis.errors import NotReady
from services.embedder.ir import Layout, recognise_ir
from services.embedder.network import load_network
from tests.support.embedders import SEEDED, Golden

State = dict[str, Any]


def keys_and_shapes(path: Path) -> dict[str, torch.Size]:
    rows = (line.split("\t") for line in path.read_text().splitlines())
    return {key: torch.Size(int(side) for side in shape.strip("(),").split(",") if side) for key, shape, _ in rows}


def saved(state: object, folder: Path) -> Path:
    path = folder / "file.pth"
    torch.save(state, path)
    return path


@pytest.fixture
def state(mobilefacenet_weights: Path) -> State:
    loaded: State = torch.load(mobilefacenet_weights, weights_only=True)
    return loaded


@pytest.mark.parametrize("name", SEEDED)
def test_depth_layout_and_dimension_are_read_from_published_keys(name: str, shared_dir: Path) -> None:
    shape = recognise_ir(keys_and_shapes(shared_dir / "golden" / f"{name}_keys.txt"))

    assert shape is not None
    assert shape.depth == (101 if name.endswith("101") else 50)
    assert shape.layout is (Layout.TFACE if "tface" in name else Layout.OFFICIAL)
    assert shape.dimension == 512


def test_network_answers_the_golden_vectors(golden: Golden) -> None:
    network = load_network(golden.weights)
    planes = torch.from_numpy(golden.faces).permute(0, 3, 1, 2).float()
    mean = torch.tensor(network.normalisation.mean)[:, None, None]
    deviation = torch.tensor(network.normalisation.deviation)[:, None, None]

    with torch.inference_mode():
        raw = network.module((planes - mean) / deviation).numpy()

    norm = np.linalg.norm(raw, axis=1)
    np.testing.assert_allclose(raw / norm[:, None], golden.embedding, atol=1e-4)
    np.testing.assert_allclose(norm, golden.norm, rtol=1e-4)


def test_embedding_size_is_read_from_the_file(ir50_weights: Path, mobilefacenet_weights: Path) -> None:
    assert load_network(ir50_weights).dimension == 32
    assert load_network(mobilefacenet_weights).dimension == 48


def test_wrapped_and_prefixed_weights_load_like_bare_ones(state: State, tmp_path: Path) -> None:
    wrapped = saved({"epoch": 3, "state_dict": {f"module.{key}": value for key, value in state.items()}}, tmp_path)

    loaded = load_network(wrapped).module.state_dict()

    assert all(torch.equal(loaded[key], value) for key, value in state.items())


def test_half_precision_weights_are_loaded_as_float32(state: State, tmp_path: Path) -> None:
    halved = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}

    assert load_network(saved(halved, tmp_path)).module.state_dict()["conv3.weight"].dtype is torch.float32


def test_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match=r"nowhere\.pth does not exist"):
        load_network(tmp_path / "nowhere.pth")


def test_truncated_file_is_called_damaged(mobilefacenet_weights: Path, tmp_path: Path) -> None:
    truncated = tmp_path / "truncated.pth"
    truncated.write_bytes(mobilefacenet_weights.read_bytes()[:100_000])

    with pytest.raises(NotReady, match=r"truncated\.pth is damaged or not a torch weights file"):
        load_network(truncated)


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"<html>quota exceeded</html>"])
def test_file_of_another_kind_is_called_damaged(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file.pth"
    path.write_bytes(content)

    with pytest.raises(NotReady, match="damaged or not a torch weights file"):
        load_network(path)


class Harmful:
    """What a hostile file could hold: something that acts while it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.trace,)


def test_code_in_a_file_is_not_executed(tmp_path: Path) -> None:
    trace = tmp_path / "executed"

    with pytest.raises(NotReady, match="damaged or not a torch weights file"):
        load_network(saved({"conv1.0.weight": Harmful(trace)}, tmp_path))

    assert not trace.exists()


@pytest.mark.parametrize("content", [{}, {"a": 1}, [1, 2], torch.zeros(3)])
def test_file_without_named_tensors_is_refused(content: object, tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="does not hold named tensors"):
        load_network(saved(content, tmp_path))


def test_unknown_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="does not hold a known embedding network: its 1 keys"):
        load_network(saved({"layer1.0.conv1.weight": torch.zeros(64, 64, 3, 3)}, tmp_path))


def test_missing_key_is_named(state: State, tmp_path: Path) -> None:
    del state["features.3.conv.2.weight"]

    with pytest.raises(NotReady, match=r"(?s)looks like MobileFaceNet but does not fit.*features\.3\.conv\.2\.weight"):
        load_network(saved(state, tmp_path))


def test_surplus_key_is_named(state: State, tmp_path: Path) -> None:
    state["head.weight"] = torch.zeros(3)

    with pytest.raises(NotReady, match=r"(?s)does not fit it.*head\.weight"):
        load_network(saved(state, tmp_path))


def test_wrong_shape_is_named(state: State, tmp_path: Path) -> None:
    state["conv2.0.weight"] = torch.zeros(512, 64, 1, 1)

    with pytest.raises(NotReady, match=r"(?s)does not fit it.*conv2\.0\.weight"):
        load_network(saved(state, tmp_path))


def test_weights_that_are_not_finite_are_called_damaged(state: State, tmp_path: Path) -> None:
    state["conv2.0.weight"][0] = torch.nan

    with pytest.raises(NotReady, match=r"damaged: conv2\.0\.weight holds values that are not finite"):
        load_network(saved(state, tmp_path))

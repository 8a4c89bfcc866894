"""The two networks against the reference implementation's outputs."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from services.chassis.errors import NotReady
from services.chassis.inference.openvino import Processors
from services.chassis.inference.precision import Precision
from services.detector.retinaface.checkpoint import load_network
from services.detector.retinaface.engine import InferenceEngine
from services.detector.retinaface.network import retinaface_mobilenet025, retinaface_resnet50

TOLERANCE = 5e-4
MEAN_BGR = np.array((104, 117, 123), np.float32)


def seeded_state(golden: Path, name: str) -> dict[str, torch.Tensor]:
    """The weights that the golden vectors of that backbone were made with."""
    spec = importlib.util.spec_from_file_location("seeded_weights", golden / "seeded_weights.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    state = module.seeded_state(golden / f"retinaface_{name}_keys.txt", 1)
    return {key: torch.from_numpy(value) for key, value in state.items()}


@pytest.fixture(scope="module", params=["mnet025", "r50"])
def backbone(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def state(backbone: str, shared_dir: Path) -> dict[str, torch.Tensor]:
    return seeded_state(shared_dir / "golden", backbone)


@pytest.fixture(scope="module")
def checkpoint(state: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "seeded.pth"
    torch.save(state, path)
    return path


@pytest.fixture(scope="module")
def engine(checkpoint: Path) -> InferenceEngine:
    return InferenceEngine(load_network(checkpoint), Precision.FP32)


@pytest.mark.parametrize("picture", ["a", "b"])
def test_network_answers_what_the_reference_answers(
    checkpoint: Path, backbone: str, picture: str, shared_dir: Path
) -> None:
    golden = np.load(shared_dir / "golden" / f"retinaface_{backbone}_seed1.npz")
    pixels = torch.from_numpy(golden[f"{picture}_bgr_u8"] - MEAN_BGR).permute(2, 0, 1)[None]
    with torch.inference_mode():
        boxes, logits, landmarks = load_network(checkpoint)(pixels)
    for output, part in ((boxes, "loc"), (logits.softmax(-1), "conf"), (landmarks, "landms")):
        np.testing.assert_allclose(output, golden[f"{picture}_{part}"], atol=TOLERANCE)


@pytest.mark.parametrize("picture", ["a", "b"])
def test_engine_answers_what_the_reference_answers(
    engine: InferenceEngine, backbone: str, picture: str, shared_dir: Path
) -> None:
    golden = np.load(shared_dir / "golden" / f"retinaface_{backbone}_seed1.npz")
    boxes, logits, landmarks = engine(golden[f"{picture}_bgr_u8"][..., ::-1])
    scores = torch.from_numpy(logits).softmax(-1)
    for output, part in ((boxes, "loc"), (scores, "conf"), (landmarks, "landms")):
        np.testing.assert_allclose(output, golden[f"{picture}_{part}"][0], atol=TOLERANCE)


def test_engine_leaves_the_network_as_it_was(checkpoint: Path) -> None:
    network = load_network(checkpoint)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    InferenceEngine(network, Precision.FP32)
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 300), (97, 131), (640, 480)])
def test_engine_answers_what_the_network_answers_at_any_size(
    checkpoint: Path, engine: InferenceEngine, height: int, width: int
) -> None:
    network = load_network(checkpoint)
    picture = np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    pixels = torch.from_numpy(picture[..., ::-1] - MEAN_BGR).permute(2, 0, 1)[None]
    with torch.inference_mode():
        expected = network(pixels)
    for answer, output in zip(engine(picture), expected, strict=True):
        np.testing.assert_allclose(answer, output[0], atol=TOLERANCE)


def test_answers_stay_what_they_are_when_the_next_picture_comes(checkpoint: Path) -> None:
    engine = InferenceEngine(load_network(checkpoint), Processors().resolved(Precision.AUTO))
    pictures = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3), dtype=np.uint8)
    first = engine(pictures[0])
    before = [answer.copy() for answer in first]
    engine(pictures[1])
    assert all(np.array_equal(answer, kept) for answer, kept in zip(first, before, strict=True))


@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "in state_dict"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_checkpoint_loads_with_every_published_wrapping(
    state: dict[str, torch.Tensor], tmp_path: Path, prefix: str, *, wrapped: bool
) -> None:
    content: object = {f"{prefix}{key}": value for key, value in state.items()}
    torch.save({"state_dict": content, "epoch": 250} if wrapped else content, tmp_path / "w.pth")
    loaded = load_network(tmp_path / "w.pth").state_dict()
    assert all(torch.equal(loaded[key].reshape(value.shape), value) for key, value in state.items())


def test_networks_have_the_published_numbers_of_parameters() -> None:
    def size(network: torch.nn.Module) -> int:
        return sum(p.numel() for p in network.parameters())

    assert size(retinaface_mobilenet025()) == 426_608
    assert size(retinaface_resnet50()) == 27_293_600


def test_absent_checkpoint_is_not_ready_and_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match=r"absent\.pth"):
        load_network(tmp_path / "absent.pth")


@pytest.mark.parametrize("content", [b"", b"<html>no</html>", b"PK\x03\x04 truncated", bytes(4096)])
def test_damaged_checkpoint_is_not_ready_and_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "damaged.pth"
    path.write_bytes(content)
    with pytest.raises(NotReady, match=r"damaged\.pth"):
        load_network(path)


def test_truncated_checkpoint_is_not_ready(tmp_path: Path) -> None:
    path = tmp_path / "cut.pth"
    torch.save(retinaface_mobilenet025().state_dict(), path)
    path.write_bytes(path.read_bytes()[:-100_000])
    with pytest.raises(NotReady, match=r"cut\.pth"):
        load_network(path)


def test_checkpoint_with_one_weight_missing_or_reshaped_is_not_ready(tmp_path: Path) -> None:
    state = retinaface_mobilenet025().state_dict()
    missing = {key: value for key, value in state.items() if key != "fpn.merge1.0.weight"}
    torch.save(missing, tmp_path / "missing.pth")
    with pytest.raises(NotReady, match=r"fpn\.merge1\.0\.weight"):
        load_network(tmp_path / "missing.pth")
    state["fpn.merge1.0.weight"] = torch.zeros(1)
    torch.save(state, tmp_path / "reshaped.pth")
    with pytest.raises(NotReady, match=r"fpn\.merge1\.0\.weight"):
        load_network(tmp_path / "reshaped.pth")


def test_checkpoint_with_a_weight_that_is_not_finite_is_not_ready(tmp_path: Path) -> None:
    state = retinaface_mobilenet025().state_dict()
    state["fpn.merge1.0.weight"][0] = torch.nan
    torch.save(state, tmp_path / "broken.pth")
    with pytest.raises(NotReady, match=r"broken\.pth is damaged: fpn\.merge1\.0\.weight"):
        load_network(tmp_path / "broken.pth")


@pytest.mark.parametrize("content", [{"conv.weight": torch.zeros(1)}, {"state_dict": {}}, [1, 2], {"epoch": 3}])
def test_checkpoint_of_something_else_is_not_ready(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(NotReady, match=r"other\.pth"):
        load_network(tmp_path / "other.pth")


def test_checkpoint_that_would_build_objects_is_refused(tmp_path: Path) -> None:
    torch.save({"weights": Path("anything but tensors and plain values")}, tmp_path / "code.pth")
    with pytest.raises(NotReady, match=r"code\.pth"):
        load_network(tmp_path / "code.pth")


@pytest.mark.parametrize(
    ("capability", "precision"),
    [("FP32", Precision.BF16), ("a processor's flag of the future", Precision.FP32)],
)
def test_bfloat16_is_used_only_where_the_processor_has_it(
    monkeypatch: pytest.MonkeyPatch, capability: str, precision: Precision
) -> None:
    monkeypatch.setattr("services.chassis.inference.openvino.BF16_CAPABILITY", capability)  # FP32 is always there
    assert Processors().resolved(Precision.AUTO) is precision


def test_absent_openvino_is_not_ready_and_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, checkpoint: Path
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(NotReady, match="pip install openvino"):
        InferenceEngine(load_network(checkpoint), Precision.FP32)

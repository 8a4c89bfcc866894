"""Where bfloat16 computes wrongly no face is missed or invented: narrow pictures are padded, and float32 takes over."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from services.chassis.errors import NotReady
from services.chassis.inference.openvino import Processors
from services.chassis.inference.precision import Precision
from services.chassis.pictures.geometry import RgbImage, intersection_over_union
from services.detector.retinaface.detector import RetinaFace
from services.detector.retinaface.engine import Answers, InferenceEngine, Run
from services.detector.retinaface.network import RetinaFaceNetwork
from services.detector.retinaface.padding import LEAST_SIDE_PX, inside, padded
from services.detector.retinaface.plan import LARGE_MAX_SCALE, Effort
from services.detector.retinaface.search import RetinaFaceSearch, search_pixels
from services.detector.retinaface.trial import sound

BALANCED = Effort(max_scale=LARGE_MAX_SCALE, max_pixels=80_000_000)
NARROW = [(1, 100), (2, 700), (3, 300), (700, 2), (1, 1), (40, 3)]
"""Width and height."""
Compiled = Callable[[RetinaFaceNetwork, Precision], Run]
Spoil = Callable[[RgbImage, Answers], Answers]


@pytest.fixture(autouse=True)
def processor_with_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.chassis.inference.openvino.BF16_CAPABILITY", "FP32")  # which every processor has


@pytest.fixture(name="weights", scope="module")
def the_weights(shared_dir: Path) -> Path:
    return shared_dir / "weights" / "mobilenet0.25_Final.pth"


@pytest.fixture(name="exact", scope="module")
def the_model_in_float32(weights: Path) -> Iterator[RetinaFace]:
    model = RetinaFace("r", "r@0", weights, Precision.FP32)
    yield model
    model.close()


def spoiling(spoil: Spoil, *, also_float32: bool = False) -> Compiled:
    """Engines that compute in float32, whose answers are spoilt where bfloat16 was asked for."""

    def compiled(network: RetinaFaceNetwork, precision: Precision) -> Run:
        engine = InferenceEngine(network, Precision.FP32)
        if precision is Precision.FP32 and not also_float32:
            return engine
        return lambda picture: spoil(picture, engine(picture))

    return compiled


def unwritten_memory_where_narrow(picture: RgbImage, answers: Answers) -> Answers:
    return unwritten_memory(picture, answers) if min(picture.shape[:2]) < 8 else answers


_dice = np.random.default_rng(0)


def unwritten_memory(picture: RgbImage, answers: Answers) -> Answers:
    del picture
    boxes, logits, landmarks = (_dice.normal(0, 1e6, answer.shape).astype(np.float32) for answer in answers)
    return boxes, logits, landmarks


def slightly_other(picture: RgbImage, answers: Answers) -> Answers:
    del picture
    boxes, logits, landmarks = answers
    return boxes, logits + _dice.normal(0, 1e-3, logits.shape).astype(np.float32), landmarks


def no_face_anywhere(picture: RgbImage, answers: Answers) -> Answers:
    del picture
    boxes, logits, landmarks = answers
    return boxes, np.tile(np.array([9, -9], np.float32), (len(logits), 1)), landmarks


def picture_of(width: int, height: int) -> RgbImage:
    return np.ascontiguousarray(data.astronaut()[60 : 60 + height, 200 : 200 + width])


def balanced(model: RetinaFace, picture: RgbImage) -> list[object]:
    return list(search_pixels(model, picture, BALANCED, min_confidence=0.3))


@pytest.mark.parametrize(("width", "height"), NARROW)
def test_narrow_picture_never_reaches_the_network_as_it_is(
    width: int, height: int, weights: Path, exact: RetinaFace
) -> None:
    model = RetinaFace("r", "r@0", weights, Precision.BF16, compiled=spoiling(unwritten_memory_where_narrow))
    assert model.precision is Precision.BF16
    for picture in (np.full((height, width, 3), 128, np.uint8), np.resize(data.astronaut(), (height, width, 3))):
        assert balanced(model, picture) == balanced(model, picture) == balanced(exact, picture)
    model.close()


@pytest.mark.parametrize("spoil", [unwritten_memory, slightly_other, no_face_anywhere])
def test_bf16_that_computes_wrongly_is_given_up_at_load(
    spoil: Spoil, weights: Path, exact: RetinaFace, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "facet.detector"):
        model = RetinaFace("r", "r@0", weights, Precision.AUTO, compiled=spoiling(spoil))
    assert model.precision is Precision.FP32
    assert [record.message for record in caplog.records] == ["bf16 computes wrongly on this processor: fp32 is used"]
    assert balanced(model, data.astronaut()) == balanced(exact, data.astronaut())
    model.close()


def test_bf16_that_computes_rightly_is_kept(weights: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = RetinaFace("r", "r@0", weights, compiled=spoiling(lambda _, answers: answers))
    assert model.precision is Precision.BF16
    assert not caplog.records
    model.close()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e32])
@pytest.mark.parametrize("output", range(3))
def test_picture_whose_answers_cannot_be_is_searched_again_in_fp32_as_a_whole(
    output: int, value: float, weights: Path, exact: RetinaFace, caplog: pytest.LogCaptureFixture
) -> None:
    """The coarser passes miss the face and say so; the finest one shows that they are not to be trusted."""
    trial_over = False

    def later(picture: RgbImage, answers: Answers) -> Answers:
        if not trial_over:
            return answers
        spoilt = no_face_anywhere(picture, answers)
        if max(picture.shape) > 600:
            spoilt[output][-1, -1] = value
        return spoilt

    model = RetinaFace("r", "r@0", weights, Precision.BF16, compiled=spoiling(later))
    trial_over = True
    search = RetinaFaceSearch(model)
    faces = search._faces(data.astronaut(), BALANCED, min_confidence=0.3)  # noqa: SLF001  (without a file around it)
    assert faces == balanced(exact, data.astronaut())
    assert faces
    assert model.precision is Precision.FP32
    assert len(caplog.records) == 1
    model.close()


def test_answers_that_cannot_be_in_fp32_either_are_an_error_and_no_missed_face(weights: Path) -> None:
    def spoil(picture: RgbImage, answers: Answers) -> Answers:
        del picture
        answers[1][0] = np.nan
        return answers

    model = RetinaFace("r", "r@0", weights, Precision.FP32, compiled=spoiling(spoil, also_float32=True))
    with pytest.raises(RuntimeError, match="not finite"):
        balanced(model, data.astronaut())
    model.close()


def test_asking_for_bf16_where_the_processor_has_none_is_not_ready(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.chassis.inference.openvino.BF16_CAPABILITY", "a processor's flag of the future")
    with pytest.raises(NotReady, match="use auto or fp32"):
        RetinaFace("r", "r@0", weights, Precision.BF16)


@pytest.mark.parametrize("width", [60, 50, 40])
def test_face_in_a_narrow_picture_is_found_in_it(width: int, exact: RetinaFace) -> None:
    part = data.astronaut()[20:230, 145:305]
    picture = cv2.resize(part, (width, round(width * 210 / 160)), interpolation=cv2.INTER_AREA)
    found = exact.find(np.asarray(picture, np.uint8), min_score=0.4)
    assert len(found) == 1
    assert intersection_over_union(np.array([32, 36, 125, 156], np.float32) * (width / 160), found)[0] > 0.5


def test_wide_pictures_are_not_copied_and_narrow_ones_lie_in_the_upper_left() -> None:
    picture = picture_of(100, LEAST_SIDE_PX)
    assert padded(picture) is picture
    canvas = padded(picture_of(100, 5))
    assert canvas.shape == (LEAST_SIDE_PX, 100, 3)
    assert np.array_equal(canvas[:5], picture_of(100, 5))
    assert (canvas[5:] == canvas[-1, -1]).all()


def test_what_lies_beside_a_padded_picture_is_no_face() -> None:
    found = np.zeros((3, 15), np.float32)
    found[:, :4] = [(2, 2, 9, 9), (11, 1, 30, 30), (-9, -9, -1, 5)]
    assert inside(found, height=10, width=10)[:, 0].tolist() == [2]


def test_sound_answers_are_numbers_of_a_size_that_can_be() -> None:
    good = np.array([1.0, -7.0], np.float32)
    assert sound([good, good])
    for value in (np.nan, np.inf, -np.inf, 1e32, -200):
        assert not sound([good, np.array([1.0, value, 2.0], np.float32)])


def test_native_bf16_of_this_processor_passes_the_trial_or_is_not_used(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    model = RetinaFace("r", "r@0", weights)
    assert model.precision in (Processors().resolved(Precision.AUTO), Precision.FP32)
    for width, height in NARROW:
        flat = np.full((height, width, 3), 128, np.uint8)
        assert balanced(model, flat) == balanced(model, flat) == []
    model.close()

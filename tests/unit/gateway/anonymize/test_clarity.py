"""Which faces can be told from other people's: the smaller, the sharper they must be."""

from __future__ import annotations

import pytest

from facet.v1 import embedder_pb2
from gateway.anonymize.clarity import UNMEASURED_SIDE_PX, Clarity, ClearFrom

MODEL = embedder_pb2.GetModelResponse(
    clear=[embedder_pb2.ClearFace(side_px=48, norm=11), embedder_pb2.ClearFace(side_px=32, norm=14)]
)


@pytest.mark.parametrize(
    ("side_px", "norm", "clear"),
    [(48, 11, True), (47, 11, False), (48, 10.9, False), (32, 14, True), (31, 30, False), (500, 0, False)],
)
def test_a_face_must_reach_both_values_of_a_step(side_px: float, norm: float, clear: bool) -> None:  # noqa: FBT001
    assert Clarity.of(MODEL).has(side_px, norm) is clear


@pytest.mark.parametrize(
    ("side_px", "norm", "may_be"),
    [(None, None, True), (None, 10, False), (None, 12, True), (20, None, False), (40, None, True), (40, 12, False)],
)
def test_what_is_not_known_speaks_for_nothing(side_px: float | None, norm: float | None, may_be: bool) -> None:  # noqa: FBT001
    assert Clarity.of(MODEL).may_have(side_px, norm) is may_be


def test_a_model_that_was_not_measured_goes_by_size() -> None:
    clarity = Clarity.of(embedder_pb2.GetModelResponse())
    assert clarity.has(UNMEASURED_SIDE_PX, 0)
    assert not clarity.has(UNMEASURED_SIDE_PX - 1, 100)


def test_steps_are_alternatives() -> None:
    assert Clarity(steps=[ClearFrom(side_px=10, norm=1), ClearFrom(side_px=100, norm=0)]).has(100, 0.5)

"""What the embedder tells of its model: its curve, and for which faces that holds, where they were measured."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from facet.v1 import embedder_pb2 as pb
from services.chassis.models.manifest import ClearFace, Curve
from services.embedder.batcher import Batcher
from services.embedder.model import Model
from services.embedder.servicer import Context, EmbedderServicer, Serving

CURVE = Curve(points=((0.2, 1e-2), (0.3, 1e-3), (0.4, 1e-4)), pairs=1000, median_genuine=0.6, calibrated_on="a test")


async def told(curve: Curve | None, clear: tuple[ClearFace, ...]) -> pb.GetModelResponse:
    servicer = EmbedderServicer(stream_window=1)
    model = Model(
        model_id="own@0", sha256="0", path=Path("own.pt"), threshold=None, license="", curve=curve, clear=clear
    )
    servicer.serving = Serving(model=model, dimension=4, batcher=cast(Batcher, None))
    return await servicer.GetModel(pb.GetModelRequest(), cast(Context, None))


async def test_the_curve_and_the_clear_faces_are_answered_as_measured() -> None:
    answer = await told(CURVE, (ClearFace(side_px=64, norm=11), ClearFace(side_px=40, norm=14)))
    assert [point.similarity for point in answer.curve.points] == pytest.approx([0.2, 0.3, 0.4])
    assert [point.false_match_rate for point in answer.curve.points] == [1e-2, 1e-3, 1e-4]
    assert (answer.curve.pairs, answer.curve.calibrated_on) == (1000, "a test")
    assert [(each.side_px, each.norm) for each in answer.clear] == [(64, 11), (40, 14)]


async def test_what_was_never_measured_is_left_out() -> None:
    answer = await told(None, ())
    assert not answer.HasField("curve")
    assert not answer.clear

"""References in their order, a few at a time, and none that is too unclear to know its person by."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import cast

import numpy as np
import pytest

from facet.v1 import detector_pb2, embedder_pb2, geometry_pb2
from gateway.anonymize.deciding import keep, only
from gateway.anonymize.references import DETECTED_AT_ONCE, embed_references
from gateway.anonymize.selection import Reference
from gateway.tiers.deadline import Deadline
from gateway.tiers.pipeline import Pipeline
from services.chassis.errors import InvalidPicture, InvalidRequest, NotReady

MODEL = embedder_pb2.GetModelResponse(
    model_id="m@0",
    dimension=2,
    threshold=0.3,
    clear=[embedder_pb2.ClearFace(side_px=64, norm=11)],
    curve=embedder_pb2.MatchCurve(
        points=[
            embedder_pb2.MatchCurvePoint(similarity=x, false_match_rate=y)
            for x, y in ((0.2, 1e-2), (0.3, 1e-3), (0.4, 1e-4))
        ],
        pairs=10_000,
        median_genuine=0.6,
    ),
)


class ScriptedPipeline:
    """A picture `b"SIDE NORM ANGLE"` shows one face of that side; its embedding has that norm and direction."""

    def __init__(self) -> None:
        self.at_once = self.most_at_once = 0

    async def detect(
        self, content: bytes, _config: detector_pb2.DetectionConfig, _deadline: Deadline
    ) -> detector_pb2.DetectFacesResponse:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self.at_once -= 1
        if content == b"broken":
            raise InvalidPicture("broken")
        side = float(content.split()[0])
        return detector_pb2.DetectFacesResponse(
            faces=[
                geometry_pb2.Face(
                    box=geometry_pb2.BoundingBox(x_max=side, y_max=side / 2),
                    aligned=geometry_pb2.AlignedFace(pixels=content),
                )
            ]
        )

    async def embed_aligned(
        self, aligned: Sequence[geometry_pb2.AlignedFace], _deadline: Deadline
    ) -> tuple[list[embedder_pb2.Embedding], str]:
        rows = [list(map(float, crop.pixels.split())) for crop in aligned]
        return [
            embedder_pb2.Embedding(values=[np.cos(angle), np.sin(angle)], norm=norm) for _, norm, angle in rows
        ], MODEL.model_id


async def references(*contents: bytes, pipeline: ScriptedPipeline | None = None) -> list[Reference]:
    return await embed_references(
        {f"keep[{index}]": content for index, content in enumerate(contents)},
        detection_model="",
        embedding_model=MODEL,
        pipeline=cast(Pipeline, pipeline or ScriptedPipeline()),
        deadline=Deadline(10),
    )


def document(**told: object) -> bytes:
    return json.dumps({"embedding_model": MODEL.model_id, "embedding": [0.0, 2.0], **told}).encode()


async def test_references_stay_in_their_order_whatever_they_are() -> None:
    found = await references(b"100 20 0.5", document(), b"100 20 1.5")
    assert [each.name for each in found] == ["keep[0]", "keep[1]", "keep[2]"]
    assert [each.vector[1] for each in found] == pytest.approx([np.sin(0.5), 1, np.sin(1.5)])
    assert all(each.clear for each in found)


async def test_pictures_are_searched_a_few_at_a_time() -> None:
    pipeline = ScriptedPipeline()
    await references(*[b"100 20 0"] * 64, pipeline=pipeline)
    assert pipeline.most_at_once == DETECTED_AT_ONCE


@pytest.mark.parametrize("unclear", [b"63 20 0", b"100 10.9 0"])
async def test_a_picture_of_an_unclear_face_is_refused_by_its_place(unclear: bytes) -> None:
    with pytest.raises(InvalidRequest, match=r"^keep\[1\]: the face is too small or too blurred to recognise; "):
        await references(b"100 20 0", unclear)


async def test_a_broken_picture_is_refused_by_its_place_with_its_own_reason() -> None:
    with pytest.raises(InvalidPicture, match=r"^keep\[2\]: broken$"):
        await references(b"100 20 0", b"100 20 0", b"broken")


@pytest.mark.parametrize(
    ("told", "clear"),
    [
        ({}, True),
        ({"norm": 10.0}, False),
        ({"norm": 12.0}, True),
        ({"box": {"x_min": 0, "y_min": 0, "x_max": 30, "y_max": 60}}, False),
        ({"box": {"x_min": 0, "y_min": 0, "x_max": 30, "y_max": 70}, "norm": 12.0, "alignment": "five_point"}, True),
    ],
)
async def test_an_embedding_tells_how_clear_it_was_where_it_says_so(told: dict[str, object], clear: bool) -> None:  # noqa: FBT001
    [alone] = await references(document(**told))
    face = {"embedding": [0.0, 1.0], **told}
    [in_an_answer] = await references(json.dumps({"embedding_model": MODEL.model_id, "faces": [face]}).encode())
    assert (alone.clear, in_an_answer.clear) == (clear, clear)


async def test_nobody_is_to_be_hidden_by_an_unclear_reference_alone() -> None:
    unclear = await references(document(norm=3.0))
    with pytest.raises(InvalidRequest, match=r"^keep\[0\]: the face is too small or too blurred"):
        only(MODEL, unclear)
    assert keep(MODEL, unclear).references == unclear


@pytest.mark.parametrize("missing", ["curve", "clear"])
async def test_nobody_is_kept_by_a_model_that_was_not_measured(missing: str) -> None:
    model = embedder_pb2.GetModelResponse()
    model.CopyFrom(MODEL)
    model.ClearField(missing)  # type: ignore[arg-type]
    with pytest.raises(NotReady, match="`facet calibrate`"):
        keep(model, [])
    assert only(model, []).pair_threshold == pytest.approx(0.3)

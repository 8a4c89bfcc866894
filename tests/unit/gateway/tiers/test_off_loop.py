"""Whatever a request holds, the event loop goes on: others are answered meanwhile."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest

from facet.v1 import anonymizer_pb2, detector_pb2, geometry_pb2
from gateway.anonymize.checking import Checker, Hidden
from gateway.anonymize.choosing import GivenChoice
from gateway.anonymize.given_faces import MAX_FACES
from gateway.tiers.deadline import Deadline
from gateway.tiers.off_loop import off_loop
from gateway.tiers.pipeline import Pipeline
from services.chassis.errors import DeadlinePassed
from services.chassis.process.patience import still_awaited
from tests.support.standstill import watched_loop

STANDSTILL_S = 0.1
"""Each of these took seconds."""
FOUND = 400


class Scripted(Pipeline):
    """Finds so many faces beside those that were hidden, and once none."""

    def __init__(self) -> None:
        self._answers = [FOUND, 0]

    async def detect(
        self,
        content: bytes,  # noqa: ARG002
        config: detector_pb2.DetectionConfig,  # noqa: ARG002
        deadline: Deadline,  # noqa: ARG002
    ) -> detector_pb2.DetectFacesResponse:
        faces = [geometry_pb2.Face(box=box(index * 7.0, 3000)) for index in range(self._answers.pop(0))]
        return detector_pb2.DetectFacesResponse(faces=faces)

    async def hide(
        self,
        request: anonymizer_pb2.AnonymizeImageRequest,
        deadline: Deadline,  # noqa: ARG002
    ) -> anonymizer_pb2.AnonymizeImageResponse:
        return anonymizer_pb2.AnonymizeImageResponse(hidden=[region.box for region in request.regions])

    async def align(
        self,
        content: bytes,  # noqa: ARG002
        faces: Sequence[geometry_pb2.Face],
        deadline: Deadline,  # noqa: ARG002
    ) -> list[geometry_pb2.AlignedFace | None]:
        return [None] * len(faces)

    async def embedder_serves(self) -> bool:
        return False


def box(x: float, y: float) -> geometry_pb2.BoundingBox:
    return geometry_pb2.BoundingBox(x_min=x, y_min=y, x_max=x + 5, y_max=y + 5)


def document() -> bytes:
    landmarks = {name: [1.0, 1.0] for name in ("left_eye", "right_eye", "nose_tip", "mouth_left", "mouth_right")}
    corners = ((index % 100 * 10.0, index // 100 * 10.0) for index in range(MAX_FACES))
    faces = [
        {"box": {"x_min": x, "y_min": y, "x_max": x + 5, "y_max": y + 5}, "landmarks": landmarks} for x, y in corners
    ]
    return json.dumps({"width": 4000, "height": 4000, "faces": faces}).encode()


async def test_reading_and_checking_as_many_faces_as_may_be_given_leaves_the_loop_free() -> None:
    content, deadline = document(), Deadline(60)
    async with watched_loop() as loop:
        chosen = await GivenChoice(content).choose(b"", detector_pb2.DetectionConfig(), deadline)
    assert len(chosen.hidden) == MAX_FACES
    assert loop.longest_s < STANDSTILL_S

    some = [geometry_pb2.Face(box=box(index * 7.0, 3000)) for index in range(FOUND)]
    hidden = Hidden(
        original=b"",
        chosen=replace(chosen, hidden=[*chosen.hidden, *some], must_not_show=lambda _found: True),
        picture=anonymizer_pb2.AnonymizeImageResponse(),
        config=detector_pb2.DetectionConfig(),
        redaction=anonymizer_pb2.Redaction(),
        hide_all=False,
    )
    async with watched_loop() as loop:
        checked = await Checker(Scripted()).check(hidden, deadline)
    assert checked.hidden_again == FOUND
    assert loop.longest_s < STANDSTILL_S


async def test_work_is_done_on_another_thread_in_the_callers_context() -> None:
    assert await off_loop(threading.get_ident, Deadline(10)) != threading.get_ident()


async def test_work_ends_when_its_caller_has_left() -> None:
    begun, ended = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        try:
            while True:
                still_awaited()
        finally:
            ended.set()

    call = asyncio.create_task(off_loop(work, Deadline(60)))
    assert await asyncio.to_thread(begun.wait, 10)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await asyncio.to_thread(ended.wait, 10)


async def test_work_ends_when_the_deadline_has_passed() -> None:
    def work() -> None:
        while True:
            still_awaited()

    with pytest.raises(DeadlinePassed):
        await off_loop(work, Deadline(0.05))

"""The event loop goes on, its health check with it, while the regions of a crowd are read and hidden."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from facet.v1 import anonymizer_pb2 as pb
from facet.v1 import geometry_pb2, image_pb2
from services.anonymizer.bounds import MAX_REGIONS
from services.anonymizer.servicer import AnonymizerServicer
from services.chassis.errors import InvalidRequest
from services.chassis.process.metrics import TierMetrics
from services.chassis.process.settings import MIB, PictureLimits
from services.chassis.process.workers import WorkerPool
from tests.support.standstill import watched_loop

STANDSTILL_S = 0.1
"""This took 3 s."""


class Context:
    """Of a caller with time."""

    def time_remaining(self) -> float:
        """Seconds."""
        return 60.0


def request_of(regions: int) -> pb.AnonymizeImageRequest:
    file = io.BytesIO()
    Image.new("RGB", (64, 64)).save(file, "PNG")
    outside = pb.Region(box=geometry_pb2.BoundingBox(x_min=100, y_min=100, x_max=101, y_max=101))
    return pb.AnonymizeImageRequest(image=image_pb2.Image(content=file.getvalue()), regions=[outside] * regions)


@pytest.fixture
def servicer() -> AnonymizerServicer:
    pool = WorkerPool(workers=1, queue_size=1, queue_bytes=MIB, metrics=TierMetrics("test"))
    return AnonymizerServicer(pool, PictureLimits(max_bytes=MIB, max_pixels=MIB), keep_capture_time=False)


async def test_regions_of_a_crowd_leave_the_loop_free(servicer: AnonymizerServicer) -> None:
    context: Any = Context()
    async with watched_loop() as loop:
        assert (await servicer.AnonymizeImage(request_of(MAX_REGIONS), context)).hidden_regions == 0
    assert loop.longest_s < STANDSTILL_S


async def test_more_regions_than_a_call_may_have_are_refused(servicer: AnonymizerServicer) -> None:
    context: Any = Context()
    with pytest.raises(InvalidRequest, match="at most"):
        await servicer.AnonymizeImage(request_of(MAX_REGIONS + 1), context)

"""A detector on the real chassis that a picture can end: `die` ends the process that works on it, `wait` takes long."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import grpc

from facet.v1 import detector_pb2 as pb
from facet.v1 import detector_pb2_grpc
from services.chassis.errors import NotReady
from services.chassis.process.metrics import TierMetrics
from services.chassis.process.settings import TierSettings
from services.chassis.rpc import server
from tests.support.scripted_tier import ScriptedSettings

Context = grpc.aio.ServicerContext[Any, Any]


class MortalTier(detector_pb2_grpc.DetectorServiceServicer):
    """Answers with the process's number."""

    service_name = "facet.v1.DetectorService"

    def __init__(self, _metrics: TierMetrics) -> None:
        self._refusals = 2

    def register(self, running: grpc.aio.Server) -> None:
        """Adds itself."""
        detector_pb2_grpc.add_DetectorServiceServicer_to_server(self, running)

    async def load(self) -> None:
        """Nothing to load."""

    async def close(self) -> None:
        """Nothing to free."""

    async def DetectFaces(self, request: pb.DetectFacesRequest, context: Context) -> pb.DetectFacesResponse:  # noqa: ARG002, N802
        """As the picture says."""
        match request.image.content:
            case b"die":
                os.kill(os.getpid(), signal.SIGKILL)
            case b"wait":
                await asyncio.sleep(1)
            case b"refuse twice" if self._refusals:
                self._refusals -= 1
                raise NotReady("stopping")
        return pb.DetectFacesResponse(model_id=str(os.getpid()))


def main() -> None:
    """Serves."""
    settings: TierSettings = ScriptedSettings()
    server.run("scripted", settings, MortalTier)


if __name__ == "__main__":
    main()

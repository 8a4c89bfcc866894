"""The detector as the chassis runs it: register, load and warm up, close."""

from __future__ import annotations

import asyncio
import io
import threading

import grpc
from PIL import Image
from threadpoolctl import threadpool_limits

from facet.v1 import detector_pb2, detector_pb2_grpc
from services.chassis.models.store import ModelStore
from services.chassis.process.metrics import TierMetrics
from services.chassis.process.workers import WorkerPool
from services.detector.detection import DetectionConfig, detect
from services.detector.models import DetectorModels
from services.detector.search import Recall
from services.detector.servicer import DetectorServicer
from services.detector.settings import DetectorSettings


class DetectorTier:
    """Owns the models and the workers that run them."""

    service_name = detector_pb2.DESCRIPTOR.services_by_name["DetectorService"].full_name

    def __init__(self, settings: DetectorSettings, metrics: TierMetrics) -> None:
        threadpool_limits(1, "blas")  # pictures are worked on side by side: more threads only make them wait
        self._models = DetectorModels(ModelStore(settings.models), settings.options)
        self._pool = WorkerPool(
            workers=settings.workers,
            queue_size=settings.queue_size,
            queue_bytes=settings.queue_bytes,
            metrics=metrics,
        )
        self._metrics = metrics
        self._limits = settings.shared.picture_limits

    def register(self, server: grpc.aio.Server) -> None:
        """Adds the servicer."""
        servicer = DetectorServicer(self._models, self._pool, self._limits, self._metrics)
        detector_pb2_grpc.add_DetectorServiceServicer_to_server(servicer, server)

    async def load(self) -> None:
        """Loads the default model and searches a blank picture once on every worker.

        Raises:
            NotReady: No model is installed, or a system library is missing.
            Overloaded: Callers came first and filled the queue.
        """
        search = await self._pool.run(lambda: self._models.search(""))
        self._metrics.set_default_model(search.model_id(Recall.FAST))
        blank = io.BytesIO()
        Image.new("RGB", (64, 64)).save(blank, "PNG")
        every_worker = threading.Barrier(self._pool.workers)

        def warm_up() -> None:
            every_worker.wait()
            detect(blank.getvalue(), DetectionConfig(), models=self._models, limits=self._limits)

        try:
            await asyncio.gather(*(self._pool.run(warm_up) for _ in range(self._pool.workers)))
        finally:
            every_worker.abort()  # where the warm-up is given up, nobody waits for workers that will not come
        self._limits.memory.measure()

    async def close(self) -> None:
        """Finishes the work in hand, then frees the models."""
        await self._pool.close()
        self._models.close()

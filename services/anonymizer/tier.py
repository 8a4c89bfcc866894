"""The anonymizer as the chassis runs it: register and close; there is nothing to load."""

from __future__ import annotations

import grpc
from threadpoolctl import threadpool_limits

from facet.v1 import anonymizer_pb2, anonymizer_pb2_grpc
from services.anonymizer.servicer import AnonymizerServicer
from services.anonymizer.settings import AnonymizerSettings
from services.chassis.process.metrics import TierMetrics
from services.chassis.process.workers import WorkerPool


class AnonymizerTier:
    """Owns the workers."""

    service_name = anonymizer_pb2.DESCRIPTOR.services_by_name["AnonymizerService"].full_name

    def __init__(self, settings: AnonymizerSettings, metrics: TierMetrics) -> None:
        # Pictures are worked on side by side: a second level of threads only makes them wait.
        threadpool_limits(1, "blas")
        self._pool = WorkerPool(
            workers=settings.workers,
            queue_size=settings.queue_size,
            queue_bytes=settings.queue_bytes,
            metrics=metrics,
        )
        self._limits = settings.shared.picture_limits
        self._keep_capture_time = settings.keep_capture_time

    def register(self, server: grpc.aio.Server) -> None:
        """Adds the servicer."""
        servicer = AnonymizerServicer(self._pool, self._limits, keep_capture_time=self._keep_capture_time)
        anonymizer_pb2_grpc.add_AnonymizerServiceServicer_to_server(servicer, server)

    async def load(self) -> None:
        """Measures the memory that is left for pictures; there is nothing to load."""
        self._limits.memory.measure()

    async def close(self) -> None:
        """Finishes the work in hand."""
        await self._pool.close()

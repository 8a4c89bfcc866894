"""The embedder as the chassis runs it: register, load and warm up, close."""

from __future__ import annotations

import asyncio
import logging

import grpc

from facet.v1 import embedder_pb2, embedder_pb2_grpc
from services.chassis.models.store import ModelStore
from services.chassis.process.metrics import TierMetrics
from services.embedder.batcher import Batcher
from services.embedder.engine import Engine, open_engine
from services.embedder.metrics import BatchMetrics
from services.embedder.model import Model, choose_model
from services.embedder.servicer import EmbedderServicer, Serving
from services.embedder.settings import EmbedderSettings

_log = logging.getLogger("facet.embedder")


class EmbedderTier:
    """Owns the engine and the batcher in front of it."""

    service_name = embedder_pb2.DESCRIPTOR.services_by_name["EmbedderService"].full_name

    def __init__(self, settings: EmbedderSettings, metrics: TierMetrics) -> None:
        self._settings = settings
        self._store = ModelStore(settings.models)
        self._metrics = BatchMetrics(metrics)
        self._servicer = EmbedderServicer(stream_window=settings.max_batch)

    def register(self, server: grpc.aio.Server) -> None:
        """Adds the servicer, which answers UNAVAILABLE until the model is loaded."""
        embedder_pb2_grpc.add_EmbedderServiceServicer_to_server(self._servicer, server)

    async def load(self) -> None:
        """Loads the model, prepares it for the device and warms it up.

        Raises:
            NotReady: No weights are installed, they are damaged, or the device asked for is not there.
        """
        model, engine = await asyncio.to_thread(self._open)
        batcher = Batcher(
            engine.embed,
            max_batch=self._settings.max_batch,
            max_queue=self._settings.queue_size,
            observer=self._metrics,
        )
        self._metrics.loaded(model.model_id)
        self._servicer.serving = Serving(model=model, dimension=engine.dimension, batcher=batcher)
        _log.info(
            "model loaded",
            extra={
                "fields": {
                    "model": model.model_id,
                    "architecture": engine.architecture,
                    "device": engine.device,
                    "precision": engine.precision,
                }
            },
        )

    async def close(self) -> None:
        """Finishes the batch on the device and frees it."""
        if self._servicer.serving is not None:
            await self._servicer.serving.batcher.close()

    def _open(self) -> tuple[Model, Engine]:
        model = choose_model(self._store, name=self._settings.model, weights=self._settings.weights)
        engine = open_engine(model.path, self._settings.engine)
        engine.warm_up()
        return model, engine

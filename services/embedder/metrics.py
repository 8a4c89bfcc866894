"""What the batcher does, as Prometheus metrics."""

from __future__ import annotations

from prometheus_client import Histogram

from services.chassis.process.metrics import SECONDS_BUCKETS, TierMetrics

BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class BatchMetrics:
    """A BatcherObserver that counts into the tier's registry; the queue's own metrics count faces and calls."""

    def __init__(self, metrics: TierMetrics) -> None:
        self._metrics = metrics
        self._batch_faces = Histogram(
            f"{metrics.prefix}_batch_faces", "Faces of a batch.", buckets=BATCH_BUCKETS, registry=metrics.registry
        )
        self._device_seconds = Histogram(
            f"{metrics.prefix}_device_seconds",
            "Time the device worked on a batch.",
            buckets=SECONDS_BUCKETS,
            registry=metrics.registry,
        )

    def loaded(self, model_id: str) -> None:
        """Tells which model embeds."""
        self._metrics.set_default_model(model_id)

    def queued(self, faces: int) -> None:
        """Sets the queue's depth, in faces."""
        self._metrics.queue_depth.set(faces)

    def refused(self) -> None:
        """Counts a refused call."""
        self._metrics.refusals.inc()

    def started(self, *, faces: int, waits_s: list[float]) -> None:
        """Records a batch's size and how long each of its calls waited."""
        self._batch_faces.observe(faces)
        for wait_s in waits_s:
            self._metrics.queue_wait_seconds.observe(wait_s)

    def finished(self, *, device_s: float) -> None:
        """Records the device's time."""
        self._device_seconds.observe(device_s)

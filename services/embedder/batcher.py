"""Dynamic batching: calls wait in a bounded queue, one task hands them to the device in batches.

A batch is what waits when the device falls idle, so batches grow by themselves while it is busy and a lone face never
waits for company. Nothing polls: every change wakes the owner task.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from services.chassis.errors import DeadlinePassed, InvalidRequest, NotReady, Overloaded
from services.chassis.process import tracing
from services.embedder.embeddings import Embeddings, FaceBatch

Embed = Callable[[FaceBatch], Embeddings]  # blocking
_LATEST = 0.2
"""The share of the latest batch in what a face is expected to take."""
_CAUTION = 1.5
"""How much longer than expected a wait may get, for instance where neighbours take processors."""
CLOSING = "the embedder is shutting down"


class BatcherObserver(Protocol):
    """Receives the batcher's events, on the event loop."""

    def queued(self, faces: int) -> None:
        """The queue now holds that many faces."""

    def refused(self) -> None:
        """A call was refused because the queue was full."""

    def started(self, *, faces: int, waits_s: list[float]) -> None:
        """A batch went to the device; one wait for each call in it."""

    def finished(self, *, device_s: float) -> None:
        """The device worked that long on a batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The embeddings of one call."""

    embeddings: Embeddings
    queue_wait_s: float
    """Longest time one of its faces waited for the device."""
    device_s: float
    """How long the device worked on the batches that held its faces."""


class _Call:
    """Faces of one caller on their way through the batcher."""

    def __init__(self, faces: FaceBatch, deadline_s: float | None) -> None:
        self.faces = faces
        self.deadline_s = deadline_s
        self.arrived_s = time.monotonic()
        self.trace = tracing.traceparent()
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.queued = len(faces)  # not yet on the device
        self.batched = 0  # already part of a batch
        self.embedded: list[Embeddings] = []
        self.queue_wait_s = 0.0
        self.device_s = 0.0

    def settle(self, embeddings: Embeddings, device_s: float) -> None:
        """Takes the next part of the answer, and answers once it is whole."""
        self.embedded.append(embeddings)
        self.device_s += device_s
        if self.answer.done() or sum(len(part.norms) for part in self.embedded) < len(self.faces):
            return
        whole = Embeddings(
            values=np.concatenate([part.values for part in self.embedded]),
            norms=np.concatenate([part.norms for part in self.embedded]),
        )
        if not np.isfinite(whole.values).all():
            # Raised to its own caller alone: those who share the batch are well.
            self.answer.set_exception(FloatingPointError("the network's output is not finite"))
            return
        self.answer.set_result(Answer(embeddings=whole, queue_wait_s=self.queue_wait_s, device_s=self.device_s))


@dataclass(frozen=True, slots=True)
class _Part:
    """The faces of one call that share a batch."""

    call: _Call
    start: int
    stop: int

    @property
    def faces(self) -> FaceBatch:
        return self.call.faces[self.start : self.stop]

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class _Batch:
    parts: list[_Part]
    faces: FaceBatch


class Batcher:
    """Owns the queue and the device's one thread. Made, used and closed on one running event loop."""

    def __init__(self, embed: Embed, *, max_batch: int, max_queue: int, observer: BatcherObserver) -> None:
        """Starts the owner task.

        Args:
            embed: embeds a batch of at most `max_batch` faces.
            max_batch: most faces of one batch.
            max_queue: most faces that may wait for the device; a call that would exceed it is refused.
            observer: Receives the events.
        """
        self._embed_batch = embed
        self._max_batch = max_batch
        self._max_queue = max_queue
        self._observer = observer
        self._running = 0  # faces on the device
        self._face_s = 0.0  # what a face takes the device; 0 until it has embedded one
        self._waiting: dict[_Call, None] = {}  # in order of arrival, and quick to leave
        self._queued = 0
        self._changed = asyncio.Event()
        self._closing = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="device")
        self._owner = asyncio.create_task(self._own(), name="batcher")

    async def embed(self, faces: FaceBatch, *, deadline_s: float | None = None) -> Answer:
        """Embeds the faces of one call, together with whoever waits at the same time.

        Args:
            faces: RGB, N x 112 x 112 x 3, N at least 1.
            deadline_s: moment on `time.monotonic`'s clock after which the answer is of no use.

        Raises:
            InvalidRequest: More faces than the queue ever holds.
            Overloaded: The queue is full, or so long that the answer would come after the deadline.
            DeadlinePassed: The deadline passed before the device had a turn for it.
            NotReady: The batcher is closed.
        """
        if len(faces) > self._max_queue:
            raise InvalidRequest(f"{len(faces)} faces in one call; at most {self._max_queue} are accepted")
        if self._closing:
            raise NotReady(CLOSING)
        if self._queued + len(faces) > self._max_queue:
            self._observer.refused()
            raise Overloaded(f"the embedder's queue of {self._max_queue} faces is full")
        expected_s = (self._queued + self._running + len(faces)) * self._face_s * _CAUTION
        if deadline_s is not None and self._queued and time.monotonic() + expected_s > deadline_s:
            self._observer.refused()
            raise Overloaded(f"{self._queued} faces are queued ahead, too many for this deadline")
        call = _Call(faces, deadline_s)
        self._waiting[call] = None
        self._count(len(faces))
        self._changed.set()
        try:
            return await call.answer
        finally:
            self._leave(call)

    async def close(self) -> None:
        """Answers what the device is working on, fails what waits with NotReady, and frees the thread."""
        self._closing = True
        self._changed.set()
        await self._owner
        self._thread.shutdown()

    async def _own(self) -> None:
        running: tuple[_Batch, asyncio.Future[tuple[Embeddings, float]]] | None = None
        staged: _Batch | None = None
        while True:
            await self._changed.wait()
            self._changed.clear()
            if running is not None and running[1].done():
                self._deliver(*running)
                running = None
            if self._closing:
                left_over = [part.call for part in staged.parts] if staged is not None else []
                for call in (*left_over, *self._waiting):
                    self._fail(call, NotReady(CLOSING))
                staged = None
                if running is None:
                    return
                continue
            if running is None:
                batch = self._without_leavers(staged) if staged is not None else None
                batch, staged = batch or self._take(), None
                if batch is not None:
                    running = batch, self._start(batch)
            if running is not None and staged is None and self._is_full_batch_waiting():
                staged = self._take()  # it cannot grow further: copy its pixels together while the device is busy

    def _is_full_batch_waiting(self) -> bool:
        return self._queued >= self._max_batch

    def _take(self) -> _Batch | None:
        """Makes a batch of those who have waited longest; None where nobody waits."""
        parts: list[_Part] = []
        room = self._max_batch
        while room and self._waiting:
            call = next(iter(self._waiting))
            if self._dropped(call):
                continue
            part = _Part(call, call.batched, min(len(call.faces), call.batched + room))
            parts.append(part)
            room -= len(part)
            call.batched = part.stop
            if call.batched == len(call.faces):
                del self._waiting[call]
        return _assemble(parts)

    def _without_leavers(self, batch: _Batch) -> _Batch | None:
        """The batch for those who still wait for it, or None where nobody does."""
        staying = [part for part in batch.parts if not self._dropped(part.call)]
        return batch if len(staying) == len(batch.parts) else _assemble(staying)

    def _dropped(self, call: _Call) -> bool:
        """Whether the caller left or, which is now settled, came too late."""
        if call.answer.done():
            self._leave(call)
            return True
        if call.deadline_s is not None and call.deadline_s <= time.monotonic():
            self._fail(call, DeadlinePassed("the deadline passed while the faces waited for the device"))
            return True
        return False

    def _start(self, batch: _Batch) -> asyncio.Future[tuple[Embeddings, float]]:
        now = time.monotonic()
        waits_s = [now - part.call.arrived_s for part in batch.parts]
        for part, wait_s in zip(batch.parts, waits_s, strict=True):
            part.call.queue_wait_s = wait_s
            tracing.record_span("queue", wait_s, parent=part.call.trace)
            part.call.queued -= len(part)
        self._count(-len(batch.faces))
        self._running = len(batch.faces)
        self._observer.started(faces=len(batch.faces), waits_s=waits_s)
        running = asyncio.get_running_loop().run_in_executor(self._thread, self._timed, batch)
        running.add_done_callback(lambda _: self._changed.set())
        return running

    def _timed(self, batch: _Batch) -> tuple[Embeddings, float]:
        started_s = time.monotonic()
        # A batch belongs to no single call: a trace of its own, linked to the calls that it served.
        links = [part.call.trace for part in batch.parts]
        with tracing.span("batch", links=links, attributes={"facet.faces": len(batch.faces)}):
            embeddings = self._embed_batch(batch.faces)
        return embeddings, time.monotonic() - started_s

    def _deliver(self, batch: _Batch, done: asyncio.Future[tuple[Embeddings, float]]) -> None:
        self._running = 0
        error = done.exception()
        if error is not None:
            for part in batch.parts:
                self._fail(part.call, error)
            return
        embeddings, device_s = done.result()
        self._observer.finished(device_s=device_s)
        latest_s = device_s / len(batch.faces)
        self._face_s = (1 - _LATEST) * self._face_s + _LATEST * latest_s if self._face_s else latest_s
        start = 0
        for part in batch.parts:
            rows = slice(start, start + len(part))
            tracing.record_span(
                "device", device_s, parent=part.call.trace, attributes={"facet.batch_faces": len(batch.faces)}
            )
            part.call.settle(Embeddings(values=embeddings.values[rows], norms=embeddings.norms[rows]), device_s)
            start = rows.stop

    def _fail(self, call: _Call, error: BaseException) -> None:
        self._leave(call)
        if not call.answer.done():
            call.answer.set_exception(error)

    def _leave(self, call: _Call) -> None:
        """Frees what the call still holds of the queue."""
        self._waiting.pop(call, None)
        if call.queued:
            self._count(-call.queued)
            call.queued = 0

    def _count(self, faces: int) -> None:
        self._queued += faces
        self._observer.queued(self._queued)


def _assemble(parts: list[_Part]) -> _Batch | None:
    return _Batch(parts, np.concatenate([part.faces for part in parts])) if parts else None

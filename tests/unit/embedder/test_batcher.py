"""Calls share batches, and nobody is kept from his own answer."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from services.chassis.errors import DeadlinePassed, InvalidRequest, NotReady, Overloaded
from services.embedder.batcher import Batcher
from services.embedder.embeddings import FACE_SHAPE, Embeddings, FaceBatch

PATIENCE_S = 10


def face(number: int) -> FaceBatch:
    """One face that can be told from others: its first two bytes are `number`."""
    return faces(number)


def faces(*numbers: int) -> FaceBatch:
    pixels = np.zeros((len(numbers), *FACE_SHAPE), np.uint8)
    pixels[:, 0, 0, 0] = [number // 256 for number in numbers]
    pixels[:, 0, 0, 1] = [number % 256 for number in numbers]
    return pixels


def numbers_of(batch: FaceBatch) -> list[int]:
    return [int(high) * 256 + int(low) for high, low, _ in batch[:, 0, 0]]


class Device:
    """Embeds a face as its number; can be held, slowed and made to fail."""

    def __init__(self, *, batch_s: float = 0.0) -> None:
        self.batches: list[list[int]] = []
        self.fails_on: int | None = None
        self.working = threading.Event()
        self.may_finish = threading.Event()
        self.may_finish.set()
        self._batch_s = batch_s

    def embed(self, batch: FaceBatch) -> Embeddings:
        numbers = numbers_of(batch)
        self.batches.append(numbers)
        self.working.set()
        assert self.may_finish.wait(PATIENCE_S)
        time.sleep(self._batch_s)
        if self.fails_on in numbers:
            raise RuntimeError("the device failed")
        values = np.array(numbers, np.float32)[:, None]
        return Embeddings(values=values, norms=values[:, 0])

    def hold(self) -> None:
        self.may_finish.clear()
        self.working.clear()

    def release(self) -> None:
        self.may_finish.set()

    async def busy(self) -> None:
        assert await asyncio.to_thread(self.working.wait, PATIENCE_S)


class Log:
    """Remembers what the batcher reports."""

    def __init__(self) -> None:
        self.depths: list[int] = []
        self.refusals = 0
        self.batch_sizes: list[int] = []
        self.waits_s: list[float] = []
        self.devices_s: list[float] = []

    def queued(self, faces: int) -> None:
        self.depths.append(faces)

    def refused(self) -> None:
        self.refusals += 1

    def started(self, *, faces: int, waits_s: list[float]) -> None:
        self.batch_sizes.append(faces)
        self.waits_s += waits_s

    def finished(self, *, device_s: float) -> None:
        self.devices_s.append(device_s)


@asynccontextmanager
async def batching(
    device: Device, log: Log | None = None, *, max_batch: int = 8, max_queue: int = 64
) -> AsyncIterator[Batcher]:
    batcher = Batcher(device.embed, max_batch=max_batch, max_queue=max_queue, observer=log or Log())
    try:
        yield batcher
    finally:
        device.release()
        await batcher.close()


async def queued_calls(batcher: Batcher, device: Device, *batches: FaceBatch) -> list[asyncio.Task[list[int]]]:
    """Holds the device with a first face, 9999, then queues one call a batch behind it, in order."""
    device.hold()
    first = asyncio.create_task(embedded(batcher, face(9999)))
    await device.busy()
    calls = [asyncio.create_task(embedded(batcher, batch)) for batch in batches]
    await asyncio.sleep(0)  # every call reaches the queue
    return [first, *calls]


async def embedded(batcher: Batcher, batch: FaceBatch, *, deadline_s: float | None = None) -> list[int]:
    answer = await batcher.embed(batch, deadline_s=deadline_s)
    assert answer.embeddings.norms.tolist() == answer.embeddings.values[:, 0].tolist()
    return [int(number) for number in answer.embeddings.norms]


async def test_lone_face_does_not_wait_for_company() -> None:
    device = Device()
    async with batching(device) as batcher:
        assert await embedded(batcher, face(7)) == [7]
    assert device.batches == [[7]]


async def test_batch_grows_while_the_device_is_busy() -> None:
    device, log = Device(), Log()
    async with batching(device, log) as batcher:
        calls = await queued_calls(batcher, device, face(1), face(2), face(3))
        device.release()
        assert await asyncio.gather(*calls) == [[9999], [1], [2], [3]]
    assert device.batches == [[9999], [1, 2, 3]]
    assert log.batch_sizes == [1, 3]


async def test_full_batch_leaves_the_rest_for_the_next() -> None:
    device = Device()
    async with batching(device, max_batch=2) as batcher:
        calls = await queued_calls(batcher, device, face(1), face(2), face(3))
        device.release()
        await asyncio.gather(*calls)
    assert device.batches == [[9999], [1, 2], [3]]


async def test_call_larger_than_a_batch_is_split_and_answered_whole() -> None:
    device = Device()
    async with batching(device, max_batch=4) as batcher:
        calls = await queued_calls(batcher, device, faces(*range(10)), face(77))
        device.release()
        assert (await asyncio.gather(*calls))[1:] == [list(range(10)), [77]]
    assert device.batches[1:] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 77]]


async def test_answer_tells_how_long_it_waited_and_how_long_the_device_worked() -> None:
    device, log = Device(batch_s=0.05), Log()
    async with batching(device, log, max_batch=1) as batcher:
        first, second = await asyncio.gather(batcher.embed(face(1)), batcher.embed(faces(2, 3)))
    assert first.queue_wait_s < 0.05
    assert first.device_s >= 0.05
    assert second.queue_wait_s >= 0.1  # behind the first face and its own
    assert second.device_s >= 0.1
    assert len(log.waits_s) == len(log.devices_s) == 3


async def test_call_that_does_not_fit_the_queue_is_refused_at_once() -> None:
    device, log = Device(), Log()
    async with batching(device, log, max_queue=4) as batcher:
        calls = await queued_calls(batcher, device, faces(1, 2), face(3))
        with pytest.raises(Overloaded, match="queue of 4 faces is full"):
            await batcher.embed(faces(4, 5))
        fits = asyncio.create_task(embedded(batcher, face(6)))
        await asyncio.sleep(0)
        device.release()
        assert await asyncio.gather(*calls, fits) == [[9999], [1, 2], [3], [6]]
    assert log.refusals == 1
    assert log.depths[-1] == 0


async def test_call_that_would_be_answered_too_late_is_refused_at_once() -> None:
    device, log = Device(batch_s=0.1), Log()
    async with batching(device, log, max_batch=2, max_queue=100) as batcher:
        await embedded(batcher, faces(0, 1))  # now it is known what a face takes
        crowd = [
            asyncio.create_task(embedded(batcher, faces(*range(number, number + 4)))) for number in range(10, 30, 4)
        ]
        await asyncio.sleep(0)
        sent_s = time.monotonic()
        with pytest.raises(Overloaded, match="too many for this deadline"):
            await embedded(batcher, face(1), deadline_s=sent_s + 0.3)
        assert time.monotonic() - sent_s < 0.05
        await embedded(batcher, face(1), deadline_s=sent_s + 30)
        await asyncio.gather(*crowd)
    assert log.refusals == 1


async def test_call_that_never_fits_the_queue_is_invalid() -> None:
    async with batching(Device(), max_queue=4) as batcher:
        with pytest.raises(InvalidRequest, match="5 faces in one call; at most 4"):
            await batcher.embed(faces(1, 2, 3, 4, 5))


async def test_cancelled_caller_is_dropped_from_batch_and_frees_its_place() -> None:
    device, log = Device(), Log()
    async with batching(device, log, max_queue=2) as batcher:
        first, leaving, staying = await queued_calls(batcher, device, face(1), face(2))
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        late = asyncio.create_task(embedded(batcher, face(3)))
        await asyncio.sleep(0)
        device.release()
        assert list(await asyncio.gather(first, staying, late)) == [[9999], [2], [3]]
    assert device.batches == [[9999], [2, 3]]
    assert log.depths[-1] == 0


async def test_caller_that_leaves_a_batch_made_up_in_advance_is_dropped_from_it() -> None:
    device = Device()
    async with batching(device, max_batch=2) as batcher:
        first, leaving, staying = await queued_calls(batcher, device, face(1), face(2))
        await asyncio.sleep(0.01)  # the full batch is made up while the device is busy
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        device.release()
        assert list(await asyncio.gather(first, staying)) == [[9999], [2]]
    assert device.batches == [[9999], [2]]


async def test_call_whose_deadline_passed_is_dropped_before_the_device() -> None:
    device = Device()
    async with batching(device) as batcher:
        first, other = await queued_calls(batcher, device, face(1))
        late = asyncio.create_task(embedded(batcher, face(2), deadline_s=time.monotonic() + 0.01))
        await asyncio.sleep(0.02)
        device.release()
        with pytest.raises(DeadlinePassed):
            await late
        await asyncio.gather(first, other)
    assert device.batches == [[9999], [1]]


async def test_device_stays_idle_when_everyone_left() -> None:
    device = Device()
    async with batching(device) as batcher:
        first, *leaving = await queued_calls(batcher, device, face(1), face(2))
        for call in leaving:
            call.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        device.release()
        await first
        assert await embedded(batcher, face(3)) == [3]
    assert device.batches == [[9999], [3]]


async def test_failed_batch_fails_its_callers_and_not_the_next() -> None:
    device, log = Device(), Log()
    device.fails_on = 2
    async with batching(device, log, max_batch=2) as batcher:
        calls = await queued_calls(batcher, device, face(1), face(2), face(3))
        device.release()
        answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [str(answer) for answer in answers] == ["[9999]", "the device failed", "the device failed", "[3]"]
    assert log.depths[-1] == 0


async def test_rest_of_a_call_is_not_computed_after_its_first_part_failed() -> None:
    device = Device()
    device.fails_on = 1
    async with batching(device, max_batch=2) as batcher:
        with pytest.raises(RuntimeError, match="the device failed"):
            await batcher.embed(faces(0, 1, 2, 3, 4, 5))
        assert await embedded(batcher, face(8)) == [8]
    assert [4, 5] not in device.batches


async def test_embedding_that_is_not_finite_fails_its_own_caller_alone() -> None:
    def broken_for_one(batch: FaceBatch) -> Embeddings:
        values = np.array([[np.nan if number == 1 else number] for number in numbers_of(batch)], np.float32)
        return Embeddings(values=values, norms=values[:, 0])

    batcher = Batcher(broken_for_one, max_batch=8, max_queue=8, observer=Log())
    broken, well = await asyncio.gather(batcher.embed(face(1)), batcher.embed(face(2)), return_exceptions=True)
    await batcher.close()

    assert isinstance(broken, FloatingPointError)
    assert not isinstance(well, BaseException)


async def test_closing_answers_the_running_batch_and_fails_those_who_wait() -> None:
    device, log = Device(), Log()
    async with batching(device, log, max_batch=2) as batcher:
        running, *waiting = await queued_calls(batcher, device, face(1), face(2), face(3))
        closing = asyncio.create_task(batcher.close())
        with pytest.raises(NotReady):
            await waiting[0]
        assert not running.done()
        device.release()
        await closing
        assert await running == [9999]
        assert all(isinstance(call.exception(), NotReady) for call in waiting)
        with pytest.raises(NotReady):
            await batcher.embed(face(4))
    assert device.batches == [[9999]]
    assert log.depths[-1] == 0


async def test_of_200_concurrent_callers_who_leave_at_random_nobody_gets_anothers_answer() -> None:
    device, log = Device(batch_s=0.002), Log()
    dice = np.random.default_rng(7)

    async def caller(batcher: Batcher, number: int) -> str:
        await asyncio.sleep(dice.uniform(0, 0.05))
        mine = [number * 4 + index for index in range(int(dice.integers(1, 5)))]
        deadline_s = time.monotonic() + dice.uniform(0.001, 0.05) if dice.random() < 0.3 else None
        try:
            async with asyncio.timeout(dice.uniform(0.001, 0.05) if dice.random() < 0.3 else None):
                answer = await embedded(batcher, faces(*mine), deadline_s=deadline_s)
        except (TimeoutError, DeadlinePassed, Overloaded) as error:
            return type(error).__name__
        assert answer == mine
        return "answered"

    async with batching(device, log, max_batch=16, max_queue=400) as batcher:
        outcomes = await asyncio.gather(*(caller(batcher, number) for number in range(200)))
        tasks_left = asyncio.all_tasks() - {asyncio.current_task()}

    assert outcomes.count("answered") > 50
    assert outcomes.count("TimeoutError") > 0
    assert outcomes.count("DeadlinePassed") + outcomes.count("Overloaded") > 0
    assert log.depths[-1] == 0
    assert max(log.batch_sizes) <= 16
    assert len(tasks_left) == 1  # the owner


async def test_overload_at_four_times_capacity_keeps_throughput_and_deadlines() -> None:
    batch_s, max_batch, queue, deadline_s, duration_s = 0.02, 8, 16, 0.5, 1.5
    device, log = Device(batch_s=batch_s), Log()
    refused_after_s: list[float] = []
    answered_after_s: list[float] = []
    capacity_a_s = max_batch / batch_s

    async def caller(batcher: Batcher, number: int) -> None:
        sent_s = time.monotonic()
        try:
            await embedded(batcher, face(number % 65_536), deadline_s=sent_s + deadline_s)
        except Overloaded:
            refused_after_s.append(time.monotonic() - sent_s)
        else:
            answered_after_s.append(time.monotonic() - sent_s)

    async with batching(device, log, max_batch=max_batch, max_queue=queue) as batcher, asyncio.TaskGroup() as callers:
        started_s = time.monotonic()
        sent = 0
        while (elapsed_s := time.monotonic() - started_s) < duration_s:
            while sent < 4 * capacity_a_s * elapsed_s:
                callers.create_task(caller(batcher, sent))
                sent += 1
            await asyncio.sleep(0.002)

    in_a_row = log.batch_sizes[2:-2]
    assert np.mean(in_a_row) >= 0.95 * max_batch  # the device never ran half empty
    assert len(refused_after_s) > len(answered_after_s)
    assert max(refused_after_s) < 0.05
    assert max(answered_after_s) < deadline_s

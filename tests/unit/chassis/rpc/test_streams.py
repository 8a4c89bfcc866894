"""Streams: answers in order, a bounded number of items in work, and a bad item answered with its error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest
from google.rpc.code_pb2 import INTERNAL, INVALID_ARGUMENT
from google.rpc.status_pb2 import Status

from services.chassis.errors import InvalidPicture
from services.chassis.rpc.streams import answer_in_order


async def sent(items: Iterable[int]) -> AsyncIterator[int]:
    for item in items:
        yield item


async def test_slow_item_does_not_let_later_ones_overtake_it() -> None:
    later_ones_done = asyncio.Event()

    async def handle(item: int) -> int:
        if item == 0:
            await later_ones_done.wait()
        elif item == 2:
            later_ones_done.set()
        return item * item

    answers = [answer async for answer in answer_in_order(sent(range(4)), handle, window=3)]
    assert answers == [0, 1, 4, 9]


async def test_no_more_than_the_window_is_in_work_or_taken_from_the_sender() -> None:
    window = 3
    taken, in_work, most_in_work = 0, 0, 0
    window_full = asyncio.Event()

    async def requests() -> AsyncIterator[int]:
        nonlocal taken
        for item in range(50):
            taken += 1
            yield item

    async def handle(item: int) -> int:
        nonlocal in_work, most_in_work
        in_work += 1
        most_in_work = max(most_in_work, in_work)
        if in_work == window:
            window_full.set()
        await window_full.wait()
        in_work -= 1
        return item

    answered = 0
    async for _ in answer_in_order(requests(), handle, window=window):
        answered += 1
        assert taken - answered <= window + 1  # one more is read ahead, to be ready when a place is free
    assert answered == 50
    assert most_in_work == window


async def test_bad_item_is_answered_with_its_status_and_the_stream_goes_on() -> None:
    async def handle(item: int) -> int:
        if item == 1:
            raise InvalidPicture("the picture is empty")
        if item == 2:
            raise ValueError("a secret")
        return item

    first, bad, fault, last = [answer async for answer in answer_in_order(sent(range(4)), handle, window=2)]
    assert (first, last) == (0, 3)
    assert isinstance(bad, Status)
    assert (bad.code, bad.message) == (INVALID_ARGUMENT, "the picture is empty")
    assert isinstance(fault, Status)
    assert (fault.code, fault.message) == (INTERNAL, "internal error")


async def test_empty_stream_has_no_answers() -> None:
    async def handle(item: int) -> int:
        raise AssertionError(item)

    assert [answer async for answer in answer_in_order(sent(()), handle, window=2)] == []


async def test_sender_that_waits_for_each_answer_gets_it_before_it_sends_the_next() -> None:
    answered: asyncio.Queue[int] = asyncio.Queue()

    async def requests() -> AsyncIterator[int]:
        for item in range(3):
            yield item
            assert await answered.get() == item

    async def handle(item: int) -> int:
        return item

    async with asyncio.timeout(10):
        async for answer in answer_in_order(requests(), handle, window=4):
            assert isinstance(answer, int)
            answered.put_nowait(answer)


async def test_items_in_work_are_cancelled_when_the_receiver_leaves() -> None:
    cancelled: list[int] = []
    all_begun = asyncio.Event()

    async def handle(item: int) -> int:
        if item == 0:
            return item
        if item == 3:
            all_begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(item)
            raise
        return item

    answers = answer_in_order(sent(range(10)), handle, window=3)
    assert await anext(answers) == 0
    waiting_for_the_next = asyncio.ensure_future(anext(answers))
    await all_begun.wait()
    waiting_for_the_next.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting_for_the_next
    await asyncio.sleep(0)
    assert cancelled == [1, 2, 3]


async def test_failure_of_the_sender_ends_the_stream_with_it() -> None:
    async def requests() -> AsyncIterator[int]:
        yield 1
        raise ConnectionResetError

    async def handle(item: int) -> int:
        return item

    with pytest.raises(ConnectionResetError):
        _ = [answer async for answer in answer_in_order(requests(), handle, window=2)]

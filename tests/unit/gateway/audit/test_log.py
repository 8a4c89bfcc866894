"""Calls that wait share a write; one that cannot be written is refused, and nothing holds up the event loop."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from gateway.audit import log as log_module
from gateway.audit.chain import Anchor
from gateway.audit.file import AuditFile, Fields
from gateway.audit.log import AuditLog
from gateway.audit.verification import verify
from services.chassis.errors import NotReady
from services.chassis.process.metrics import TierMetrics

ENTRY = {"event": "call"}


class SlowFile(AuditFile):
    """Writes once it may, and counts."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "gateway-0")
        self.may_write = threading.Event()
        self.may_write.set()
        self.writes: list[int] = []

    def append(self, entries: Sequence[Fields]) -> list[Anchor]:
        assert self.may_write.wait(10)
        self.writes.append(len(entries))
        return super().append(entries)


def replaced_by_a_pipe(path: Path) -> Path:
    kept = path.rename(path.with_name("kept"))
    os.mkfifo(path)
    return kept


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@pytest.fixture
def metrics() -> TierMetrics:
    return TierMetrics("gateway")


@pytest.fixture
async def file(path: Path) -> SlowFile:
    return SlowFile(path)


@pytest.fixture
async def log(file: SlowFile, metrics: TierMetrics) -> AsyncIterator[AuditLog]:
    log = AuditLog(file, metrics)
    yield log
    file.may_write.set()
    await log.close()


async def test_calls_that_wait_share_a_write(log: AuditLog, file: SlowFile, path: Path) -> None:
    file.may_write.clear()
    calls = [asyncio.create_task(log.enter(ENTRY)) for _ in range(10)]
    await asyncio.sleep(0.05)  # the loop goes on while the file blocks
    file.may_write.set()
    anchors = await asyncio.gather(*calls)
    assert [anchor.seq for anchor in anchors] == list(range(1, 11))
    assert len(file.writes) <= 2
    assert verify([path]).last == anchors[-1]


async def test_call_whose_caller_left_is_entered_all_the_same(log: AuditLog, file: SlowFile, path: Path) -> None:
    file.may_write.clear()
    left, stays = (asyncio.create_task(log.enter(ENTRY)) for _ in range(2))
    await asyncio.sleep(0.05)
    left.cancel()
    file.may_write.set()
    assert (await stays).seq == 2
    assert verify([path]).last == await stays


async def test_full_queue_refuses(log: AuditLog, file: SlowFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "MAX_WAITING", 3)
    file.may_write.clear()
    first = asyncio.create_task(log.enter(ENTRY))
    await asyncio.sleep(0.05)  # it is being written, and waits no more
    waiting = [asyncio.create_task(log.enter(ENTRY)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(NotReady, match="audit log"):
        await log.enter(ENTRY)
    file.may_write.set()
    assert [anchor.seq for anchor in await asyncio.gather(first, *waiting)] == [1, 2, 3, 4]


async def test_failure_is_told_to_those_it_concerns_and_counted(
    log: AuditLog, path: Path, metrics: TierMetrics
) -> None:
    await log.enter(ENTRY)
    kept = replaced_by_a_pipe(path)
    with pytest.raises(NotReady, match="audit log cannot be written"):
        await log.enter(ENTRY)
    await asyncio.to_thread(path.unlink)
    assert (await log.enter(ENTRY)).seq == 2
    assert len(verify([kept, path]).notices) == 0
    samples = generate_latest(metrics.registry).decode()
    assert "facet_gateway_audit_failures_total 1.0" in samples
    assert "facet_gateway_audit_lines 2.0" in samples

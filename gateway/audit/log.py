"""Enters calls in the audit log without holding up the event loop: those that wait share one write and one sync."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

from prometheus_client import Counter, Gauge

from gateway.audit.chain import Anchor
from gateway.audit.file import AuditFile, Fields
from gateway.audit.unknown import UnknownCallers
from services.chassis.errors import InvalidRequest, NotReady
from services.chassis.process.metrics import TierMetrics

MOST_AT_ONCE = 64
"""Lines of one write."""
MAX_WAITING = 4096

_log = logging.getLogger("facet.audit")
_Waiting = tuple[Fields, asyncio.Future[Anchor]]


class AuditLog:
    """Owns the one thread that writes. Made, used and closed on one running event loop."""

    def __init__(self, file: AuditFile, metrics: TierMetrics) -> None:
        """Writes nothing yet."""
        self._file = file
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="audit")
        self._waiting: list[_Waiting] = []
        self._writing: asyncio.Task[None] | None = None
        self._unknown = UnknownCallers(self.enter)
        self._lines = Gauge(
            f"{metrics.prefix}_audit_lines", "Number of the audit log's last line.", registry=metrics.registry
        )
        self._failures = Counter(
            f"{metrics.prefix}_audit_failures",
            "Calls rejected because they could not be entered in the audit log.",
            registry=metrics.registry,
        )
        self._lines.set(file.last.seq)

    async def enter(self, fields: Fields) -> Anchor:
        """Adds a line; it is on the disk when this returns.

        Raises:
            NotReady: It could not be written.
        """
        if len(self._waiting) >= MAX_WAITING:
            self._failures.inc()
            raise _failure()
        written: asyncio.Future[Anchor] = asyncio.get_running_loop().create_future()
        self._waiting.append((fields, written))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        return await written

    async def enter_refused(self, fields: Fields) -> Anchor | None:
        """Adds a refused call of a caller nobody knows: a line of its own while there are few, else it is counted.

        Raises:
            NotReady: It was to have a line of its own, which could not be written.
        """
        return await self._unknown.enter(fields)

    async def close(self) -> None:
        """Writes what waits, and leaves the file to other processes."""
        await self._unknown.close()
        if self._writing is not None:
            await self._writing
        self._thread.shutdown()
        self._file.close()

    async def _write(self) -> None:
        """Writes as long as somebody waits; whoever comes meanwhile shares the next write."""
        loop = asyncio.get_running_loop()
        while self._waiting:
            now, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
            try:
                anchors = await loop.run_in_executor(self._thread, self._file.append, [fields for fields, _ in now])
            except (OSError, InvalidRequest) as error:
                _log.error("audit log not written", extra={"fields": {"why": str(error), "calls": len(now)}})
                self._refuse(now)
            except Exception:  # noqa: BLE001  (whatever it is: nobody may be left waiting, or be answered)
                _log.exception("audit log not written")
                self._refuse(now)
            else:
                self._lines.set(anchors[-1].seq)
                for (_, written), anchor in zip(now, anchors, strict=True):
                    if not written.done():  # whoever asked may have left
                        written.set_result(anchor)
        self._writing = None

    def _refuse(self, waiting: list[_Waiting]) -> None:
        self._failures.inc(len(waiting))
        for _, written in waiting:
            if not written.done():
                written.set_exception(_failure())


def _failure() -> NotReady:
    return NotReady(
        "the audit log cannot be written, and no call is answered without an entry; try again once the "
        "operator has made room (the gateway's log says what is wrong)"
    )

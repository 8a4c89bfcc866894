"""The life of a process, tier or gateway: start, listen, serve, drain, stop."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from services.chassis.errors import FacetError
from services.chassis.process import logs, tracing
from services.chassis.process.announcement import Announcement, Announcer, State
from services.chassis.process.core_dumps import leave_no_core_dumps
from services.chassis.process.memory import return_memory_at_rest, reuse_freed_memory
from services.chassis.process.metrics import TierMetrics
from services.chassis.process.settings import SharedSettings

_log = logging.getLogger("facet.server")


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One that runs: says how far it has come, and knows when to stop."""

    metrics: TierMetrics
    metrics_port: int
    announcer: Announcer
    stopping: asyncio.Event
    """Set by SIGTERM and SIGINT."""

    def listening(self, port: int, health_port: int | None = None) -> None:
        """Says that its ports are open."""
        said = Announcement(state=State.LISTENING, port=port, health_port=health_port, metrics_port=self.metrics_port)
        _log.info("listening", extra={"fields": said.model_dump(exclude={"state"}, exclude_none=True)})
        self.announcer.announce(said)

    def not_ready(self, reason: str) -> None:
        """Says what it lacks."""
        _log.warning("not ready: %s", reason)
        self.announcer.announce(Announcement.not_ready(reason))

    def ready(self) -> None:
        """Says that it serves."""
        self.metrics.ready.set(1)
        _log.info("ready")
        self.announcer.announce(Announcement(state=State.READY))

    async def until_draining(self, work: asyncio.Task[None]) -> None:
        """Until it is told to stop, or `work` has ended or failed; from then on it is not ready."""
        stopped = asyncio.create_task(self.stopping.wait())
        await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        _log.info("draining")
        self.metrics.ready.set(0)


Serve = Callable[[Process], Awaitable[None]]
"""Opens ports and serves until the process is told to stop, then drains."""


def run(name: str, shared: SharedSettings, metrics_port: int, serve: Serve) -> None:
    """Runs `serve` to its end, with what is around it in every process: signals, log, traces, metrics, memory.

    Exits with 1 and a plain message where a setting is wrong or a port in use: on FacetError and OSError.
    """
    try:
        asyncio.run(_run(name, shared, metrics_port, serve))
    except (OSError, FacetError) as error:
        sys.exit(f"{name}: {error}")


async def _run(name: str, shared: SharedSettings, metrics_port: int, serve: Serve) -> None:
    stopping = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stopping.set)
    announcer = Announcer.inherited()
    logs.configure(name, shared.log_level)
    logs.silence_native_libraries()
    leave_no_core_dumps()
    reuse_freed_memory()
    with tracing.to_collector(name):
        metrics = TierMetrics(name)
        port, stop_metrics = metrics.expose(shared.host, metrics_port)
        resting = asyncio.create_task(return_memory_at_rest())
        try:
            await serve(Process(metrics=metrics, metrics_port=port, announcer=announcer, stopping=stopping))
        finally:
            resting.cancel()
            stop_metrics()
            _log.info("stopped")

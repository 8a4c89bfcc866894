"""The life of a gRPC tier: listen, load, serve, drain, stop. Every tier's `__main__` hands its parts to `run`."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable
from typing import Protocol

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.chassis.errors import FacetError, NotReady, Overloaded
from services.chassis.process import logs, tracing
from services.chassis.process.announcement import Announcement, Announcer, State
from services.chassis.process.core_dumps import leave_no_core_dumps
from services.chassis.process.memory import return_memory_at_rest, reuse_freed_memory
from services.chassis.process.metrics import TierMetrics
from services.chassis.process.settings import TierSettings
from services.chassis.rpc.channels import probe_server_options, server_options
from services.chassis.rpc.health import HealthServicer, add_check_alone
from services.chassis.rpc.interceptors import CallInterceptor
from services.chassis.rpc.tls import Identities, identities_of, server_credentials

_log = logging.getLogger("facet.server")

LOAD_RETRY_S = 2.0
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Tier(Protocol):
    """What a tier adds to the chassis."""

    service_name: str
    """Full name of its gRPC service, which is also its health name."""

    def register(self, server: grpc.aio.Server) -> None:
        """Adds its servicer to the server."""

    async def load(self) -> None:
        """Loads and warms up what it needs to serve.

        Raises:
            NotReady: Something is missing that may appear later, such as weights; it will be called again.
            Overloaded: Callers came first and filled the queue; it will be called again.
        """

    async def close(self) -> None:
        """Frees what it holds, after the last call was answered."""


def run(name: str, settings: TierSettings, make_tier: Callable[[TierMetrics], Tier]) -> None:
    """Serves the tier until SIGTERM or SIGINT.

    Exits with 1 and a plain message where a port is in use or a setting names what does not exist.
    """
    announcer = Announcer.inherited()
    logs.configure(name, settings.shared.log_level)
    logs.silence_native_libraries()
    leave_no_core_dumps()
    reuse_freed_memory()
    try:
        with tracing.to_collector(name):
            asyncio.run(_serve(name, settings, make_tier, announcer))
    except (OSError, FacetError) as error:
        sys.exit(f"{name}: {error}")


async def _serve(
    name: str, settings: TierSettings, make_tier: Callable[[TierMetrics], Tier], announcer: Announcer
) -> None:
    stopping = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stopping.set)

    metrics = TierMetrics(name)
    tier = make_tier(metrics)
    interceptors = [CallInterceptor(metrics, most_s=settings.shared.max_call_s)]
    server = grpc.aio.server(interceptors=interceptors, options=server_options(settings.shared))
    health = HealthServicer(longest_watch_s=settings.shared.max_call_s)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    await health.set(tier.service_name, _NOT_SERVING)
    tier.register(server)

    host = settings.shared.host
    identities = identities_of(settings.shared.tls)
    if identities is not None:
        metrics.tell_end_of_certificate("grpc", lambda: identities.current().ends)
    ports = {"port": _listen(server, host, settings.port, f"FACET_{name.upper()}_PORT", identities)}
    servers = [server]
    if settings.shared.health_port is not None:
        # A server of its own, since gRPC's answers all its services on all its ports.
        probed = grpc.aio.server(interceptors=interceptors, options=probe_server_options(settings.shared))
        add_check_alone(health, probed)
        ports["health_port"] = _listen(probed, host, settings.shared.health_port, "FACET_HEALTH_PORT", None)
        servers.append(probed)
    ports["metrics_port"], stop_metrics = metrics.expose(host, settings.metrics_port)
    for each in servers:
        await each.start()
    _log.info("listening", extra={"fields": ports})
    announcer.announce(Announcement(state=State.LISTENING, **ports))

    resting = asyncio.create_task(return_memory_at_rest())
    loading = asyncio.create_task(_load(tier, health, metrics, announcer))
    stopped = asyncio.create_task(stopping.wait())
    await asyncio.wait({loading, stopped}, return_when=asyncio.FIRST_COMPLETED)
    failure = loading.exception() if loading.done() else None
    if failure is None:
        await stopped
    for task in (stopped, loading, resting):
        task.cancel()

    # The order matters: clients that watch health move away first, only then is the listener closed. Closing at once
    # races with calls that are just arriving, which would end as CANCELLED.
    _log.info("draining")
    metrics.ready.set(0)
    await health.enter_graceful_shutdown()
    await asyncio.sleep(settings.shared.drain_s)
    health.end_watches()
    await asyncio.gather(*(each.stop(settings.shared.grace_s) for each in servers))
    await tier.close()
    stop_metrics()
    _log.info("stopped")
    if failure is not None:
        raise failure


def _listen(server: grpc.aio.Server, host: str, port: int, variable: str, identities: Identities | None) -> int:
    """Opens a port, of mutual TLS with identities; returns its number."""
    address = f"{host}:{port}"
    try:
        if identities is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, server_credentials(identities))
    except RuntimeError as error:
        raise OSError(f"cannot listen on {address}; is the port in use? Choose another with {variable}") from error


async def _load(tier: Tier, health: HealthServicer, metrics: TierMetrics, announcer: Announcer) -> None:
    said = ""
    while True:
        try:
            await tier.load()
        except (NotReady, Overloaded) as error:
            if str(error) != said:
                said = str(error)
                _log.warning("not ready: %s", said)
                announcer.announce(Announcement.not_ready(said))
            await asyncio.sleep(LOAD_RETRY_S)
        else:
            await health.set(tier.service_name, _SERVING)
            metrics.ready.set(1)
            _log.info("ready")
            announcer.announce(Announcement(state=State.READY))
            return

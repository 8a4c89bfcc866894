"""A gRPC tier: how it listens, loads, serves and drains. Every tier's `__main__` hands its parts to `run`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Protocol

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.chassis.errors import NotReady, Overloaded
from services.chassis.process import lifecycle
from services.chassis.process.lifecycle import Process
from services.chassis.process.metrics import TierMetrics
from services.chassis.process.settings import TierSettings
from services.chassis.rpc.channels import probe_server_options, server_options
from services.chassis.rpc.health import HealthServicer, add_check_alone
from services.chassis.rpc.interceptors import CallInterceptor
from services.chassis.rpc.tls import Identities, identities_of, server_credentials

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
    lifecycle.run(name, settings.shared, settings.metrics_port, partial(_serve, name, settings, make_tier))


async def _serve(name: str, settings: TierSettings, make_tier: Callable[[TierMetrics], Tier], process: Process) -> None:
    metrics, shared = process.metrics, settings.shared
    tier = make_tier(metrics)
    interceptors = [CallInterceptor(metrics, most_s=shared.max_call_s)]
    server = grpc.aio.server(interceptors=interceptors, options=server_options(shared))
    health = HealthServicer(longest_watch_s=shared.max_call_s)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    await health.set(tier.service_name, _NOT_SERVING)
    tier.register(server)

    identities = identities_of(shared.tls)
    if identities is not None:
        metrics.export_certificate_expiry("grpc", lambda: identities.current().ends)
    port = _listen(server, shared.host, settings.port, f"FACET_{name.upper()}_PORT", identities)
    servers, health_port = [server], shared.health_port
    if health_port is not None:
        # A server of its own, since gRPC's answers all its services on all its ports.
        probed = grpc.aio.server(interceptors=interceptors, options=probe_server_options(shared))
        add_check_alone(health, probed)
        health_port = _listen(probed, shared.host, health_port, "FACET_HEALTH_PORT", None)
        servers.append(probed)
    for each in servers:
        await each.start()
    process.listening(port, health_port)
    serving = asyncio.create_task(_load(tier, health, process))
    await process.until_draining(serving)
    serving.cancel()

    # The order matters: clients that watch health move away first, only then is the listener closed. Closing at once
    # races with calls that are just arriving, which would end as CANCELLED.
    await health.enter_graceful_shutdown()
    await asyncio.sleep(shared.drain_s)
    health.end_watches()
    await asyncio.gather(*(each.stop(shared.grace_s) for each in servers))
    await tier.close()
    with suppress(asyncio.CancelledError):
        await serving  # raises what loading has failed with


def _listen(server: grpc.aio.Server, host: str, port: int, variable: str, identities: Identities | None) -> int:
    """Opens a port, of mutual TLS with identities; returns its number."""
    address = f"{host}:{port}"
    try:
        if identities is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, server_credentials(identities))
    except RuntimeError as error:
        raise OSError(f"cannot listen on {address}; is the port in use? Choose another with {variable}") from error


async def _load(tier: Tier, health: HealthServicer, process: Process) -> None:
    """Ends when the process is told to stop."""
    said = ""
    while True:
        try:
            await tier.load()
        except (NotReady, Overloaded) as error:
            if str(error) != said:
                said = str(error)
                process.not_ready(said)
            await asyncio.sleep(LOAD_RETRY_S)
        else:
            break
    await health.set(tier.service_name, _SERVING)
    process.ready()
    await process.stopping.wait()

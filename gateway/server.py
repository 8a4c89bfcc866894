"""The life of the gateway: listen, serve, drain, stop."""

from __future__ import annotations

import asyncio
import logging
import math
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from gateway.app import create_app
from gateway.connections import BoundedHttpProtocol
from gateway.draining import Draining
from gateway.identity.authenticator import Authenticator
from gateway.identity.configured import authenticator_of
from gateway.receipts import ReceiptKey
from gateway.settings import GatewaySettings
from gateway.tiers import Tiers
from services.chassis import logs
from services.chassis.errors import InvalidRequest
from services.chassis.memory import reuse_freed_memory
from services.chassis.metrics import TierMetrics

_log = logging.getLogger("facet.server")
_BACKLOG = 2048
_UNTAKEN_MS = 30_000


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the gateway drains before it lets uvicorn stop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures none."""
        yield


def run(settings: GatewaySettings) -> None:
    """Serves until SIGTERM or SIGINT. Exits with 1 and a plain message where a port is in use or a setting is wrong."""
    logs.configure("gateway", settings.shared.log_level)
    reuse_freed_memory()
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    try:
        key = ReceiptKey.load(settings.receipt_key) if settings.receipt_key else None
    except InvalidRequest as error:
        sys.exit(f"FACET_GATEWAY_RECEIPT_KEY: {error}")
    try:
        authenticator = authenticator_of(settings)
    except InvalidRequest as error:
        sys.exit(f"gateway: {error}")
    try:
        asyncio.run(_serve(settings, authenticator, key))
    except OSError as error:
        sys.exit(f"gateway: {error}")


async def _serve(settings: GatewaySettings, authenticator: Authenticator, key: ReceiptKey | None) -> None:
    stopping = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stopping.set)

    listener = _listen(settings)
    metrics = TierMetrics("gateway")
    metrics_port, stop_metrics = metrics.expose(settings.shared.host, settings.metrics_port)
    tiers = Tiers(settings.targets, settings.shared)
    draining = Draining()
    config = uvicorn.Config(
        create_app(settings, tiers, metrics, draining, authenticator=authenticator, key=key),
        http=BoundedHttpProtocol,
        limit_concurrency=settings.max_connections,
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=math.ceil(settings.shared.grace_s),
    )
    server = _Server(config)
    watching = asyncio.create_task(authenticator.watch())
    serving = asyncio.create_task(server.serve([listener]))
    _log.info("listening", extra={"fields": {"port": listener.getsockname()[1], "metrics_port": metrics_port}})
    metrics.ready.set(1)
    stopped = asyncio.create_task(stopping.wait())
    await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)

    _log.info("draining")
    draining.begun = True
    metrics.ready.set(0)
    await asyncio.sleep(settings.shared.drain_s)
    server.should_exit = True
    await serving
    watching.cancel()
    await tiers.close()
    stop_metrics()
    _log.info("stopped")


def _listen(settings: GatewaySettings) -> socket.socket:
    host, port = settings.shared.host, settings.port
    try:
        listener = socket.create_server((host, port), backlog=_BACKLOG)
    except OSError as error:
        raise OSError(
            f"cannot listen on {host}:{port} ({error.strerror}); choose another port with FACET_GATEWAY_PORT"
        ) from error
    # Connections inherit it. asyncio sets it only for sockets made with an explicit protocol; without it an answer's
    # body waits up to 40 ms for the client to acknowledge its headers.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # A client that does not take its answer is dropped.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNTAKEN_MS)
    return listener

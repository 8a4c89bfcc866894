"""The gateway: how it listens, serves and drains."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import uvicorn

from gateway.anonymize.receipts import ReceiptKey
from gateway.app import create_app
from gateway.audit.file import AuditFile
from gateway.audit.log import AuditLog
from gateway.http.acceptor import raise_fd_limit
from gateway.http.admission import Admission, Admitted
from gateway.http.connections import UNREAD_BYTES, BoundedHttpProtocol, BoundedServer
from gateway.http.door import Door
from gateway.http.draining import Draining
from gateway.http.listening import listening
from gateway.http.middleware import log_shows_refusals
from gateway.http.proxies import trusted_networks
from gateway.http.tls import listening_context, served_of
from gateway.identity.configured import authenticator_of
from gateway.settings import GatewaySettings
from gateway.tiers.channels import Tiers
from services.chassis.process import lifecycle, tracing
from services.chassis.process.lifecycle import Process
from services.chassis.process.settings import MIB, naming

_KEEP_ALIVE_S = 75
"""Longer than proxies keep idle connections (60 s mostly), so that none sends a request just as this end closes."""


class _Server(BoundedServer):
    """Without uvicorn's signal handlers: the gateway drains before it lets uvicorn stop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures none."""
        yield


def run(settings: GatewaySettings) -> None:
    """Serves until SIGTERM or SIGINT. Exits with 1 and a plain message where a port is in use or a setting is wrong."""
    lifecycle.run("gateway", settings.shared, settings.metrics_port, partial(_serve, settings))


async def _serve(settings: GatewaySettings, process: Process) -> None:
    metrics = process.metrics
    with naming("FACET_GATEWAY_RECEIPT_KEY"):
        key = ReceiptKey.load(settings.receipt_key) if settings.receipt_key else None
    authenticator = authenticator_of(settings)
    with naming("FACET_GATEWAY_AUDIT_LOG"):
        audit_file = AuditFile(settings.audit_log, socket.gethostname()) if settings.audit_log else None
    listeners = listening(settings)
    tiers = Tiers(settings.targets, settings.shared)
    identities = tiers.identities
    if identities is not None:
        metrics.export_certificate_expiry("grpc", lambda: identities.current().ends)
    served = served_of(settings.tls)
    if served is not None:
        metrics.export_certificate_expiry("http", lambda: served.current().ends)
    draining = Draining()
    audit = AuditLog(audit_file, metrics) if audit_file is not None else None
    most = Admitted(
        requests=settings.max_requests,
        upload_bytes=settings.max_uploads_mib * MIB,
        largest_bytes=settings.shared.max_image_bytes,
        held_up=settings.max_uploads_mib * MIB // UNREAD_BYTES,
    )
    admission = Admission(most, metrics)
    app = create_app(
        settings, tiers, metrics, draining, admission=admission, authenticator=authenticator, key=key, audit=audit
    )
    config = uvicorn.Config(
        app,
        http=BoundedHttpProtocol,
        timeout_keep_alive=_KEEP_ALIVE_S,
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=trusted_networks(settings.trusted_proxies),
        timeout_graceful_shutdown=math.ceil(settings.shared.grace_s),
        ssl_context_factory=(lambda _config, _default: listening_context(served)) if served is not None else None,
    )
    door = None if audit is not None or tracing.is_on() or log_shows_refusals() else Door(admission, metrics, draining)
    server = _Server(config, most_connections=raise_fd_limit(settings.max_connections), door=door)
    serving = asyncio.create_task(server.serve(listeners))
    process.listening(listeners[0].getsockname()[1])
    process.ready()
    await process.until_draining(serving)

    draining.begun = True
    await asyncio.sleep(settings.shared.drain_s)
    server.should_exit = True
    await serving
    if audit is not None:
        await audit.close()
    await tiers.close()

"""The Prometheus metrics that every tier has; a tier adds its own to the same registry."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import (
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    PROCESS_COLLECTOR,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    make_wsgi_app,
    start_http_server,
)

from services.chassis.process.memory_limit import memory_limit_bytes
from services.chassis.version import facet_version

SECONDS_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Up to the gateway's default deadline."""


class TierMetrics:
    """Counts and times calls; names are `facet_<tier>_<what>_<unit>`."""

    def __init__(self, tier: str) -> None:
        self._tier = tier
        self.registry = CollectorRegistry()
        for collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
            self.registry.register(collector)
        self.prefix = f"facet_{tier}"
        self.calls = Counter(
            f"{self.prefix}_calls", "Calls answered, by method and status.", ("method", "code"), registry=self.registry
        )
        self.call_seconds = Histogram(
            f"{self.prefix}_call_duration_seconds",
            "Time from a call's arrival to its answer.",
            ("method",),
            buckets=SECONDS_BUCKETS,
            registry=self.registry,
        )
        self.calls_in_progress = Gauge(
            f"{self.prefix}_calls_in_progress", "Calls in progress or waiting.", registry=self.registry
        )
        self.queue_depth = Gauge(
            f"{self.prefix}_queue_depth", "Pieces of work waiting for a worker.", registry=self.registry
        )
        self.queue_wait_seconds = Histogram(
            f"{self.prefix}_queue_wait_seconds",
            "Time a piece of work waited for a worker.",
            buckets=SECONDS_BUCKETS,
            registry=self.registry,
        )
        self.refusals = Counter(
            f"{self.prefix}_refusals", "Pieces of work rejected because the queue was full.", registry=self.registry
        )
        self.ready = Gauge(f"{self.prefix}_ready", "1 while calls are served, else 0.", registry=self.registry)
        self.certificate_expiry = Gauge(
            f"{self.prefix}_certificate_expiry_timestamp_seconds",
            "When a certificate in use expires, by its use; absent without TLS.",
            ("certificate",),
            registry=self.registry,
        )
        memory_limit = Gauge(
            f"{self.prefix}_memory_limit_bytes",
            "Memory the container may take; infinite without a limit.",
            registry=self.registry,
        )
        memory_limit.set(memory_limit_bytes())
        self._info = Info(
            self.prefix,
            "Version of the software, and the model that answers where a request names none.",
            registry=self.registry,
        )
        self.set_default_model("")

    def set_default_model(self, model_id: str) -> None:
        """Tells which model answers where a request names none; empty for none."""
        self._info.info({"version": facet_version(), "model_id": model_id})

    def export_certificate_expiry(self, use: str, end: Callable[[], datetime]) -> None:
        """Tells when the certificate for `use` ends; `end` is asked at each look, as certificates are renewed."""
        self.certificate_expiry.labels(use).set_function(lambda: end().timestamp())

    def expose(self, host: str, port: int) -> tuple[int, Callable[[], None]]:
        """Serves `/metrics` over HTTP; returns the port bound and a function that stops it.

        Raises:
            OSError: The port is in use.
        """
        try:
            server, thread = start_http_server(port, host, self.registry)
        except OSError as error:
            raise OSError(
                f"cannot listen on {host}:{port} for metrics ({error.strerror}); "
                f"choose another port with FACET_{self._tier.upper()}_METRICS_PORT"
            ) from error

        server.set_app(_answering_head(make_wsgi_app(self.registry)))

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return server.server_port, stop


def _answering_head(application: WSGIApplication) -> WSGIApplication:
    """Answers HEAD as GET, without the body; prometheus_client refuses it."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] != "HEAD":
            return application(environ, start_response)
        list(application({**environ, "REQUEST_METHOD": "GET"}, start_response))
        return []

    return answer

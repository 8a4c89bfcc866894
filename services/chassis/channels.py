"""Client channels: balanced over all replicas, health checked, retried, kept alive, with one message limit."""

from __future__ import annotations

import json

import grpc

from services.chassis.settings import SharedSettings

_RETRIED = ["UNAVAILABLE", "CANCELLED"]  # CANCELLED: what a server that stops gives a call that has just arrived


def service_config(service: str) -> str:
    """The service config, JSON, of a client of `service` (a full name such as facet.v1.DetectorService)."""
    return json.dumps(
        {
            "loadBalancingConfig": [{"round_robin": {}}],
            "healthCheckConfig": {"serviceName": service},
            "methodConfig": [
                {
                    "name": [{"service": service}],
                    "retryPolicy": {
                        "maxAttempts": 4,
                        "initialBackoff": "0.05s",
                        "maxBackoff": "0.5s",
                        "backoffMultiplier": 2,
                        "retryableStatusCodes": _RETRIED,
                    },
                }
            ],
        }
    )


def open_channel(target: str, service: str, settings: SharedSettings) -> grpc.aio.Channel:
    """A channel to every replica behind `target` (any gRPC target; `dns:///name:port` in Kubernetes)."""
    return grpc.aio.insecure_channel(
        target,
        options=[
            ("grpc.service_config", service_config(service)),
            ("grpc.max_send_message_length", settings.max_message_bytes),
            ("grpc.max_receive_message_length", settings.max_message_bytes),
            # A call whose message does not fit this buffer is never retried; the default holds 256 KiB.
            ("grpc.per_rpc_retry_buffer_size", settings.max_message_bytes),
            # New replicas are found within seconds, removed ones forgotten.
            ("grpc.dns_min_time_between_resolutions_ms", 1_000),
            # A neighbour that hangs without closing its connection is noticed.
            ("grpc.keepalive_time_ms", 10_000),
            ("grpc.http2.ping_timeout_ms", 2_000),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),
            ("grpc.initial_reconnect_backoff_ms", 200),
            ("grpc.max_reconnect_backoff_ms", 2_000),
        ],
    )

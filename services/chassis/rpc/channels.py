"""Both ends of the connections between tiers: balanced, health checked, retried, kept alive, with one message limit."""

from __future__ import annotations

import json

import grpc

from services.chassis.process.settings import SharedSettings
from services.chassis.rpc.tls import Identity, channel_credentials

# The numbers of both ends stand here together, because each is right only beside the other's.
#
# Replicas that come and go: a client asks the name server when it loses a connection, and only then. So servers end
# each connection after `max_connection_age_s`, without cutting calls on it, and clients may ask again within a second
# (the default is 30 s). A new replica is used, and a removed one left, within about that age.
_MIN_RESOLUTION_INTERVAL_S = 1.0
# Replicas that hang without closing their connections: a ping goes out after 3 s of silence and must be answered within
# 2 s, so that after 5 s the calls waiting there are sent to another replica. Servers hang up on clients that ping more
# often than they allow, which is every 5 minutes by default.
_PING_AFTER_SILENCE_S = 3.0
_PING_TIMEOUT_S = 2.0
# Replicas whose packets are lost: a ping that waits behind the rest of a picture never times out, but the kernel gives
# up a connection on which nothing was acknowledged for so long. `grpc.keepalive_timeout_ms` sets that
# (TCP_USER_TIMEOUT; 20 s by default) and, beside a ping's own timeout, nothing else.
_UNACKNOWLEDGED_S = 5.0
_MIN_PING_INTERVAL_S = 1.0
# Replicas that start anew at the same address: tried again within seconds, not minutes.
_FIRST_RECONNECT_S = 0.2
_LAST_RECONNECT_S = 2.0

DIRECT: tuple[tuple[str, str | int], ...] = (
    ("grpc.enable_http_proxy", 0),
    # `GRPC_ADDRESS_HTTP_PROXY`, which the first option does not cover; no address is sent through that proxy.
    ("grpc.address_http_proxy_enabled_addresses", ""),
)
"""Options of every channel: pictures go to the tier that was named, and through no proxy that the environment names."""

# Calls that cannot be ended one by one, since their callers take nothing they are sent, end with their connection: so
# long after its age, which is a little more than any call may take.
_UNTAKEN_END_S = 5.0
_MOST_CALLS_OF_A_CONNECTION = 256
"""More than a tier's queue holds; further ones wait in the client."""
_PROBE_BYTES = 4096
_MOST_PROBES_OF_A_CONNECTION = 16
_PROBE_S = 5.0

HANDSHAKE_S = 10.0
"""How long one that connects may take to say hello, of TLS and of HTTP/2; gRPC allows two minutes."""

# CANCELLED: what a server that stops gives a call that has just arrived. gRPC sends a call again only until an answer
# begins. To a caller that asks for it a tier's answer begins when the request has arrived (`replica.py`): what was
# being worked on when its replica ended is not sent again from here. Of others' calls a tier refuses the third attempt.
_RETRIED = ["UNAVAILABLE", "CANCELLED"]


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


def client_options(service: str, settings: SharedSettings) -> list[tuple[str, str | int]]:
    """Channel arguments of every client of `service`."""
    return [
        *DIRECT,
        ("grpc.service_config", service_config(service)),
        *_message_limits(settings),
        # A call whose message does not fit this buffer is never retried; the default holds 256 KiB.
        ("grpc.per_rpc_retry_buffer_size", settings.max_message_bytes),
        ("grpc.dns_min_time_between_resolutions_ms", _ms(_MIN_RESOLUTION_INTERVAL_S)),
        ("grpc.keepalive_time_ms", _ms(_PING_AFTER_SILENCE_S)),
        ("grpc.http2.ping_timeout_ms", _ms(_PING_TIMEOUT_S)),
        ("grpc.keepalive_timeout_ms", _ms(_UNACKNOWLEDGED_S)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.initial_reconnect_backoff_ms", _ms(_FIRST_RECONNECT_S)),
        ("grpc.max_reconnect_backoff_ms", _ms(_LAST_RECONNECT_S)),
    ]


def server_options(settings: SharedSettings) -> list[tuple[str, str | int]]:
    """Channel arguments of every server."""
    return [
        *_message_limits(settings),
        ("grpc.so_reuseport", 0),  # a port in use is an error, not a second server that takes half of the calls
        ("grpc.max_connection_age_ms", _ms(settings.max_connection_age_s)),
        ("grpc.max_connection_age_grace_ms", _ms(settings.max_call_s + _UNTAKEN_END_S)),
        ("grpc.max_concurrent_streams", _MOST_CALLS_OF_A_CONNECTION),
        ("grpc.http2.min_ping_interval_without_data_ms", _ms(_MIN_PING_INTERVAL_S)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.server_handshake_timeout_ms", _ms(HANDSHAKE_S)),
    ]


def probe_server_options(settings: SharedSettings) -> list[tuple[str, str | int]]:
    """Channel arguments of a server that answers probes alone, to everyone."""
    return [
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", _PROBE_BYTES),
        ("grpc.max_connection_age_ms", _ms(settings.max_connection_age_s)),
        ("grpc.max_connection_age_grace_ms", _ms(_PROBE_S)),
        ("grpc.max_concurrent_streams", _MOST_PROBES_OF_A_CONNECTION),
        ("grpc.server_handshake_timeout_ms", _ms(HANDSHAKE_S)),
    ]


def open_channel(
    target: str, service: str, settings: SharedSettings, identity: Identity | None = None
) -> grpc.aio.Channel:
    """A channel to every replica behind `target` (any gRPC target; `dns:///name:port` in Kubernetes).

    With an identity it is mutual TLS, without one plaintext. Nothing else in Facet opens a channel, so that none can
    miss an option.
    """
    options = client_options(service, settings)
    if identity is None:
        return grpc.aio.insecure_channel(target, options=options)
    return grpc.aio.secure_channel(target, channel_credentials(identity), options=options)


def _message_limits(settings: SharedSettings) -> list[tuple[str, str | int]]:
    return [
        ("grpc.max_send_message_length", settings.max_message_bytes),
        ("grpc.max_receive_message_length", settings.max_message_bytes),
    ]


def _ms(seconds: float) -> int:
    return round(seconds * 1000)

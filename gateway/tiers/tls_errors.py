"""Why a TLS connection to a tier failed, in words for its owner."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from services.chassis.rpc.tls import Identity

_NOT_ACCEPTED = re.compile(r"OPENSSL_internal:[A-Z_]+: ([a-z ]+)")


def explain_tls_failure(details: str, tier: str, identity: Identity) -> str | None:
    """What to do about it; None where TLS is not to blame.

    Args:
        details: What gRPC says of the failed call; it names addresses, and so is not for callers.
        tier: Whose.
        identity: The gateway's own.
    """
    if identity.ends <= datetime.now(UTC):
        return f"The gateway's own certificate (FACET_TLS_CERTIFICATE) expired at {identity.ends:%Y-%m-%d %H:%M} UTC."
    if reason := _NOT_ACCEPTED.search(details):
        return f"Its certificate is not accepted: {reason[1]}. It must be valid and of the authority in FACET_TLS_CA."
    if "Hostname Verification" in details:
        return f"Its certificate is not for the name in FACET_{tier.upper()}_TARGET."
    # gRPC's words where no connection comes about; a call that was cut off has no "last error".
    if "handshake failed" in details or ("last error" in details and "Socket closed" in details):
        return (
            "It ended the TLS handshake. Is FACET_TLS_CERTIFICATE set there too, and does it accept the gateway's "
            "certificate: issued by the authority in its FACET_TLS_CA, with the usage `client auth`?"
        )
    return None

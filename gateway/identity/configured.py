"""From the settings to who is known; an address that others can reach is opened to everyone only on purpose."""

from __future__ import annotations

import ipaddress
import logging
import socket
from pathlib import Path

from gateway.identity.authenticator import Anonymous, Authenticator, KeysOrTokens
from gateway.identity.caller import Allowance
from gateway.identity.jwks import JwksFile, JwksUrl
from gateway.identity.key_ring import KeyRing
from gateway.identity.oidc import OidcTokens
from gateway.settings import GatewaySettings, OidcSettings
from services.chassis.errors import InvalidRequest
from services.chassis.process.settings import naming

_log = logging.getLogger("facet.identity")


def authenticator_of(settings: GatewaySettings) -> Authenticator:
    """Knows the callers that the settings name.

    Raises:
        InvalidRequest: A setting is wrong, which the message names; or everyone could call, and nobody asked for that.
    """
    allowance = Allowance(
        requests_per_s=settings.caller_requests_per_s,
        burst=settings.caller_burst,
        at_once=settings.caller_at_once,
    )
    keys = _keys(settings.keys, allowance) if settings.keys is not None else None
    tokens = _tokens(settings.oidc, allowance)
    if keys is not None and tokens is not None:
        return KeysOrTokens(keys, tokens)
    known = keys or tokens
    if known is not None:
        return known
    host = settings.shared.host
    if _is_loopback(host):
        return Anonymous()
    if not settings.allow_anonymous:
        raise InvalidRequest(
            f"FACET_HOST={host} makes this gateway reachable by others, but no authentication is configured. Set "
            "FACET_GATEWAY_KEYS to a file of API keys (`facet keys new` makes one), or FACET_GATEWAY_OIDC_ISSUER, "
            "…_AUDIENCE and …_JWKS; or FACET_GATEWAY_ALLOW_ANONYMOUS=true to let everyone in."
        )
    _log.warning("everyone may call", extra={"fields": {"host": host}})
    return Anonymous()


def _keys(path: Path, allowance: Allowance) -> KeyRing:
    with naming("FACET_GATEWAY_KEYS"):
        return KeyRing(path, allowance)


def _tokens(oidc: OidcSettings, allowance: Allowance) -> OidcTokens | None:
    given = {"ISSUER": oidc.issuer, "AUDIENCE": oidc.audience, "JWKS": oidc.jwks}
    missing = [f"FACET_GATEWAY_OIDC_{name}" for name, value in given.items() if not value]
    if len(missing) == len(given):
        return None
    if missing:
        raise InvalidRequest(f"{' and '.join(missing)}: required when another FACET_GATEWAY_OIDC_… is set")
    with naming("FACET_GATEWAY_OIDC_JWKS"):
        keys = JwksUrl(oidc.jwks) if "://" in oidc.jwks else JwksFile(Path(oidc.jwks))
    return OidcTokens(issuer=oidc.issuer, audience=oidc.audience, keys=keys, allowance=allowance)


def _is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there: every address that the name means is its own."""
    if not host:  # all of them
        return False
    try:
        found = socket.getaddrinfo(host, None)
    except OSError:
        return False
    return all(ipaddress.ip_address(address[0]).is_loopback for *_, address in found)

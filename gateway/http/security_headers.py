"""The headers of every answer: its id, and what a browser may do with it."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Scope

from services.chassis.rpc import request_id

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_HSTS = "max-age=31536000"


def add(headers: MutableHeaders, scope: Scope, current_request_id: str) -> None:
    """Adds them to those of the answer to the request of `scope`."""
    headers[request_id.HEADER] = current_request_id
    for name, value in _HEADERS.items():
        headers[name] = value
    headers.setdefault("Cache-Control", "no-cache" if scope["path"].startswith("/static/") else "no-store")
    if is_for_https_alone(scope):
        headers["Strict-Transport-Security"] = _HSTS


def is_for_https_alone(scope: Scope) -> bool:
    """Whether the browser is to remember that this host speaks HTTPS alone.

    One that remembered it for localhost would refuse everything else that its user runs there.
    """
    return scope["scheme"] == "https" and Headers(raw=scope["headers"]).get("host", "").partition(":")[0] != "localhost"

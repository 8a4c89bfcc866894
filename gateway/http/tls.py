"""TLS at the gateway's HTTP port."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gateway.settings import GatewayTlsSettings
from services.chassis.errors import InvalidRequest
from services.chassis.process.reloaded_files import ReloadedFiles
from services.chassis.rpc.tls import end_of_chain, read_pem


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A certificate with its key, as OpenSSL has them."""

    context: ssl.SSLContext
    ends: datetime
    """When the first certificate of the chain ends."""


def served_of(settings: GatewayTlsSettings) -> ReloadedFiles[Served] | None:
    """The certificate that the settings name, as its files change; None where they name none, which is plaintext.

    Raises:
        InvalidRequest: A file cannot be read, or is not what it should be.
    """
    if settings.certificate is None or settings.key is None:
        return None
    files = settings.certificate, settings.key
    return ReloadedFiles(files, lambda: _read(*files))


def listening_context(served: ReloadedFiles[Served]) -> ssl.SSLContext:
    """For the listener; each handshake shows the certificate of its moment."""
    context = served.current().context

    def show_current(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        """Called in every handshake, also of clients that name no server."""
        connection.context = served.current().context

    context.sni_callback = show_current
    return context


def context_trusting(certificate: Path) -> ssl.SSLContext:
    """For a client on this machine, of a server that must show this very certificate, whatever name that is for."""
    context = ssl.create_default_context(cafile=certificate)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _read(certificate: Path, key: Path) -> Served:
    ends = end_of_chain(certificate, read_pem(certificate))
    read_pem(key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    # Not left to how Python was built. The ciphers are those of TLS 1.2: forward secret and authenticated.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password="")  # without one OpenSSL would ask the terminal
    except ssl.SSLError as error:
        raise InvalidRequest(
            f"{key} does not hold the private key of {certificate} as PEM without a password"
        ) from error
    return Served(context=context, ends=ends)

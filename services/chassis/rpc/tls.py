"""Mutual TLS between the gateway and the tiers: what a process proves itself with, and whom it believes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from services.chassis.errors import InvalidRequest
from services.chassis.process.reloaded_files import ReloadedFiles
from services.chassis.process.settings import TlsSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A certificate with its key, and the authority that others' certificates must be of. All PEM."""

    certificate: bytes
    """The process's own first, then those that lead to the authority, if any."""
    key: bytes
    authority: bytes
    ends: datetime
    """When the first certificate of the chain ends."""


Identities = ReloadedFiles[Identity]


def identities_of(settings: TlsSettings) -> Identities | None:
    """The identity that the settings name, as its files change; None where they name none.

    Raises:
        InvalidRequest: A file cannot be read, or is not what it should be.
    """
    if settings.certificate is None or settings.key is None or settings.ca is None:
        return None
    files = settings.certificate, settings.key, settings.ca
    return ReloadedFiles(files, lambda: _read_identity(*files))


def server_credentials(identities: Identities) -> grpc.ServerCredentials:
    """For a port that takes calls from clients of the same authority alone.

    A client's certificate must allow `client auth`, where it says at all what it allows, and the handshake must be
    TLS 1.2 or later: both are BoringSSL's own rules. Each handshake uses the identity of its moment.
    """
    shown = identities.current()

    def changed() -> grpc.ServerCertificateConfiguration | None:
        """Called by gRPC before each handshake, one at a time."""
        nonlocal shown
        current = identities.current()
        if current is shown:
            return None
        shown = current
        return _configuration(current)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(shown),
        changed,  # type: ignore[arg-type]  # by its documentation it may answer None
        require_client_authentication=True,
    )


def channel_credentials(identity: Identity) -> grpc.ChannelCredentials:
    """For a channel to servers of the same authority, whose certificates are for the name that the target says.

    It keeps this identity: Python's gRPC reads no other into an open channel.
    """
    return grpc.ssl_channel_credentials(identity.authority, identity.key, identity.certificate)


def end_of_chain(certificate: Path, pem: bytes) -> datetime:
    """When the first of these certificates ends.

    Args:
        certificate: Where they are, to be named in the error.
        pem: One or more.

    Raises:
        InvalidRequest: There is none, or one is damaged.
    """
    return min(one.not_valid_after_utc for one in _certificates(certificate, pem))


def read_pem(path: Path) -> bytes:
    """The content of a file of certificates or keys.

    Raises:
        InvalidRequest: It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror}") from error


def _read_identity(certificate: Path, key: Path, authority: Path) -> Identity:
    identity = Identity(
        certificate=(chain := read_pem(certificate)),
        key=read_pem(key),
        authority=read_pem(authority),
        ends=end_of_chain(certificate, chain),
    )
    _certificates(authority, identity.authority)
    try:
        private_key = load_pem_private_key(identity.key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: it wants a password
        raise InvalidRequest(f"{key} does not hold a PEM private key without a password") from error
    if private_key.public_key() != _certificates(certificate, chain)[0].public_key():
        raise InvalidRequest(f"{key} is not the key of {certificate}")
    return identity


def _certificates(path: Path, pem: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise InvalidRequest(f"{path} does not hold a PEM certificate") from error


def _configuration(identity: Identity) -> grpc.ServerCertificateConfiguration:
    pair = identity.key, identity.certificate
    return grpc.ssl_server_certificate_configuration([pair], root_certificates=identity.authority)

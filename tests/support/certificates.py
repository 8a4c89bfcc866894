"""A certificate authority, and Secrets of its certificates as the kubelet mounts them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

SERVER = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH

Secret = dict[str, bytes]
"""Files by name, as cert-manager makes them: `tls.crt`, `tls.key`, `ca.crt`."""


class Authority:
    """Issues certificates."""

    def __init__(self) -> None:
        self._key = generate_private_key(SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "facet-ca")])
        builder = _builder(timedelta(days=1)).subject_name(self._name).issuer_name(self._name)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False
        )
        certificate = builder.public_key(self._key.public_key()).sign(self._key, SHA256())
        self.pem = certificate.public_bytes(Encoding.PEM)

    def issue(
        self,
        *usages: ObjectIdentifier,
        names: Sequence[str] = ("localhost",),
        lifetime_s: float = 3600,
    ) -> Secret:
        """A certificate of 127.0.0.1 and these names, for these usages, that ends in `lifetime_s`."""
        key = generate_private_key(SECP256R1())
        addresses = [*(x509.DNSName(name) for name in names), x509.IPAddress(IPv4Address("127.0.0.1"))]
        builder = _builder(timedelta(seconds=lifetime_s)).subject_name(x509.Name([])).issuer_name(self._name)
        builder = builder.add_extension(x509.SubjectAlternativeName(addresses), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        # Tells authorities of one name apart, as cert-manager's certificates do.
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(issuer, critical=False)
        certificate = builder.public_key(key.public_key()).sign(self._key, SHA256())
        return {
            "tls.crt": certificate.public_bytes(Encoding.PEM),
            "tls.key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            "ca.crt": self.pem,
        }


class MountedSecret:
    """A folder with links through `..data`, which is swapped at one instant."""

    def __init__(self, folder: Path, secret: Secret) -> None:
        folder.mkdir()
        self._folder = folder
        self.certificate, self.key, self.ca = (folder / name for name in ("tls.crt", "tls.key", "ca.crt"))
        self._versions = 0
        self.swap(secret)
        for name in secret:
            (folder / name).symlink_to(Path("..data") / name)

    def swap(self, secret: Secret) -> None:
        """Has the files hold this from now on."""
        data = self._folder / "..data"
        before = data.resolve()
        self._versions += 1
        version = self._folder / f"..{self._versions}"
        version.mkdir()
        for name, content in secret.items():
            (version / name).write_bytes(content)
        link = self._folder / "..data_tmp"
        link.symlink_to(version.name)
        link.rename(data)
        if before != data:  # there was none
            shutil.rmtree(before)

    @property
    def settings(self) -> dict[str, str]:
        """Those of a process that mounts it."""
        return {
            "FACET_TLS_CERTIFICATE": str(self.certificate),
            "FACET_TLS_KEY": str(self.key),
            "FACET_TLS_CA": str(self.ca),
        }


def ends_at(secret: Secret) -> float:
    """When its certificate ends, in seconds since 1970."""
    return x509.load_pem_x509_certificate(secret["tls.crt"]).not_valid_after_utc.timestamp()


def _builder(lifetime: timedelta) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    serial = x509.random_serial_number()
    return (
        x509.CertificateBuilder()
        .serial_number(serial)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + lifetime)
    )

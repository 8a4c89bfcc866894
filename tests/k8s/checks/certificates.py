"""cert-manager's certificates: issued by somebody, for names that callers use, into the Secrets that pods mount."""

from __future__ import annotations

from collections.abc import Iterator

from tests.k8s.manifests import Finding, Manifests, title

_MOUNTED_AT = "/etc/facet/tls"


def certificates_have_an_issuer(manifests: Manifests) -> Iterator[Finding]:
    """Whoever is to sign a certificate, or an authority's Secret, is here."""
    for certificate in manifests.of_kind("Certificate"):
        issuer = certificate["spec"]["issuerRef"]
        if manifests.find(issuer.get("kind", "Issuer"), issuer["name"]) is None:
            yield Finding(where=title(certificate), problem=f"there is no Issuer/{issuer['name']}")
    made = {certificate["spec"]["secretName"] for certificate in manifests.of_kind("Certificate")}
    for issuer in manifests.of_kind("Issuer"):
        secret = issuer["spec"].get("ca", {}).get("secretName")
        if secret is not None and secret not in made:
            yield Finding(where=title(issuer), problem=f"no Certificate makes its Secret/{secret}")


def tiers_hold_a_certificate_of_their_name(manifests: Manifests) -> Iterator[Finding]:
    """The certificate that a tier mounts is for the name of its Service, by which callers verify it."""
    for workload, container in manifests.tier_containers:
        names = {mount["name"] for mount in container.spec.get("volumeMounts", []) if mount["mountPath"] == _MOUNTED_AT}
        for volume in workload.pod.get("volumes", []):
            if volume["name"] not in names:
                continue
            secret = volume["secret"]["secretName"]
            for certificate in manifests.of_kind("Certificate"):
                spec = certificate["spec"]
                if spec["secretName"] == secret and workload.tier not in spec.get("dnsNames", []):
                    yield Finding(
                        where=title(certificate), problem=f"add {workload.tier}, which mounts it, to dnsNames"
                    )

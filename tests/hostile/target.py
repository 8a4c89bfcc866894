"""What is attacked: all tiers, a gateway that is open to everyone and one that asks who calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.hostile.guarded import guarded
from tests.hostile.http_requests import Identities
from tests.support.mutations import LIMITS
from tests.support.processes import RunningTier, Stack, start


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Running processes."""

    open: RunningTier
    guarded: RunningTier
    tiers: Mapping[str, RunningTier]
    """Those that speak gRPC, by name."""
    identities: Identities
    """What the guarded gateway takes."""
    audit_log: Path
    """The guarded gateway's."""

    @property
    def processes(self) -> list[RunningTier]:
        """All of them."""
        return [*self.tiers.values(), self.open, self.guarded]


@contextmanager
def running_target(folder: Path) -> Iterator[Target]:
    """Starts it, with limits that keep every request cheap; its keys lie in the folder."""
    identity = guarded(folder)
    settings = {
        "FACET_MAX_IMAGE_BYTES": str(LIMITS.max_bytes),
        "FACET_MAX_PIXELS": str(LIMITS.max_pixels),
        "FACET_EMBEDDER_MODEL": "mobilefacenet",
    }
    stack = Stack(embedder=True, **settings)
    try:
        assert stack.embedder is not None
        audit_log = folder / "audit.jsonl"
        audit = {"FACET_GATEWAY_AUDIT_LOG": str(audit_log)}
        gateway = start("gateway", **stack.targets(), **settings, **identity.settings, **audit)
        try:
            yield Target(
                open=stack.gateway,
                guarded=gateway,
                tiers={"detector": stack.detector, "anonymizer": stack.anonymizer, "embedder": stack.embedder},
                identities=Identities(key=identity.key, token=identity.token),
                audit_log=audit_log,
            )
        finally:
            gateway.stop()
    finally:
        stack.stop()

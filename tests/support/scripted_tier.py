"""A tier on the real chassis that loads as it is told: `FACET_TEST_SCRIPT=NotReady,Overloaded python -m …`."""

from __future__ import annotations

import os

import grpc
from pydantic_settings import SettingsConfigDict

from services.chassis import errors
from services.chassis.process.metrics import TierMetrics
from services.chassis.process.settings import TierSettings
from services.chassis.rpc import server


class ScriptedSettings(TierSettings):
    """Ports of its own."""

    model_config = SettingsConfigDict(env_prefix="FACET_SCRIPTED_TIER_")

    port: int = 0
    metrics_port: int = 0


class ScriptedTier:
    """Serves nothing but health."""

    service_name = "facet.v1.Scripted"

    def __init__(self, _metrics: TierMetrics) -> None:
        self._script = os.environ["FACET_TEST_SCRIPT"].split(",")

    def register(self, _server: grpc.aio.Server) -> None:
        """Nothing to serve."""

    async def load(self) -> None:
        """Raises the next error of the script; loads once it is through."""
        if self._script:
            raise getattr(errors, self._script.pop(0))("as scripted")

    async def close(self) -> None:
        """Nothing to free."""


if __name__ == "__main__":
    server.LOAD_RETRY_S = 0.05
    server.run("scripted", ScriptedSettings(), ScriptedTier)

"""Starts the gateway: `python -m gateway`."""

from __future__ import annotations

from gateway.server import run
from gateway.settings import GatewaySettings
from services.chassis.process.settings import load_settings

if __name__ == "__main__":
    run(load_settings(GatewaySettings))

"""Starts the gateway: `python -m gateway`."""

from __future__ import annotations

from gateway.server import run
from gateway.settings import GatewaySettings

if __name__ == "__main__":
    run(GatewaySettings())

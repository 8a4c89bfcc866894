"""`python -m services.chassis.rpc.probe PORT [SERVICE]`: ends with 0 where the tier at this port is ready, else with 1.

For health checks of containers, in which there is Python and nothing else that speaks gRPC. SERVICE is the full name of
the tier's, such as facet.v1.DetectorService; without it, whether the process answers. A tier that speaks TLS answers at
FACET_HEALTH_PORT.
"""

from __future__ import annotations

import asyncio
import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.chassis.process.settings import SharedSettings, load_settings
from services.chassis.rpc.channels import open_channel

TIMEOUT_S = 4.0


async def health_of(port: int, service: str) -> str:
    """The status that a tier of this machine tells of a service, as gRPC names it, or why it tells none."""
    async with open_channel(f"127.0.0.1:{port}", service, load_settings(SharedSettings)) as channel:
        asked = health_pb2.HealthCheckRequest(service=service)
        try:
            answer = await health_pb2_grpc.HealthStub(channel).Check(asked, timeout=TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            return f"{error.code().name}: {error.details()}"
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def main() -> None:
    """Asks, and says what the answer was where it is not SERVING."""
    match sys.argv[1:]:
        case [port, *services] if port.isdecimal() and len(services) <= 1:
            status = asyncio.run(health_of(int(port), *services or [""]))
        case _:
            sys.exit("usage: python -m services.chassis.rpc.probe PORT [SERVICE]")
    if status != "SERVING":
        sys.exit(status)


if __name__ == "__main__":
    main()

"""The tiers as the gateway sees them: one channel each, calls with a deadline, errors in the words of the domain."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from opentelemetry.trace import SpanKind

from facet.v1 import (
    anonymizer_pb2,
    anonymizer_pb2_grpc,
    detector_pb2,
    detector_pb2_grpc,
    embedder_pb2,
    embedder_pb2_grpc,
)
from gateway.settings import TargetSettings
from gateway.tiers.deadline import Deadline
from gateway.tiers.retrying import Attempts, Replicas
from gateway.tiers.tls_errors import explain_tls_failure
from services.chassis.errors import NotReady
from services.chassis.process import tracing
from services.chassis.process.settings import SharedSettings
from services.chassis.rpc import replica, request_id
from services.chassis.rpc.channels import open_channel
from services.chassis.rpc.status import from_rpc_error, is_told
from services.chassis.rpc.tls import Identities, Identity, identities_of

HEALTH_TIMEOUT_S = 1.0
SECOND_CHANNEL_S = 5.0
"""How long a second channel tries before it is given up; the next failure opens another."""
CLOSE_GRACE_S = 60.0
"""How long calls may take to finish on a channel that was replaced."""

Response = TypeVar("Response")


@dataclass(frozen=True, slots=True, kw_only=True)
class TierState:
    """Whether a tier serves."""

    ready: bool
    detail: str
    """What to do where it does not; empty when ready."""


class TierClient:
    """One tier: its channel, and how its failures are told."""

    def __init__(  # noqa: PLR0913  (the last two are the same for all tiers)
        self,
        name: str,
        service: str,
        target: str,
        hint: str,
        *,
        settings: SharedSettings,
        identities: Identities | None,
    ) -> None:
        """`hint` says what an owner can do when the tier does not answer; without `identities` it speaks plaintext."""
        self.name = name
        self._open = partial(open_channel, target, service, settings)
        self._identities = identities
        self._shown = self._identity()
        self.channel = self._open(self._shown)
        """The one in use; another after the tier was lost for a while, or the gateway's certificate renewed."""
        self._replacing: asyncio.Task[None] | None = None
        self._tried = self._shown
        """What the second channel shows, while there is one."""
        self._service = service
        self._replicas = Replicas(service)
        self._hint = hint

    async def call(self, method: Callable[..., Awaitable[Response]], request: object, deadline: Deadline) -> Response:
        """Calls a stub's method of this tier.

        Raises:
            FacetError: What the tier answered, or NotReady where it does not answer.
            DeadlinePassed: The deadline passed.
        """
        rpc = type(request).__name__.removesuffix("Request")  # each RPC has a request of its own, named after it
        with tracing.span(f"{self._service}/{rpc}", kind=SpanKind.CLIENT):
            return await self._call(method, request, deadline)

    async def _call(self, method: Callable[..., Awaitable[Response]], request: object, deadline: Deadline) -> Response:
        metadata = [(request_id.HEADER, request_id.current_request_id.get()), (replica.ASKS, "1")]
        if traceparent := tracing.traceparent():
            metadata.append((tracing.TRACEPARENT, traceparent))
        self._replace_channel_of_old_certificate()
        shown = self._shown
        attempts = Attempts(lambda: self._replicas.serving(self.channel), deadline)
        while True:
            try:
                return await method(request, timeout=deadline.remaining_s(), metadata=metadata)
            except grpc.aio.AioRpcError as error:
                self._replace_failing_channel()
                translated = from_rpc_error(error, self.name)
                if await attempts.again(error, refused=isinstance(translated, NotReady) and is_told(error)):
                    continue
                if isinstance(translated, NotReady):
                    translated = NotReady(f"{translated}. {self._advice(error, shown)}")
                raise translated from error

    async def state(self) -> TierState:
        """Asks the tier's health service whether it is ready."""
        stub = health_pb2_grpc.HealthStub(self.channel)
        self._replace_channel_of_old_certificate()
        shown = self._shown
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=self._service), timeout=HEALTH_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            self._replace_failing_channel()
            return TierState(ready=False, detail=f"The {self.name} does not answer. {self._advice(error, shown)}")
        if answer.status == health_pb2.HealthCheckResponse.SERVING:
            return TierState(ready=True, detail="")
        return TierState(ready=False, detail=f"The {self.name} is starting or stopping. {self._hint}")

    async def close(self) -> None:
        """Closes the channel."""
        if self._replacing is not None:
            self._replacing.cancel()
            await asyncio.gather(self._replacing, return_exceptions=True)
        await self.channel.close()

    def _replace_failing_channel(self) -> None:
        """Has a second channel try beside one that reaches nobody.

        A channel waits up to two minutes before it asks the name server again for a name that was unknown, which no
        option of gRPC's changes: a tier that had no replica would be missed for so long after it has one.
        """
        if self.channel.get_state() is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
            self._replace_channel()

    def _replace_channel_of_old_certificate(self) -> None:
        """Has a second channel try that shows the renewed one; where that is refused, the first stays."""
        if self._identity() is not self._shown:
            self._replace_channel()

    def _replace_channel(self) -> None:
        identity = self._identity()
        if self._replacing is not None and not self._replacing.done():
            if identity is self._tried:
                return
            self._replacing.cancel()  # it shows what was renewed meanwhile
        self._tried = identity
        self._replacing = asyncio.create_task(self._try_second_channel(identity))

    async def _try_second_channel(self, shown: Identity | None) -> None:
        unused = self._open(shown)
        try:
            async with asyncio.timeout(SECOND_CHANNEL_S):
                await unused.channel_ready()
            self.channel, unused = unused, self.channel
            self._shown = shown
        except TimeoutError:
            pass  # the tier is still lost
        finally:
            await unused.close(CLOSE_GRACE_S)

    def _identity(self) -> Identity | None:
        return self._identities.current() if self._identities is not None else None

    def _advice(self, error: grpc.aio.AioRpcError, shown: Identity | None) -> str:
        """What to do about a call that failed on a channel that shows this, which may have been renewed meanwhile."""
        failure = explain_tls_failure(error.details() or "", self.name, shown) if shown is not None else None
        return failure or self._hint


class Tiers:
    """The three tiers and their stubs."""

    def __init__(self, targets: TargetSettings, settings: SharedSettings) -> None:
        """Opens the channels; they connect when first used and reconnect by themselves.

        Raises:
            InvalidRequest: A file of `settings.tls` cannot be read, or is not what it should be.
        """
        self.identities = identities = identities_of(settings.tls)
        """What the gateway proves itself with; None without TLS."""
        self.detector = TierClient(
            "detector",
            _full_name(detector_pb2, "DetectorService"),
            targets.detector_target,
            "Is it running, and is a detection model installed? `facet models pull blazeface-full` installs one.",
            settings=settings,
            identities=identities,
        )
        self.embedder = TierClient(
            "embedder",
            _full_name(embedder_pb2, "EmbedderService"),
            targets.embedder_target,
            "Is it running, and is an embedding model installed? `facet models pull mobilefacenet` installs one.",
            settings=settings,
            identities=identities,
        )
        self.anonymizer = TierClient(
            "anonymizer",
            _full_name(anonymizer_pb2, "AnonymizerService"),
            targets.anonymizer_target,
            "Is it running?",
            settings=settings,
            identities=identities,
        )

    @property
    def detector_stub(self) -> detector_pb2_grpc.DetectorServiceAsyncStub:
        """On the channel in use."""
        stub: detector_pb2_grpc.DetectorServiceAsyncStub = _stub(detector_pb2_grpc.DetectorServiceStub, self.detector)
        return stub

    @property
    def embedder_stub(self) -> embedder_pb2_grpc.EmbedderServiceAsyncStub:
        """On the channel in use."""
        stub: embedder_pb2_grpc.EmbedderServiceAsyncStub = _stub(embedder_pb2_grpc.EmbedderServiceStub, self.embedder)
        return stub

    @property
    def anonymizer_stub(self) -> anonymizer_pb2_grpc.AnonymizerServiceAsyncStub:
        """On the channel in use."""
        stub: anonymizer_pb2_grpc.AnonymizerServiceAsyncStub = _stub(
            anonymizer_pb2_grpc.AnonymizerServiceStub, self.anonymizer
        )
        return stub

    async def states(self) -> dict[str, TierState]:
        """The state of each tier by its name, asked all at once."""
        clients = (self.detector, self.embedder, self.anonymizer)
        states = await asyncio.gather(*(client.state() for client in clients))
        return {client.name: state for client, state in zip(clients, states, strict=True)}

    async def close(self) -> None:
        """Closes the channels."""
        await asyncio.gather(*(client.close() for client in (self.detector, self.embedder, self.anonymizer)))


def _full_name(module: Any, service: str) -> str:  # noqa: ANN401  (a generated module)
    name: str = module.DESCRIPTOR.services_by_name[service].full_name
    return name


def _stub(kind: Any, client: TierClient) -> Any:  # noqa: ANN401  (the generated types know no aio channel)
    return kind(client.channel)

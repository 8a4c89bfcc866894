"""Serialised messages that are wrong somewhere, for every method of every tier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2

from facet.v1 import anonymizer_pb2, detector_pb2, embedder_pb2
from tests.support.mutations import damage, files, mutated

_HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"]
SERVICES: dict[str, tuple[ServiceDescriptor, ...]] = {
    "detector": (detector_pb2.DESCRIPTOR.services_by_name["DetectorService"], _HEALTH),
    "anonymizer": (anonymizer_pb2.DESCRIPTOR.services_by_name["AnonymizerService"], _HEALTH),
    "embedder": (embedder_pb2.DESCRIPTOR.services_by_name["EmbedderService"], _HEALTH),
}
_ENDLESS = "Watch"  # the health service's; its answers have no end
_ALIGNED_BYTES = 112 * 112 * 3
_FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, 20.0, 60.0, 1e-45, 3e38, -3e38, float("nan"), float("inf"), float("-inf"))
_INTEGERS = (0, 1, -1, 2, 3, 5, 77, 1000, 2**31 - 1, -(2**31))
_TEXTS = ("blazeface-short", "retinaface-resnet50", "nosuch", "\0", "\N{GRINNING FACE}" * 50, "x" * 5000)
_MAX_DEPTH = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcCall:
    """What to send to a method."""

    tier: str
    method: str
    """Its path."""
    messages: Sequence[bytes]
    """One for a method that takes one."""
    streaming: bool
    """Whether it takes and answers many."""
    answer: type[Message]

    @property
    def content(self) -> bytes:
        """For a file: the messages one after the other, each behind its length as HTTP/2 frames them."""
        return b"".join(b"\0" + len(message).to_bytes(4, "big") + message for message in self.messages)


def grpc_call(chance: Random) -> GrpcCall:
    """A call of a random method; its messages may be no messages at all."""
    tier = chance.choice(list(SERVICES))
    methods = [m for service in SERVICES[tier] for m in service.methods if m.name != _ENDLESS]
    method = chance.choice(methods)
    service: ServiceDescriptor = method.containing_service
    return GrpcCall(
        tier=tier,
        method=f"/{service.full_name}/{method.name}",
        messages=[_serialised(chance, method) for _ in range(chance.randint(0, 4) if _streams(method) else 1)],
        streaming=_streams(method),
        answer=message_factory.GetMessageClass(method.output_type),
    )


def _streams(method: MethodDescriptor) -> bool:
    return method.name.startswith("Stream")


def _serialised(chance: Random, method: MethodDescriptor) -> bytes:
    if chance.random() < 0.1:
        return chance.randbytes(chance.choice((0, 1, 2, 10, 100, 1000)))
    message = message_factory.GetMessageClass(method.input_type)()
    _fill(message, chance, depth=0)
    content = bytearray(message.SerializeToString())
    if chance.random() < 0.3:
        for _ in range(chance.choice((1, 1, 2, 4))):
            damage(content, chance)
    return bytes(content)


def _fill(message: Message, chance: Random, *, depth: int) -> None:
    for field in message.DESCRIPTOR.fields:
        # A picture is nearly always there, and so is what it is in: without one nothing else is looked at.
        needed = field.name in ("image", "request", "content", "pixels")
        if depth > _MAX_DEPTH or chance.random() > (0.95 if needed else 0.5):
            continue
        if field.is_repeated:
            for _ in range(chance.choice((0, 1, 1, 2, 5))):
                _add(message, field, chance, depth=depth)
        elif field.message_type is not None:
            child = getattr(message, field.name)
            child.SetInParent()
            _fill(child, chance, depth=depth + 1)
        else:
            setattr(message, field.name, _value(field, chance))


def _add(message: Message, field: Any, chance: Random, *, depth: int) -> None:  # noqa: ANN401  (its descriptor)
    values = getattr(message, field.name)
    if field.message_type is not None:
        _fill(values.add(), chance, depth=depth + 1)
    else:
        values.append(_value(field, chance))


def _value(field: Any, chance: Random) -> Any:  # noqa: ANN401, PLR0911  (what a field of any type takes)
    match field.type:
        case FieldDescriptor.TYPE_FLOAT | FieldDescriptor.TYPE_DOUBLE:
            return chance.choice(_FLOATS) if chance.random() < 0.2 else chance.uniform(0, 64)
        case FieldDescriptor.TYPE_BOOL:
            return chance.random() < 0.5
        case FieldDescriptor.TYPE_ENUM:
            return chance.choice(_INTEGERS) if chance.random() < 0.1 else chance.randrange(3)
        case FieldDescriptor.TYPE_STRING:
            return chance.choice(_TEXTS) if chance.random() < 0.3 else ""
        case FieldDescriptor.TYPE_BYTES if field.name == "pixels":
            return bytes(_ALIGNED_BYTES if chance.random() < 0.8 else chance.randrange(50))
        case FieldDescriptor.TYPE_BYTES:
            return mutated(chance.randrange(10**9))[1] if chance.random() < 0.7 else files()["JPEG"]
        case _:
            return chance.choice(_INTEGERS) if chance.random() < 0.2 else chance.randrange(40)

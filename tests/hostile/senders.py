"""Sends what is wrong somewhere to real servers, and judges what comes back: a refusal or an answer, never a fault."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse

import grpc
from google.protobuf.message import Message

from tests.hostile.grpc_requests import GrpcCall
from tests.hostile.http_requests import HttpRequest
from tests.support.clients import reason_of
from tests.support.processes import RunningTier

HANG_S = 60.0
"""What takes longer hangs."""
QUIET_S = 0.1
"""How long a malformed request may go unanswered: its rest may be awaited, which the gateway's patience ends."""

_STATUS_LINE = re.compile(rb"^HTTP/1\.[01] (\d{3})", re.MULTILINE)
_FAULTS = tuple(grpc.StatusCode[name] for name in ("INTERNAL", "UNKNOWN", "DATA_LOSS", "DEADLINE_EXCEEDED"))
_HONEST = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)
"""Weights that are not there, and clients that give no time."""


class Fault(Exception):  # noqa: N818  (a domain word)
    """A server did what it never may."""


class HttpSender:
    """A connection to a gateway, kept from one request to the next where it can be."""

    def __init__(self, gateway: RunningTier) -> None:
        self._address = (gateway.host, gateway.port)
        self._connection: socket.socket | None = None

    def close(self) -> None:
        """Closes it."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def send(self, request: HttpRequest) -> str:
        """Sends it and returns the status or statuses that came back.

        Raises:
            Fault: A status of 500 and above but for the honest ones, none at all, or none in time.
        """
        return self._framed(request) if request.framed else self._unframed(request.content)

    def _framed(self, request: HttpRequest) -> str:
        kept = self._connection is not None
        try:
            status = self._exchange(request)
        except TimeoutError as error:
            raise Fault(f"no answer within {HANG_S:g} s") from error
        except (HTTPException, OSError) as error:
            self.close()
            if kept:  # it was closed while nothing was under way
                return self._framed(request)
            raise Fault(f"no answer: {error!r}") from error
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR and status not in _HONEST:
            raise Fault(f"answered {status}")
        return str(status)

    def _exchange(self, request: HttpRequest) -> int:
        if self._connection is None:
            self._connection = socket.create_connection(self._address, timeout=HANG_S)
        self._connection.sendall(request.content)
        answer = HTTPResponse(self._connection, method=request.method)
        answer.begin()
        answer.read()
        if answer.will_close:
            self.close()
        return answer.status

    def _unframed(self, content: bytes) -> str:
        answered = exchanged(self._address, content)
        statuses = [int(status) for status in _STATUS_LINE.findall(answered)]
        if any(status >= HTTPStatus.INTERNAL_SERVER_ERROR and status not in _HONEST for status in statuses):
            raise Fault(f"answered {statuses}")
        return " ".join(map(str, statuses[:1])) or "nothing"


def exchanged(address: tuple[str, int], content: bytes) -> bytes:
    """What comes back for these bytes until the server closes the connection or has been quiet for a while."""
    answered = b""
    with socket.create_connection(address, timeout=HANG_S) as connection:
        try:
            connection.sendall(content)
            connection.settimeout(QUIET_S)
            while received := connection.recv(65_536):
                answered += received
        except (TimeoutError, ConnectionError):  # it waits for more, or has left amid what it refuses
            pass
    return answered


class GrpcSender:
    """Channels to the tiers that send bytes as they are."""

    def __init__(self, tiers: Mapping[str, RunningTier]) -> None:
        options = [("grpc.enable_retries", 0)]
        self._channels = {name: grpc.insecure_channel(tier.target, options) for name, tier in tiers.items()}

    def close(self) -> None:
        """Closes them."""
        for channel in self._channels.values():
            channel.close()

    def send(self, call: GrpcCall, request_id: str) -> str:
        """Calls, and returns the code.

        Raises:
            Fault: A code that tells of a fault, of the call or of an item of its stream, or none in time.
        """
        channel = self._channels[call.tier]
        metadata = (("x-request-id", request_id),)
        try:
            if call.streaming:
                many: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(call.method)
                answers = list(many(iter(call.messages), timeout=HANG_S, metadata=metadata))
            else:
                one: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(call.method)
                answers = [one(call.messages[0], timeout=HANG_S, metadata=metadata)]
        except grpc.RpcError as error:
            return _judged(error)
        for answer in answers:
            _check_item(call.answer.FromString(answer))
        return "OK"


def _judged(error: grpc.RpcError) -> str:
    assert isinstance(error, grpc.Call)
    code: grpc.StatusCode = error.code()
    if code in _FAULTS or (code is grpc.StatusCode.UNAVAILABLE and reason_of(error) != "NOT_READY"):
        raise Fault(f"{code.name}: {error.details()}")
    return code.name


def _check_item(answer: Message) -> None:
    if "error" not in answer.DESCRIPTOR.fields_by_name or not answer.HasField("error"):
        return
    status = answer.error  # type: ignore[attr-defined]  # the stream's answers have it
    if any(status.code == code.value[0] for code in _FAULTS):
        raise Fault(f"an item of the stream answered {status.code}: {status.message}")

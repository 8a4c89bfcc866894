"""Domain errors as google.rpc.Status and back: the one place that knows which error is which gRPC code."""

from __future__ import annotations

import grpc
from google.protobuf.any_pb2 import Any
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from services.chassis import errors
from services.chassis.errors import FacetError

DOMAIN = "facet"
DETAILS_KEY = "grpc-status-details-bin"

_CODES: dict[type[FacetError], grpc.StatusCode] = {
    errors.InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    errors.InvalidPicture: grpc.StatusCode.INVALID_ARGUMENT,
    errors.UnsupportedFormat: grpc.StatusCode.INVALID_ARGUMENT,
    errors.TooLarge: grpc.StatusCode.INVALID_ARGUMENT,
    errors.Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.LimitReached: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.InvalidCredential: grpc.StatusCode.UNAUTHENTICATED,
    errors.Forbidden: grpc.StatusCode.PERMISSION_DENIED,
    errors.NotReady: grpc.StatusCode.UNAVAILABLE,
    errors.DeadlinePassed: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.TooSlow: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.StillRecognisable: grpc.StatusCode.FAILED_PRECONDITION,
}
_BY_REASON = {kind.reason: kind for kind in _CODES}
_BY_CODE: dict[grpc.StatusCode, type[FacetError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: errors.InvalidRequest,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.Overloaded,
    grpc.StatusCode.UNAVAILABLE: errors.NotReady,
    grpc.StatusCode.CANCELLED: errors.NotReady,  # the tier went away under the call
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.DeadlinePassed,
}
_INTERNAL = Status(code=grpc.StatusCode.INTERNAL.value[0], message="internal error")


def code_of(error: FacetError) -> grpc.StatusCode:
    """The gRPC code of a domain error."""
    return next(_CODES[kind] for kind in type(error).__mro__ if kind in _CODES)


def to_status(error: Exception) -> Status:
    """The status a caller sees; anything but a domain error is INTERNAL without detail."""
    if not isinstance(error, FacetError):
        return _INTERNAL
    info = Any()
    info.Pack(ErrorInfo(reason=error.reason, domain=DOMAIN))
    return Status(code=code_of(error).value[0], message=str(error), details=[info])


def is_told(error: grpc.aio.AioRpcError) -> bool:
    """Whether a tier answered so in the words of the domain, rather than that the call broke."""
    status = rpc_status.from_call(error)
    return status is not None and any(detail.Is(ErrorInfo.DESCRIPTOR) for detail in status.details)


def from_rpc_error(error: grpc.aio.AioRpcError, tier: str) -> Exception:
    """The domain error behind a failed call to `tier`, or the RPC error itself where it is none of ours."""
    status = rpc_status.from_call(error)
    if status is not None:
        for detail in status.details:
            info = ErrorInfo()
            if detail.Unpack(info) and info.domain == DOMAIN and info.reason in _BY_REASON:
                return _BY_REASON[info.reason](status.message)
    kind = _BY_CODE.get(error.code())
    if kind is None:
        return error
    if kind is errors.NotReady:
        return errors.NotReady(f"the {tier} does not answer; it may be starting or down, try again shortly")
    if kind is errors.DeadlinePassed:
        return errors.DeadlinePassed(f"the {tier} did not answer in time; try a smaller picture or try again later")
    return kind(f"{tier}: {error.details()}")

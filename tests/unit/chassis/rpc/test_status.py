"""Domain errors over the wire and back: code, message and reason survive, faults of ours say nothing."""

from __future__ import annotations

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo

from services.chassis import errors
from services.chassis.errors import FacetError
from services.chassis.rpc.status import DETAILS_KEY, code_of, from_rpc_error, to_status

CODES = {
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


def rpc_error(code: grpc.StatusCode, details: str, *metadata: tuple[str, bytes]) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*metadata), details)


def all_domain_errors(kind: type[FacetError] = FacetError) -> set[type[FacetError]]:
    """Those of the domain's own module, whatever else the process has loaded."""
    below = {one for one in kind.__subclasses__() if one.__module__ == errors.__name__}
    return below.union(*(all_domain_errors(one) for one in below))


def test_every_domain_error_has_a_code_and_a_reason_of_its_own() -> None:
    kinds = all_domain_errors()
    assert {kind: code_of(kind("")) for kind in kinds} == CODES
    assert len({kind.reason for kind in kinds}) == len(kinds)


def test_error_of_a_kind_in_between_has_the_code_of_its_kind() -> None:
    class Special(errors.NotReady):
        pass

    assert code_of(Special("")) is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("kind", CODES, ids=lambda kind: kind.__name__)
def test_domain_error_crosses_the_wire_unchanged(kind: type[FacetError]) -> None:
    status = to_status(kind("what to do"))
    info = ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.domain, info.reason) == ("facet", kind.reason)
    code = CODES[kind]
    assert status.code == code.value[0]
    received = from_rpc_error(rpc_error(code, status.message, (DETAILS_KEY, status.SerializeToString())), "detector")
    assert type(received) is kind
    assert str(received) == "what to do"


def test_fault_of_ours_tells_nothing() -> None:
    status = to_status(ValueError("a secret"))
    assert status.code == grpc.StatusCode.INTERNAL.value[0]
    assert status.message == "internal error"
    assert not status.details


@pytest.mark.parametrize(
    ("code", "kind", "says"),
    [
        (grpc.StatusCode.UNAVAILABLE, errors.NotReady, "the detector does not answer"),
        (grpc.StatusCode.CANCELLED, errors.NotReady, "the detector does not answer"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, errors.DeadlinePassed, "the detector did not answer in time"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, errors.Overloaded, "detector: "),
        (grpc.StatusCode.INVALID_ARGUMENT, errors.InvalidRequest, "detector: "),
    ],
)
def test_status_that_the_transport_made_is_told_in_words_of_the_domain(
    code: grpc.StatusCode, kind: type[FacetError], says: str
) -> None:
    received = from_rpc_error(rpc_error(code, "raw"), "detector")
    assert type(received) is kind
    assert str(received).startswith(says)


def test_status_of_another_kind_stays_what_it_is() -> None:
    error = rpc_error(grpc.StatusCode.INTERNAL, "internal error")
    assert from_rpc_error(error, "detector") is error

"""Every call as a value: the request to send and how its answer is read. No input or output happens here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Generic, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from facet_client.api import (
    AnonymizeAnswer,
    CompareAnswer,
    DetectAnswer,
    EmbedAnswer,
    ModelAnswer,
    ModelsAnswer,
    ReadyAnswer,
)
from facet_client.failures import error_of, unexpected
from facet_client.options import DetectionOptions, RedactionOptions, query_of

Result_co = TypeVar("Result_co", covariant=True)
_Parts = Sequence[tuple[str, tuple[str, bytes]]]  # name of a field, file name, content

AnswerT = TypeVar("AnswerT", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[Result_co]):
    """One request to the gateway, all of them without lasting effect: they may be sent again."""

    method: str = "POST"
    path: str
    query: dict[str, str]
    picture: bytes | None = None
    """The raw body."""
    parts: _Parts | None = None
    """The multipart body."""
    read: Callable[[httpx.Response], Result_co]
    """Reads the answer; raises a ServiceError where it is a problem."""


def anonymize(  # noqa: PLR0913  (as many as there are things to say)
    picture: bytes,
    redaction: RedactionOptions,
    detection: DetectionOptions,
    *,
    verify: bool,
    keep: Sequence[bytes],
    only: Sequence[bytes],
    receipt: bool = False,
    faces: DetectAnswer | None = None,
) -> Call[AnonymizeAnswer]:
    """`POST /v1/anonymize`."""
    query = query_of(redaction, detection)
    query |= {name: "true" for name, wanted in (("verify", verify), ("receipt", receipt)) if wanted}
    read = _signed if receipt else _anonymized
    parts = [*(_part("keep", each) for each in keep), *(_part("only", each) for each in only)]
    if faces is not None:
        parts.append(_part("faces", faces.model_dump_json().encode()))
    if parts:
        return Call(path="v1/anonymize", query=query, parts=[_part("image", picture), *parts], read=read)
    return Call(path="v1/anonymize", query=query, picture=picture, read=read)


def detect(picture: bytes, detection: DetectionOptions) -> Call[DetectAnswer]:
    """`POST /v1/detect`."""
    return Call(path="v1/detect", query=query_of(detection), picture=picture, read=_reader(DetectAnswer))


def embed(picture: bytes, detection: DetectionOptions) -> Call[EmbedAnswer]:
    """`POST /v1/embed`."""
    return Call(path="v1/embed", query=query_of(detection), picture=picture, read=_reader(EmbedAnswer))


def compare(picture_a: bytes, picture_b: bytes, detection: DetectionOptions) -> Call[CompareAnswer]:
    """`POST /v1/compare`."""
    parts = [_part("image_a", picture_a), _part("image_b", picture_b)]
    return Call(path="v1/compare", query=query_of(detection), parts=parts, read=_reader(CompareAnswer))


def models() -> Call[tuple[ModelAnswer, ...]]:
    """`GET /v1/models`."""
    read = _reader(ModelsAnswer)
    return Call(method="GET", path="v1/models", query={}, read=lambda response: read(response).models)


def ready() -> Call[ReadyAnswer]:
    """`GET /readyz`."""
    return Call(method="GET", path="readyz", query={}, read=_readiness)


def _part(field: str, content: bytes) -> tuple[str, tuple[str, bytes]]:
    return field, (field, content)  # a file name, which the protocol wants, that tells nothing


def _reader(kind: type[AnswerT]) -> Callable[[httpx.Response], AnswerT]:
    def read(response: httpx.Response) -> AnswerT:
        if not response.is_success:
            raise error_of(response)
        try:
            return kind.model_validate_json(response.content)
        except ValidationError as error:
            raise unexpected(response) from error.with_traceback(None)

    return read


def _anonymized(response: httpx.Response) -> AnonymizeAnswer:
    if not response.is_success:
        raise error_of(response)
    media_type = response.headers.get("content-type", "")
    faces = response.headers.get("x-facet-faces", "")
    if not (media_type.startswith("image/") and faces.isdecimal() and response.content):
        raise unexpected(response)  # never take for an anonymized picture what may be something else
    return AnonymizeAnswer(
        content=response.content,
        media_type=media_type,
        faces=int(faces),
        model=response.headers.get("x-facet-model"),
        notice=response.headers.get("x-facet-notice"),
        check=response.headers.get("x-facet-check"),
        receipt=response.headers.get("x-facet-receipt"),
    )


def _signed(response: httpx.Response) -> AnonymizeAnswer:
    answer = _anonymized(response)
    if not answer.receipt:
        raise unexpected(response)
    return answer


def _readiness(response: httpx.Response) -> ReadyAnswer:
    if response.status_code not in {HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE}:
        raise error_of(response)
    try:
        return ReadyAnswer.model_validate_json(response.content)
    except ValidationError:
        raise error_of(response) from None

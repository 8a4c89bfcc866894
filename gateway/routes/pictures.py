"""`/v1/…`: what is done to pictures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import BaseModel

from facet.v1.embedder_pb2 import GetModelResponse
from facet_client.api import CompareAnswer, DetectAnswer, EmbedAnswer, ModelsAnswer
from gateway.anonymize.choosing import choice_of
from gateway.anonymize.flow import Anonymization, Order
from gateway.http import problems
from gateway.http.call_record import record_of
from gateway.http.disconnect import while_connected
from gateway.identity.caller import Scope
from gateway.identity.guard import Guard
from gateway.routes.from_tiers import compare_answer, detect_answer, detector_model, embed_answer, embedder_model
from gateway.routes.mistaken import naming_mistakes
from gateway.routes.parameters import AnonymizationParameters, DetectionParameters
from gateway.routes.uploads import MAX_REFERENCES, read_anonymization, read_picture, read_pictures
from gateway.settings import GatewaySettings
from gateway.tiers.deadline import Deadline
from gateway.tiers.off_loop import off_loop
from gateway.tiers.pipeline import Pipeline
from services.chassis.errors import NotReady
from services.chassis.pictures.picture_format import PictureFormat

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_PICTURE_TYPES = {f.media_type: _BINARY for f in PictureFormat}
_ANSWERED_TYPES = {f.media_type: _BINARY for f in PictureFormat if f.written}

_Detection = Annotated[DetectionParameters, Query()]
_Anonymization = Annotated[AnonymizationParameters, Query()]
_TimeoutHeader = Annotated[
    float | None, Header(gt=0, description="How long the client waits, in seconds; then the request is dropped.")
]


def _multipart(*fields: str) -> dict[str, Any]:
    properties = {field: {"type": "string", "format": "binary"} for field in fields}
    schema = {"type": "object", "required": list(fields), "properties": properties}
    return {"multipart/form-data": {"schema": schema}}


_ONE_PICTURE = {"requestBody": {"required": True, "content": {**_PICTURE_TYPES, **_multipart("image")}}}
_PART = {"type": "string", "format": "binary"}
_PEOPLE = (
    "a picture that shows one person large, or JSON: `embedding_model` and `embedding`, or what `/v1/embed` answered "
    "for one face. Excludes the other fields but `image`."
)
_ANONYMIZATION_FIELDS = {
    "image": {**_PART, "description": "The picture."},
    "faces": {
        **_PART,
        "description": "JSON as `/v1/detect` answers it, edited at will: nothing is detected, and exactly these boxes "
        "are hidden. `width`, `height` and each face's `box` are needed. Excludes `keep` and `only`.",
    },
    "keep": {
        "type": "array",
        "maxItems": MAX_REFERENCES,
        "items": _PART,
        "description": "Hide everyone but these people, and all whose identity is in doubt; each person stays visible "
        f"once at most. Each {_PEOPLE}",
    },
    "only": {
        "type": "array",
        "maxItems": MAX_REFERENCES,
        "items": _PART,
        "description": f"Hide these people, and all whose identity is in doubt; each {_PEOPLE}",
    },
}
_ANONYMIZED_PICTURE = {
    "requestBody": {
        "required": True,
        "content": {
            **_PICTURE_TYPES,
            "multipart/form-data": {
                "schema": {"type": "object", "required": ["image"], "properties": _ANONYMIZATION_FIELDS}
            },
        },
    }
}
_TWO_PICTURES = {"requestBody": {"required": True, "content": _multipart("image_a", "image_b")}}
_ANONYMIZED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The picture with its faces hidden: same format and size, upright, without metadata.",
        "content": _ANSWERED_TYPES,
        "headers": {
            "X-Facet-Faces": {
                "description": "How many faces were hidden, including those that only the check found.",
                "schema": {"type": "integer"},
            },
            "X-Facet-Model": {
                "description": "The detection model used; absent if the faces were given.",
                "schema": {"type": "string"},
            },
            "X-Facet-Notice": {"description": "Notices about the result, if any.", "schema": {"type": "string"}},
            "X-Facet-Check": {
                "description": "Where the result was checked: `passed`, or `partial` where found faces stay visible "
                "that no `keep` names; how many faces were hidden more strongly; how many stay visible; whether the "
                "hidden faces were compared with the originals.",
                "schema": {
                    "type": "string",
                    "examples": [
                        "passed; escalated=0; identity=compared",
                        "partial; escalated=1; visible=2; identity=not compared",
                    ],
                },
            },
            "X-Facet-Receipt": {
                "description": "If requested: the hidden regions, as a JWS signed with the key of `/v1/receipt-key`.",
                "schema": {"type": "string"},
            },
        },
    }
}


def picture_routes(
    pipeline: Pipeline, anonymization: Anonymization, guard: Guard, settings: GatewaySettings
) -> APIRouter:
    """The routes, served by `pipeline` and `anonymization` to whom `guard` lets in."""
    within = Depends(_within(settings.deadline_s))
    router = APIRouter(prefix="/v1", tags=["pictures"], responses=problems.DOCUMENTED)
    max_bytes = settings.shared.max_image_bytes

    @router.post(
        "/detect",
        openapi_extra=_ONE_PICTURE,
        dependencies=[guard.needs(Scope.DETECT)],
        response_model=DetectAnswer,
    )
    async def detect(request: Request, parameters: _Detection, within_s: float = within) -> Response:
        """Finds the faces of a picture."""
        record = record_of(request.scope)
        record.options = parameters.options()
        content = await read_picture(request, max_bytes=max_bytes)
        deadline = Deadline(within_s)
        with naming_mistakes(content):
            found = await while_connected(request, pipeline.detect(content, parameters.detection_config(), deadline))
        record.set_outcome(found.model_id, faces_found=len(found.faces))
        return await _json(lambda: detect_answer(found), deadline)

    @router.post(
        "/anonymize",
        dependencies=[guard.needs(Scope.ANONYMIZE)],
        openapi_extra=_ANONYMIZED_PICTURE,
        response_class=Response,
        responses={**problems.DOCUMENTED, **problems.CHECKED, **_ANONYMIZED},
    )
    async def anonymize(request: Request, parameters: _Anonymization, within_s: float = within) -> Response:
        """Makes the faces of a picture unrecognisable: all that are found, those given, or by whom they show."""
        record = record_of(request.scope)
        record.options = parameters.options()
        upload = await read_anonymization(request, max_bytes=max_bytes)
        given = {"faces": upload.faces is not None, "keep": len(upload.keep), "only": len(upload.only)}
        record.options |= {field: count for field, count in given.items() if count}
        order = Order(
            content=upload.image,
            choice=choice_of(upload, pipeline, hide_all=settings.verify),
            config=parameters.detection_config(),
            redaction=parameters.redaction(),
            output=parameters.output(),
            check=parameters.verify or settings.verify,
            receipt=parameters.receipt,
            hide_all=settings.verify,
        )
        record.options["verify"] = order.check
        with naming_mistakes(order.content):
            done = await while_connected(request, anonymization.anonymize(order, Deadline(within_s)))
        record.set_outcome(done.model_id, done.embedding_model, faces_found=done.found_faces)
        record.faces_hidden = done.hidden_faces
        said = {
            "X-Facet-Model": done.model_id,
            "X-Facet-Notice": done.notice,
            "X-Facet-Check": done.check,
            "X-Facet-Receipt": done.receipt,
        }
        headers = {"X-Facet-Faces": str(done.hidden_faces)} | {name: text for name, text in said.items() if text}
        return Response(done.content, media_type=done.media_type, headers=headers)

    @router.post(
        "/embed",
        openapi_extra=_ONE_PICTURE,
        dependencies=[guard.needs(Scope.EMBED)],
        response_model=EmbedAnswer,
    )
    async def embed(request: Request, parameters: _Detection, within_s: float = within) -> Response:
        """Finds the faces of a picture and embeds each."""
        record = record_of(request.scope)
        record.options = parameters.options()
        content = await read_picture(request, max_bytes=max_bytes)
        deadline = Deadline(within_s)
        with naming_mistakes(content):
            embedded = await while_connected(request, pipeline.embed(content, parameters.detection_config(), deadline))
        record.set_outcome(embedded.detection.model_id, embedded.model_id, faces_found=len(embedded.detection.faces))
        return await _json(lambda: embed_answer(embedded), deadline)

    @router.post("/compare", openapi_extra=_TWO_PICTURES, dependencies=[guard.needs(Scope.COMPARE)])
    async def compare(request: Request, parameters: _Detection, within_s: float = within) -> CompareAnswer:
        """Tells whether the largest faces of two pictures are one person's."""
        record = record_of(request.scope)
        record.options = parameters.options()
        image_a, image_b = await read_pictures(request, ("image_a", "image_b"), max_bytes=max_bytes)
        work = pipeline.compare(image_a, image_b, parameters.detection_config(), Deadline(within_s))
        with naming_mistakes(image_a, name="image_a"), naming_mistakes(image_b, name="image_b"):
            comparison = await while_connected(request, work)
        record.set_outcome(comparison.model_id, faces_found=len(comparison.faces))
        return compare_answer(comparison)

    @router.get("/models", dependencies=[guard.needs()])
    async def models(within_s: float = within) -> ModelsAnswer:
        """Lists the models that the tiers know: which are served, and what to do about the others."""
        deadline = Deadline(within_s)
        detection, embedding = await asyncio.gather(
            pipeline.detection_models(deadline), _unless_down(pipeline.embedding_model(deadline))
        )
        return ModelsAnswer(models=(*map(detector_model, detection), embedder_model(embedding)))

    return router


async def _json(make: Callable[[], BaseModel], deadline: Deadline) -> Response:
    """The answer's document, made and written off the event loop: that of a crowd takes long."""
    content = await off_loop(lambda: make().model_dump_json().encode(), deadline)
    return Response(content, media_type="application/json")


def _within(most_s: float) -> Callable[..., float]:
    """How long a request may take: what its client asks for, or the most there is."""

    def within_s(x_facet_timeout: _TimeoutHeader = None) -> float:
        return most_s if x_facet_timeout is None else min(x_facet_timeout, most_s)

    return within_s


async def _unless_down(asked: Coroutine[Any, Any, GetModelResponse]) -> GetModelResponse | NotReady:
    try:
        return await asked
    except NotReady as error:
        return error

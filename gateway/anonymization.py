"""One picture through `POST /v1/anonymize`: choose the faces, hide them, check the result, sign what was done."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from facet.v1 import anonymizer_pb2, detector_pb2
from gateway.checking import Checked, Checker, Hidden, request_to_hide
from gateway.choosing import Choice, Chosen
from gateway.deadline import Deadline
from gateway.off_loop import off_loop
from gateway.pipeline import Pipeline
from gateway.receipts import ReceiptKey, receipt_of
from services.chassis.errors import InvalidRequest, NotReady


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a request asks for."""

    content: bytes
    choice: Choice
    config: detector_pb2.DetectionConfig
    redaction: anonymizer_pb2.Redaction
    output: anonymizer_pb2.OutputFormat.ValueType
    check: bool
    receipt: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Anonymized:
    """A picture with its faces hidden, and what to say of it; a text is empty where there is nothing to say."""

    content: bytes
    media_type: str
    found_faces: int | None
    """In the original; None = nothing was detected there."""
    hidden_faces: int
    model_id: str
    """That chose the faces."""
    embedding_model: str
    notice: str
    check: str
    receipt: str


class Anonymization:
    """Carries orders out; every step of one keeps to its deadline."""

    def __init__(self, pipeline: Pipeline, key: ReceiptKey | None) -> None:
        """Without a key, receipts are refused."""
        self._pipeline = pipeline
        self._checker = Checker(pipeline)
        self._key = key

    async def anonymize(self, order: Order, deadline: Deadline) -> Anonymized:
        """The picture with the chosen faces hidden.

        Raises:
            StillRecognisable: The check was asked for, and failed.
            FacetError: As a tier answers; the original is never passed off as done.
        """
        if order.receipt:
            self.receipt_key()
        chosen = await order.choice.choose(order.content, order.config, deadline)
        request = await off_loop(partial(request_to_hide, order.content, chosen.hidden, order.redaction), deadline)
        request.output = order.output
        picture = await self._pipeline.hide(request, deadline)
        _refuse_other_size(chosen, picture)
        checked = None
        if order.check:
            hidden = Hidden(
                original=order.content, chosen=chosen, picture=picture, config=order.config, redaction=order.redaction
            )
            checked = await self._checker.check(hidden, deadline)
        return await off_loop(partial(self._answer, order, chosen, picture, checked), deadline)

    def receipt_key(self) -> ReceiptKey:
        """The key that signs receipts.

        Raises:
            NotReady: There is none.
        """
        if self._key is None:
            raise NotReady(
                "this server signs no receipts: `openssl genpkey -algorithm ed25519 -out receipt-key.pem` makes a key, "
                "and FACET_GATEWAY_RECEIPT_KEY says where it lies"
            )
        return self._key

    def _answer(
        self,
        order: Order,
        chosen: Chosen,
        hidden: anonymizer_pb2.AnonymizeImageResponse,
        checked: Checked | None,
    ) -> Anonymized:
        picture = checked.picture if checked else hidden
        receipt = ""
        if order.receipt:
            claims = receipt_of(
                original=order.content,
                result=picture.image.content,
                faces=[*chosen.hidden, *(checked.escalated if checked else ())],
                redaction=order.redaction,
                detection_model=chosen.detection_model or (checked.detection_model if checked else ""),
                embedding_model=chosen.embedding_model or (checked.embedding_model if checked else ""),
                check=checked.outcome if checked else "",
            )
            receipt = self.receipt_key().sign(claims)
        return Anonymized(
            content=picture.image.content,
            media_type=picture.media_type,
            found_faces=chosen.found_faces,
            hidden_faces=hidden.hidden_regions + (checked.new_faces if checked else 0),
            model_id=chosen.detection_model,
            embedding_model=chosen.embedding_model or (checked.embedding_model if checked else ""),
            notice=" ".join(filter(None, (chosen.notice, hidden.notice))),
            check=checked.outcome if checked else "",
            receipt=receipt,
        )


def _refuse_other_size(chosen: Chosen, picture: anonymizer_pb2.AnonymizeImageResponse) -> None:
    size_px = (picture.width_px, picture.height_px)
    if chosen.size_px not in {None, size_px}:
        given, actual = (" x ".join(map(str, size)) for size in (chosen.size_px or (), size_px))
        raise InvalidRequest(
            f"faces: they are for a picture of {given} pixels, and this one has {actual}; send those of this picture"
        )

"""One picture through `POST /v1/anonymize`: choose the faces, hide them, check the result, sign what was done."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from facet.v1 import anonymizer_pb2, detector_pb2
from gateway.anonymize import notices
from gateway.anonymize.checking import Checked, Checker, Hidden, request_to_hide
from gateway.anonymize.choosing import Choice, Chosen, ChosenBy
from gateway.anonymize.receipts import Check, ReceiptKey, SelectionClaims, receipt_of
from gateway.tiers.deadline import Deadline
from gateway.tiers.off_loop import off_loop
from gateway.tiers.pipeline import Pipeline
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
    hide_all: bool
    """Whether the server's owner has every picture checked: a found face may stay visible by whom it shows alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnonymizedPicture:
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

    async def anonymize(self, order: Order, deadline: Deadline) -> AnonymizedPicture:
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
                original=order.content,
                chosen=chosen,
                picture=picture,
                config=order.config,
                redaction=order.redaction,
                hide_all=order.hide_all,
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
                "this server does not sign receipts: `openssl genpkey -algorithm ed25519 -out receipt-key.pem` makes a "
                "key; set FACET_GATEWAY_RECEIPT_KEY to its path"
            )
        return self._key

    def _answer(
        self,
        order: Order,
        chosen: Chosen,
        hidden: anonymizer_pb2.AnonymizeImageResponse,
        checked: Checked | None,
    ) -> AnonymizedPicture:
        picture = checked.picture if checked else hidden
        visible = checked.visible_faces if checked else chosen.visible_faces
        receipt = ""
        if order.receipt:
            claims = receipt_of(
                original=order.content,
                result=picture.image.content,
                boxes=[*hidden.hidden, *(checked.escalated if checked else ())],
                redaction=order.redaction,
                choice=SelectionClaims(
                    chosen_by=chosen.by,
                    faces_found=chosen.found_faces,
                    faces_visible=visible,
                    detection_model=chosen.detection_model,
                    embedding_model=chosen.embedding_model or (checked.embedding_model if checked else ""),
                ),
                check=Check(outcome=checked.outcome, model=checked.detection_model) if checked else Check(),
            )
            receipt = self.receipt_key().sign(claims)
        return AnonymizedPicture(
            content=picture.image.content,
            media_type=picture.media_type,
            found_faces=chosen.found_faces,
            hidden_faces=hidden.hidden_regions + (checked.new_faces if checked else 0),
            model_id=chosen.detection_model,
            embedding_model=chosen.embedding_model or (checked.embedding_model if checked else ""),
            notice=" ".join(filter(None, (chosen.notice, hidden.notice, _notice_of_given(chosen, hidden, checked)))),
            check=checked.outcome if checked else "",
            receipt=receipt,
        )


def _notice_of_given(chosen: Chosen, hidden: anonymizer_pb2.AnonymizeImageResponse, checked: Checked | None) -> str:
    """What only the results tell of faces that the caller gave."""
    if chosen.by is not ChosenBy.CALLER:
        return ""
    sentences = [notices.outside(len(chosen.hidden) - hidden.hidden_regions)]
    if checked:
        sentences += [notices.not_given(checked.visible_faces), notices.found_unasked(checked.new_faces)]
    return " ".join(filter(None, sentences))


def _refuse_other_size(chosen: Chosen, picture: anonymizer_pb2.AnonymizeImageResponse) -> None:
    size_px = (picture.width_px, picture.height_px)
    if chosen.size_px not in {None, size_px}:
        given, actual = (" x ".join(map(str, size)) for size in (chosen.size_px or (), size_px))
        raise InvalidRequest(
            f"faces: the boxes are for a picture of {given} pixels, and this one has {actual}; send those of this one"
        )

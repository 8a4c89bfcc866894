"""JSON documents that come with a picture: read into a typed model, or refused by the name of the wrong field."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from services.chassis.errors import InvalidRequest, TooLarge
from services.chassis.process.settings import MIB

MAX_DOCUMENT_BYTES = 4 * MIB
_BEGINNING_BYTES = 1024

Document = TypeVar("Document", bound=BaseModel)


def is_document(content: bytes) -> bool:
    """Whether it is a JSON object rather than a picture; no picture format begins with a brace."""
    return content[:_BEGINNING_BYTES].lstrip()[:1] == b"{"


def read_document(kind: type[Document], content: bytes, *, field: str) -> Document:
    """The document in `content`.

    Raises:
        TooLarge: It has more than MAX_DOCUMENT_BYTES.
        InvalidRequest: It is not JSON or not as `kind` has it; the message names the place below `field`.
    """
    if len(content) > MAX_DOCUMENT_BYTES:
        raise TooLarge(f"{field}: at most {MAX_DOCUMENT_BYTES} bytes of JSON are accepted, not {len(content)}")
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)
        misspelt = next((each for each in wrong if each["type"] == "extra_forbidden"), None)
        told = misspelt or wrong[0]
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in told["loc"] if step != "[key]")
        raise InvalidRequest(f"{field}{place}: {'unknown field' if misspelt else told['msg']}") from error

"""What became of each file: one row of the report."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from cli.failures import REFUSALS, Failure
from services.chassis.errors import FacetError

NO_FACE = "no face was found"


class Status(StrEnum):
    """How a file fared."""

    DONE = "done"
    REFUSED = "refused"
    """It cannot be treated as asked: no picture, damaged, too large, still recognisable."""
    FAILED = "failed"
    """It could not be read or written, or the service failed; the next run tries again."""
    SKIPPED = "skipped"
    """As documented: hidden files, links to folders, devices, and below a folder what is no picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one file; a text is empty where there is nothing to say."""

    path: str
    """Below the given folder, with `/`; undecodable bytes as surrogates."""
    status: Status
    faces: int = 0
    output: str = ""
    """Below the destination."""
    model: str = ""
    notice: str = ""
    reason: str = ""
    """Stable and machine readable, as in the REST calls' errors."""
    message: str = ""
    """For people."""

    @classmethod
    def done(cls, path: str, *, faces: int, output: str = "", model: str = "", notice: str = "") -> Self:
        """A picture that was treated; one without a face says so, for whoever expected some."""
        if not faces and NO_FACE not in notice:
            notice = "; ".join(filter(None, (NO_FACE, notice)))
        return cls(path=path, status=Status.DONE, faces=faces, output=output, model=model, notice=notice)

    @property
    def answers_notice(self) -> str:
        """The notice that came with the answer."""
        return self.notice.removeprefix(NO_FACE).removeprefix("; ")

    @classmethod
    def of_error(cls, path: str, error: Failure | OSError) -> Self:
        """A file that could not be treated."""
        if isinstance(error, Failure):
            status = Status.REFUSED if isinstance(error, REFUSALS) else Status.FAILED
            return cls(path=path, status=status, reason=error.reason, message=str(error))
        return cls(path=path, status=Status.FAILED, reason="INPUT_OUTPUT", message=error.strerror or str(error))


class Changed(FacetError):  # noqa: N818  (a domain word, like every error of the chassis)
    """A file was written to while it was read, or since it was found."""

    reason = "CHANGED"


class NameTaken(FacetError):  # noqa: N818
    """Something that no earlier run has written stands where the result belongs."""

    reason = "NAME_TAKEN"

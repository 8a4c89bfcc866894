"""One picture from a file or standard input to a file or standard output."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from glob import has_magic
from pathlib import Path
from typing import Self

from cli.batch.anonymizing import Asked
from cli.batch.buckets import is_url
from cli.batch.local_files import replace_file
from cli.batch.local_sources import Rules
from cli.batch.naming import hidden_name, receipt_file, receipt_name, shown, told_type
from cli.batch.outcomes import NameTaken, Outcome
from cli.batch.sources import Source, find
from cli.options import STANDARD
from facet_client import AsyncFacet
from facet_client.api import AnonymizeAnswer
from facet_client.names import FormatName
from services.chassis.errors import InvalidRequest, TooLarge
from services.chassis.process.sizes import limit_text


def is_single(paths: list[str], output: str) -> bool:
    """Whether this is one picture to one name, and not files to a folder."""
    if output == STANDARD or STANDARD in paths:
        return True
    names_a_picture = told_type(output) is not None and not is_url(output) and not Path(output).is_dir()
    return len(paths) == 1 and Path(paths[0]).is_file() and names_a_picture


def is_one_file(paths: list[str]) -> bool:
    """Whether this names one file of this machine, there or not, or standard input."""
    if len(paths) != 1 or is_url(paths[0]):
        return False
    return not Path(paths[0]).is_dir() and (os.path.lexists(paths[0]) or not has_magic(paths[0]))


@dataclass(frozen=True, slots=True, kw_only=True)
class StandardInput:
    """What came in on standard input, as a source."""

    content: bytes = field(repr=False)
    path: str = STANDARD
    version: str = ""
    identity: str = STANDARD

    def read(self, max_bytes: int) -> bytes:
        """As Source says."""
        if len(self.content) > max_bytes:
            raise TooLarge(f"at most {limit_text(max_bytes)} are accepted")
        return self.content


def single_source(paths: list[str], max_bytes: int) -> Source:
    """The picture; standard input is read, up to one byte more than is accepted.

    Raises:
        InvalidRequest: There is not exactly one.
    """
    if len(paths) != 1:
        raise InvalidRequest("standard input or output goes with exactly one picture")
    if paths == [STANDARD]:
        return StandardInput(content=sys.stdin.buffer.read(max_bytes + 1))
    sources = find(paths, Rules(hidden=True)).sources
    if len(sources) != 1:
        raise InvalidRequest(f"{shown(paths[0])} is not exactly one file; more than one go to a folder: -o FOLDER")
    return sources[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFile:
    """Where one picture's result goes."""

    given: str
    """The picture."""
    name: str | None
    """A file, or standard output; None = beside the picture, called after it and the result's format."""
    overwrite: bool
    receipt: bool = False
    """Whether its receipt lies beside it."""

    def named(self, media_type: str) -> str:
        """What a result of this type is called.

        Raises:
            NameTaken: The name tells another format than the result has.
        """
        if self.name is None:
            return hidden_name(self.given, media_type)
        if self.name != STANDARD and told_type(self.name) not in {None, media_type}:
            format_name = media_type.rpartition("/")[2]
            raise NameTaken(f"the result is of the format {format_name}; name it so, or say --format")
        return self.name

    def refuse_taken(self, asked: FormatName | None) -> None:
        """Makes sure, before any work, that nothing is overwritten that should not be.

        Raises:
            InvalidRequest: It would be.
        """
        if self.name is not None:
            self.refuse(self.name)
        elif media_type := f"image/{asked}" if asked else told_type(self.given):
            self.refuse(hidden_name(self.given, "image/jpeg" if media_type == "image/heif" else media_type))

    def refuse(self, output: str) -> None:
        """Makes sure that nothing is overwritten by this file that should not be.

        Raises:
            InvalidRequest: It would be.
        """
        self._refuse(output)
        if self.receipt:
            self._refuse(receipt_name(output))

    def _refuse(self, output: str) -> None:
        if output == STANDARD or not os.path.lexists(output):
            return
        if all(Path(path).exists() for path in (output, self.given)) and Path(output).samefile(self.given):
            raise InvalidRequest(f"{shown(output)} is the picture itself; give another name")
        if not self.overwrite or Path(output).is_dir():
            raise InvalidRequest(f"{shown(output)} exists; give another name, or --overwrite to replace a file")


class OneFile:
    """As running.Job says, for one picture to one name; what goes to standard output is printed at the end."""

    def __init__(self, asked: Asked, output: OutputFile) -> None:
        self._asked = asked
        self._output = output
        self._facet: AsyncFacet | None = None
        self._to_print = b""

    def by(self, facet: AsyncFacet) -> Self:
        """With this client."""
        self._facet = facet
        return self

    async def ask(self, content: bytes) -> AnonymizeAnswer:
        """The picture."""
        assert self._facet is not None  # noqa: S101  (for the type checker)
        return await self._asked.of(self._facet, content)

    def keep(self, source: Source, content: bytes, answer: AnonymizeAnswer) -> Outcome:
        """Writes the answer.

        Raises:
            NameTaken: The name tells another format than the result has.
            InvalidRequest: The result's name, known by its format alone, is taken.
            OSError: It cannot be written.
        """
        del content
        output = self._output.named(answer.media_type)
        if output == STANDARD:
            self._to_print = answer.content
        else:
            self._output.refuse(output)
            Path(output).parent.mkdir(parents=True, exist_ok=True)
            if answer.receipt:
                replace_file(Path(receipt_name(output)), receipt_file(answer.receipt))
            replace_file(Path(output), answer.content)
        return Outcome.done(
            source.path,
            faces=answer.faces,
            output=output,
            model=answer.model or "",
            notice=answer.notice or "",
        )

    def print_out(self) -> None:
        """Prints what goes to standard output, if anything does."""
        if self._to_print:
            sys.stdout.buffer.write(self._to_print)
            sys.stdout.buffer.flush()

"""One picture from a file or standard input to a file or standard output."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from gateway.batch.buckets import is_url
from gateway.batch.local_files import replace_file
from gateway.batch.local_sources import Rules
from gateway.batch.naming import shown, told_type
from gateway.batch.outcomes import NameTaken
from gateway.batch.sources import find
from gateway.client import Anonymized
from services.chassis.errors import InvalidRequest, TooLarge
from services.chassis.sizes import limit_text

STANDARD = "-"
"""Standard input as a source, standard output as a destination."""


def is_single(paths: list[str], output: str) -> bool:
    """Whether this is one picture to one name, and not files to a folder."""
    if output == STANDARD or STANDARD in paths:
        return True
    names_a_picture = told_type(output) is not None and not is_url(output) and not Path(output).is_dir()
    return len(paths) == 1 and Path(paths[0]).is_file() and names_a_picture


def read_single(paths: list[str], max_bytes: int) -> bytes:
    """The picture.

    Raises:
        InvalidRequest: There is not exactly one.
        FacetError: It cannot be used.
        OSError: It cannot be read.
    """
    if len(paths) != 1:
        raise InvalidRequest("standard input or output goes with exactly one picture")
    if paths == [STANDARD]:
        content = sys.stdin.buffer.read(max_bytes + 1)
        if len(content) > max_bytes:
            raise TooLarge(f"at most {limit_text(max_bytes)} are accepted")
        return content
    sources = find(paths, Rules(hidden=True)).sources
    if len(sources) != 1:
        raise InvalidRequest(f"{shown(paths[0])} is not exactly one file; more than one go to a folder: -o FOLDER")
    return sources[0].read(max_bytes)


def refuse_output(paths: list[str], output: str, *, overwrite: bool) -> None:
    """Makes sure that nothing is overwritten that should not be.

    Raises:
        InvalidRequest: It would be.
    """
    if output == STANDARD or not os.path.lexists(output):
        return
    if all(Path(path).exists() for path in (output, paths[0])) and Path(output).samefile(paths[0]):
        raise InvalidRequest(f"{output} is the picture itself; give another name")
    if not overwrite or Path(output).is_dir():
        raise InvalidRequest(f"{output} exists; give another name, or --overwrite to replace a file")


def write_single(answer: Anonymized, output: str) -> None:
    """Writes the result.

    Raises:
        NameTaken: The name tells another format than the result has.
        OSError: It cannot be written.
    """
    if output == STANDARD:
        sys.stdout.buffer.write(answer.content)
        sys.stdout.buffer.flush()
        return
    if told_type(output) not in {None, answer.media_type}:
        format_name = answer.media_type.rpartition("/")[2]
        raise NameTaken(f"the result is of the format {format_name}; name it so, or say --format")
    Path(output).parent.mkdir(parents=True, exist_ok=True)
    replace_file(Path(output), answer.content)

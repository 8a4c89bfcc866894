"""`facet find`: in which pictures a person appears."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.local_stack.session import Target, running
from cli.options import SOME_FAILED, Ca, Key, Recall
from cli.output import stderr, stdout
from services.chassis.errors import InvalidRequest

if TYPE_CHECKING:
    from cli.batch.local_sources import LocalFile
    from cli.person_search import Found, NotUsed

AT_ONCE = 8


def find(  # noqa: PLR0913  (a command has as many parameters as options)
    person: Annotated[Path, typer.Argument(metavar="PERSON", help="A picture of the person, or a folder of several.")],
    pictures: Annotated[list[Path], typer.Argument(metavar="IN...", help="Pictures and folders to search.")],
    *,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=-1, max=1, help="Similarity from which on it is the person; default: rises with the faces compared."
        ),
    ] = None,
    recall: Recall = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for scripts.")] = False,
    target: Target = None,
    key: Key = None,
    ca: Ca = None,
) -> None:
    """Find the pictures in which a person appears: path, box and similarity of each face, the most alike first.

    The more faces are compared, the more alike one must be to be the person's. Faces alike enough for one pair alone \
follow with a question mark.

    A picture of the person must show them at least twice as large as anyone else. Hidden files and links to folders \
are passed over; what a file is, is known by its content.

    Examples: [bold]facet find alice.jpg holidays/[/], [bold]facet find alice/ a.jpg b.jpg --json[/]

    [bold]Exit codes[/]: 0 everything searched, whether or not the person was found; 1 nothing could be; 2 wrong use; \
3 some files could not be searched, but for those that are of no accepted format; 130 Ctrl-C.
    """
    import asyncio  # noqa: PLC0415  (takes as long to import as all the rest of the help)

    from cli.person_search import Search  # noqa: PLC0415
    from cli.person_search import find as search_for  # noqa: PLC0415
    from facet_client import AsyncFacet, DetectionOptions  # noqa: PLC0415  (other commands need none of it)
    from services.chassis.process.settings import SharedSettings, load_settings  # noqa: PLC0415

    references, _ = _files([person])
    searched, unread = _files(pictures)
    search = Search(
        detection=DetectionOptions(recall=recall),
        threshold=threshold,
        max_bytes=load_settings(SharedSettings).max_image_bytes,
        at_once=AT_ONCE,
    )

    async def work(url: str) -> Found:
        from rich.progress import Progress  # noqa: PLC0415

        async with AsyncFacet(url, key=key, ca=ca, connections=AT_ONCE) as facet:
            console = stderr()
            with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
                bar = progress.add_task("searching", total=len(searched))
                return await search_for(references, searched, search, facet, lambda: progress.advance(bar))

    with running(target, anonymizer=False, embedder=True) as url:
        found = asyncio.run(work(url))
    found = replace(found, not_searched=[*unread, *found.not_searched])
    _say_left(found)
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=2))
    else:
        _print(found)
    if _pictures(found.not_searched):
        raise typer.Exit(SOME_FAILED)


def _files(given: Iterable[Path]) -> tuple[Sequence[LocalFile], Sequence[NotUsed]]:
    """All files that paths stand for, each once, and what cannot be looked into.

    Raises:
        InvalidRequest: There is no file.
    """
    from cli.batch.local_sources import LocalFile, Rules, files_at  # noqa: PLC0415
    from cli.batch.outcomes import Status  # noqa: PLC0415
    from cli.person_search import NotUsed  # noqa: PLC0415

    found = [each for path in given for each in files_at(str(path), Rules())]
    files = {each.location: each for each in found if isinstance(each, LocalFile)}
    if not files:
        raise InvalidRequest(f"there is no file in {', '.join(str(path) for path in given)}")
    unread = [
        NotUsed(path=each.path, reason=each.reason, message=each.message)
        for each in found
        if not isinstance(each, LocalFile) and each.status is Status.FAILED
    ]
    return list(files.values()), unread


def _pictures(left: Iterable[NotUsed]) -> Sequence[NotUsed]:
    """Of files that could not be searched, those that may be pictures of an accepted format."""
    return [each for each in left if each.reason != "UNSUPPORTED_FORMAT"]


def _say_left(found: Found) -> None:
    from cli.batch.naming import shown  # noqa: PLC0415

    console = stderr()
    for left, what in ((found.references_not_used, "not used"), (_pictures(found.not_searched), "not searched")):
        for each in left:
            console.print(f"[yellow]{what}[/]", end=" ")
            console.print(f"{shown(each.path)}: {each.message}", markup=False, soft_wrap=True)


def _print(found: Found) -> None:
    from cli.batch.naming import shown  # noqa: PLC0415

    console = stdout()
    for hits, mark in ((found.hits, " "), (found.unsure, "?")):
        for hit in hits:
            box = ",".join(f"{side:.0f}" for side in (hit.box.x_min, hit.box.y_min, hit.box.x_max, hit.box.y_max))
            console.print(f"{hit.similarity:.3f}{mark} {box:<20}  {shown(hit.path)}", markup=False, soft_wrap=True)
    others = len(found.not_searched) - len(_pictures(found.not_searched))
    pictures = len({hit.path for hit in found.hits})
    stderr().print(
        f"[dim]in {pictures} of {found.searched} pictures with {found.faces} faces; similarity of "
        f"{found.threshold:.3g} and more by {found.model}"
        + (f"; faces too unclear to compare: {found.not_compared}" if found.not_compared else "")
        + (f"; files of other formats: {others}" if others else "")
        + (f"; unsure: {len(found.unsure)}" if found.unsure else "")
        + (f". {found.notice}" if found.notice else "")
        + "[/]",
        soft_wrap=True,
    )

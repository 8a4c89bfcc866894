"""`facet anonymize`: hides the faces of files, folders and buckets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import options as batch
from cli.local_stack.session import Target
from facet_client.names import FormatName, ShapeName, StyleName


def _format_of(text: str) -> FormatName:
    try:
        return FormatName(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not one of {', '.join(FormatName)}") from error


_HELP = f"""Hide the faces of pictures: files, folders, patterns or buckets, to a folder or bucket.

One file without -o is answered beside it: photo.jpg as `photo-hidden.jpg`. An existing file is replaced with \
--overwrite alone. Several files and folders need -o, or --in-place.

The tree below each folder (or below the fixed part of a pattern) is mirrored under -o. Originals are never changed \
and never copied: a picture that fails leaves nothing. A run that was stopped or killed goes on where it ended when \
the same command is given again; files that failed or changed are tried again, and all with other options. Only what \
was noted with your own key counts as done (FACET_JOURNAL_KEY, for several machines).

Files are known by content, not by name; a HEIC becomes `name.heic.jpg`. Links to files are followed, links to \
folders are not; hidden files are skipped, devices never read.

Examples:

  [bold]facet anonymize photo.jpg[/]

  [bold]facet anonymize photo.jpg -o hidden.jpg[/]

  [bold]facet anonymize holiday/ -o hidden/ --recall max --report report.csv[/]

  [bold]facet anonymize holiday/ -o hidden/ --keep alice.jpg --keep bob.jpg --verify[/]

  [bold]facet anonymize 'archive/**/*.jpg' -o s3://bucket/hidden --target https://facet.example[/]

  [bold]facet anonymize - -o - < photo.jpg > hidden.jpg[/]
{batch.EXIT_CODES}"""


def anonymize(  # noqa: PLR0913  (a command has as many parameters as options)
    paths: batch.Paths,
    *,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder or bucket; a file for a single picture; - for standard output. Default for one file: "
            "NAME-hidden beside it.",
        ),
    ] = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Replace the originals in the one folder given: they are lost.")
    ] = False,
    overwrite: batch.Overwrite = False,
    style: Annotated[
        StyleName | None, typer.Option(help="What a hidden face looks like.", rich_help_panel=batch.LOOK)
    ] = None,
    shape: Annotated[
        ShapeName | None, typer.Option(help="The outline of what is hidden.", rich_help_panel=batch.LOOK)
    ] = None,
    strength: Annotated[
        float | None, typer.Option(min=0, max=1, help="0 weakest, 1 strongest.", rich_help_panel=batch.LOOK)
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(min=0, max=2, help="How far to hide beyond a face's box.", rich_help_panel=batch.LOOK),
    ] = None,
    boxes: Annotated[
        bool, typer.Option("--boxes", help="Draw a box around each hidden face.", rich_help_panel=batch.LOOK)
    ] = False,
    file_format: Annotated[
        FormatName | None,
        typer.Option(
            "--format",
            parser=_format_of,
            metavar=f"[{'|'.join(FormatName)}]",
            help="Format of the results; default: as each came.",
            rich_help_panel=batch.LOOK,
        ),
    ] = None,
    allow_weak: Annotated[
        bool,
        typer.Option(
            "--allow-weak", help="Average the face itself: more of it can be recognised.", rich_help_panel=batch.LOOK
        ),
    ] = False,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Search each result again and hide what is found.", rich_help_panel=batch.LOOK),
    ] = False,
    keep: Annotated[
        list[Path] | None,
        typer.Option(
            help="A picture of a person to leave visible, or an embedding as JSON; repeat for several. All others are "
            "hidden.",
            rich_help_panel=batch.FACES,
        ),
    ] = None,
    only: Annotated[
        list[Path] | None,
        typer.Option(help="Likewise of a person to hide; all others stay visible.", rich_help_panel=batch.FACES),
    ] = None,
    receipt: Annotated[
        bool,
        typer.Option(
            "--receipt",
            help="Write a signed receipt beside each result, NAME.receipt, for `facet verify-receipt`; the gateway "
            "needs FACET_GATEWAY_RECEIPT_KEY.",
        ),
    ] = False,
    recall: batch.Recall = None,
    model: batch.Model = None,
    min_confidence: batch.MinConfidence = None,
    min_face_px: batch.MinFacePx = None,
    max_faces: batch.MaxFaces = None,
    target: Target = None,
    key: batch.Key = None,
    ca: batch.Ca = None,
    jobs: batch.Jobs = None,
    hidden: batch.Hidden = False,
    shards: batch.Shards = 1,
    shard: batch.ShardIndex = 0,
    report: batch.Report = None,
    as_json: batch.AsJson = False,
) -> None:
    """Documented in _HELP."""
    from cli.anonymizing import Where, anonymize_many, anonymize_one  # noqa: PLC0415
    from cli.batch.anonymizing import Asked  # noqa: PLC0415  (other commands need none of it)
    from cli.batch.shards import Shard  # noqa: PLC0415
    from cli.batch.single import is_one_file, is_single  # noqa: PLC0415
    from cli.run import Circumstances, Telling  # noqa: PLC0415
    from facet_client import DetectionOptions, RedactionOptions  # noqa: PLC0415

    if in_place and output is not None:
        raise typer.BadParameter("give either -o, or --in-place to lose the originals")
    beside = output is None and not in_place
    if beside and (paths == [batch.STANDARD] or not is_one_file(paths)):
        raise typer.BadParameter("say where the results go: -o FOLDER, or --in-place to lose the originals")
    if as_json and output == batch.STANDARD:
        raise typer.BadParameter("--json prints where the picture is printed; write it to a file with -o")
    if receipt and (in_place or output == batch.STANDARD):
        raise typer.BadParameter("--receipt writes a file beside the result: give -o FOLDER or FILE")
    if keep and only:
        raise typer.BadParameter("give either --keep or --only")
    asked = Asked(
        redaction=RedactionOptions(
            style=style,
            shape=shape,
            strength=strength,
            margin=margin,
            boxes=boxes or None,
            format=file_format,
            allow_weak=allow_weak or None,
        ),
        detection=DetectionOptions(
            model=model,
            recall=recall,
            min_confidence=min_confidence,
            min_face_px=min_face_px,
            max_faces=max_faces,
        ),
        verify=verify,
        keep=[batch.read_picture(path) for path in keep or ()],
        only=[batch.read_picture(path) for path in only or ()],
        receipt=receipt,
    )
    how = Circumstances(
        target=target,
        key=key,
        ca=ca,
        jobs=jobs,
        anonymizer=True,
        embedder=bool(keep or only),
        one_file=is_one_file(paths),
    )
    where = Where(paths=paths, output=output, hidden=hidden, overwrite=overwrite)
    telling = Telling(report=report, as_json=as_json, shard=Shard(index=shard, count=shards))
    if beside or (output is not None and is_single(paths, output)):
        anonymize_one(where, asked, how, telling)
    else:
        anonymize_many(where, asked, how, telling)


anonymize.__doc__ = _HELP

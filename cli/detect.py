"""`facet detect`: finds the faces of files, folders and buckets."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli import options as batch
from cli.local_stack.session import Target

_HELP = f"""Find the faces of pictures: files, folders, patterns or buckets.

Prints JSON lines, one a picture in the order of their paths: `path` and the answer of `/v1/detect`; with --as csv a \
line a face. To a file (-o), a run that was stopped or killed goes on where it ended when the same command is given \
again: what is found so far lies hidden beside the file, which is written as a whole at the end.

Examples:

  [bold]facet detect photo.jpg[/]

  [bold]facet detect holiday/ -o faces.csv --recall max[/]

  [bold]facet detect s3://bucket/photos -o s3://bucket/faces.jsonl --target https://facet.example[/]
{batch.EXIT_CODES}"""


class TableName(StrEnum):
    """How found faces are told."""

    JSONL = "jsonl"
    CSV = "csv"


def detect(  # noqa: PLR0913  (a command has as many parameters as options)
    paths: batch.Paths,
    *,
    output: Annotated[
        str, typer.Option("--output", "-o", help="A .jsonl or .csv file, also in a bucket; default: -, printed.")
    ] = batch.STANDARD,
    table: Annotated[TableName | None, typer.Option("--as", help="Default: as the file's name says, or jsonl.")] = None,
    overwrite: batch.Overwrite = False,
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
    from cli.batch.answers import Csv, JsonLines, TextFile, TextFormat, answered_detection  # noqa: PLC0415
    from cli.batch.shards import Shard  # noqa: PLC0415
    from cli.batch.single import is_one_file  # noqa: PLC0415
    from cli.finding import Search, to_file, to_standard_output  # noqa: PLC0415
    from cli.run import Circumstances, Telling  # noqa: PLC0415
    from facet_client import AsyncFacet, DetectionOptions  # noqa: PLC0415
    from facet_client.api import DetectAnswer  # noqa: PLC0415

    if as_json and output == batch.STANDARD:
        raise typer.BadParameter("--json prints where the faces are printed; write them to a file with -o")
    asked = DetectionOptions(
        model=model, recall=recall, min_confidence=min_confidence, min_face_px=min_face_px, max_faces=max_faces
    )

    async def ask(facet: AsyncFacet, content: bytes) -> DetectAnswer:
        return await facet.detect(content, detection=asked)

    search = Search(
        paths=paths,
        asked=asked,
        ask=ask,
        remember=answered_detection,
        hidden=hidden,
        how=Circumstances(target=target, key=key, ca=ca, jobs=jobs, one_file=is_one_file(paths)),
        telling=Telling(report=report, as_json=as_json, shard=Shard(index=shard, count=shards)),
    )
    is_csv = table is TableName.CSV or (table is None and Path(output).suffix == ".csv")
    text: TextFormat = Csv() if is_csv else JsonLines()
    if output == batch.STANDARD:
        to_standard_output(search, text)
    else:
        to_file(search, output, TextFile(text), overwrite=overwrite)


detect.__doc__ = _HELP

"""`facet embed`: finds and embeds the faces of files, folders and buckets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import options as batch
from cli.local_stack.session import Target
from services.chassis.errors import InvalidRequest

if TYPE_CHECKING:
    from cli.batch.answers import FileFormat

_HELP = f"""Find and embed the faces of pictures: files, folders, patterns or buckets.

Writes one row a face that could be aligned: path, face (its number in the picture), box, confidence, norm, embedding \
and the model that made it; embeddings of different models must never be compared. `.npz` is built in memory \
(2 KB a face), `.parquet` is not. Embeddings are personal data: what is found so far lies hidden beside the file, for \
you alone to read, and is gone once everything is done.

Examples:

  [bold]facet embed people/ -o faces.npz[/]

  [bold]facet embed people/ -o - > faces.npz[/]

  [bold]facet embed s3://bucket/photos -o faces.parquet --target https://facet.example[/]
{batch.EXIT_CODES}"""


def embed(  # noqa: PLR0913  (a command has as many parameters as options)
    paths: batch.Paths,
    *,
    output: Annotated[
        str,
        typer.Option("--output", "-o", help="An .npz or .parquet file, also in a bucket; - prints an .npz."),
    ],
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
    from cli.batch.answers import answered_embedding  # noqa: PLC0415
    from cli.batch.shards import Shard  # noqa: PLC0415
    from cli.batch.single import is_one_file  # noqa: PLC0415
    from cli.finding import Search, all_to_standard_output, to_file  # noqa: PLC0415
    from cli.run import Circumstances, Telling  # noqa: PLC0415
    from facet_client import AsyncFacet, DetectionOptions  # noqa: PLC0415
    from facet_client.api import EmbedAnswer  # noqa: PLC0415

    if as_json and output == batch.STANDARD:
        raise typer.BadParameter("--json prints where the embeddings are printed; write them to a file with -o FILE")
    written = _format(output)
    asked = DetectionOptions(
        model=model, recall=recall, min_confidence=min_confidence, min_face_px=min_face_px, max_faces=max_faces
    )

    async def ask(facet: AsyncFacet, content: bytes) -> EmbedAnswer:
        return await facet.embed(content, detection=asked)

    search = Search(
        paths=paths,
        asked=asked,
        ask=ask,
        remember=answered_embedding,
        hidden=hidden,
        how=Circumstances(target=target, key=key, ca=ca, jobs=jobs, embedder=True, one_file=is_one_file(paths)),
        telling=Telling(report=report, as_json=as_json, shard=Shard(index=shard, count=shards)),
    )
    if output == batch.STANDARD:
        all_to_standard_output(search, written)
    else:
        to_file(search, output, written, overwrite=overwrite)


embed.__doc__ = _HELP


def _format(output: str) -> FileFormat:
    from cli.batch.answers import Npz, Parquet  # noqa: PLC0415

    match ".npz" if output == batch.STANDARD else Path(output).suffix:
        case ".npz":
            return Npz()
        case ".parquet":
            return Parquet()
    raise InvalidRequest(f"-o {output}: embeddings go to an .npz or a .parquet file")

"""`facet evaluate`: measures a running deployment on an owner's own labelled pictures."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress
from rich.table import Table

from gateway.commands.output import stderr, stdout
from gateway.evaluation.labels import LabelledPicture, read_labels
from gateway.evaluation.measures import SIZE_EDGES_PX
from gateway.evaluation.run import Evaluation, Question
from gateway.evaluation.run import evaluate as run_evaluation
from gateway.parameters import RecallName
from gateway.pipeline import Pipeline
from gateway.settings import GatewaySettings
from gateway.tiers import Tiers


def evaluate(  # noqa: PLR0913, PLR0917  (a command has as many parameters as options)
    labels: Annotated[Path, typer.Argument(help="COCO's JSON or WIDER FACE's text.")],
    pictures: Annotated[Path, typer.Argument(help="The folder that the labels' file names are relative to.")],
    recall: Annotated[list[RecallName] | None, typer.Option(help="Repeat for several; default: all.")] = None,
    model: Annotated[str, typer.Option(help="Detection model; default: the deployment's.")] = "",
    margin: Annotated[float | None, typer.Option(help="Margin of the hidden regions.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Write the curves to this PNG.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print figures for machines.")] = False,  # noqa: FBT002
) -> None:
    """Measure how many faces a running deployment finds and hides in your own labelled pictures.

    Start it first (`facet up`); FACET_DETECTOR_TARGET and FACET_ANONYMIZER_TARGET say where it is.
    """
    labelled = read_labels(labels, pictures)
    recalls = recall or list(RecallName)
    with Progress(console=stderr(), transient=True) as progress:
        task = progress.add_task("evaluating", total=len(labelled) * len(recalls))
        evaluations = asyncio.run(_evaluate_all(labelled, recalls, model, margin, lambda: progress.advance(task)))
    if plot is not None:
        from gateway.evaluation.plots import write_plot  # noqa: PLC0415  (matplotlib is slow to import)

        write_plot(evaluations, plot)
    if as_json:
        stdout().print_json(json.dumps([_figures(evaluation) for evaluation in evaluations]))
    else:
        _print(evaluations)


async def _evaluate_all(
    labelled: list[LabelledPicture],
    recalls: list[RecallName],
    model: str,
    margin: float | None,
    advance: Callable[[], None],
) -> list[Evaluation]:
    settings = GatewaySettings()
    tiers = Tiers(settings.targets, settings.shared)
    try:
        return [
            await run_evaluation(
                labelled,
                Question(recall=recall, model=model, margin=margin, deadline_s=settings.deadline_s),
                Pipeline(tiers),
                advance,
            )
            for recall in recalls
        ]
    finally:
        await tiers.close()


def _figures(evaluation: Evaluation) -> dict[str, object]:
    return {
        "recall": evaluation.recall.value,
        "model": evaluation.model_id,
        "pictures": evaluation.pictures,
        "faces": evaluation.faces,
        "coverage": round(evaluation.as_served.coverage, 4),
        "false_alarms_a_picture": round(evaluation.as_served.false_alarms_a_picture, 3),
        "average_precision": round(evaluation.precision_recall.average_precision, 4),
        "seconds_a_picture": round(evaluation.seconds_a_picture, 4),
        "found_by_height_px": {
            f"{low}-{high}": {"found": found, "faces": faces}
            for (low, high), (found, faces) in zip(pairwise(SIZE_EDGES_PX), evaluation.by_size, strict=True)
        },
    }


def _print(evaluations: list[Evaluation]) -> None:
    first = evaluations[0]
    table = Table(title=f"{first.faces} faces in {first.pictures} pictures")
    for heading in ("recall", "model", "hidden %", "false alarms a picture", "AP", "ms a picture"):
        table.add_column(heading, justify="left" if heading in ("recall", "model") else "right")
    for evaluation in evaluations:
        table.add_row(
            evaluation.recall.value,
            evaluation.model_id,
            f"{100 * evaluation.as_served.coverage:.1f}",
            f"{evaluation.as_served.false_alarms_a_picture:.2f}",
            f"{100 * evaluation.precision_recall.average_precision:.1f}",
            f"{1000 * evaluation.seconds_a_picture:.0f}",
        )
    stdout().print(table)

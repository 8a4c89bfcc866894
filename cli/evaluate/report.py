"""Runs an evaluation and says what came of it: a table, figures for machines, a plot."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from rich.progress import Progress
from rich.table import Table

from cli.evaluate.labels import read_labels
from cli.evaluate.measures import SIZE_EDGES_PX
from cli.evaluate.run import Evaluation, Question, evaluate
from cli.local_stack.session import running
from cli.output import stderr, stdout
from facet_client import Facet
from facet_client.names import RecallName


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command was asked for."""

    labels: Path
    pictures: Path
    recalls: list[RecallName]
    model: str
    margin: float | None
    plot: Path | None
    as_json: bool
    target: str | None
    """A gateway; None = one is started."""
    key: str | None
    ca: Path | None


def report(asked: Asked) -> None:
    """Evaluates and prints.

    Raises:
        FacetError: The labels cannot be read, or nothing can start.
        ServiceError: As the gateway answers.
    """
    labelled = read_labels(asked.labels, asked.pictures)
    with (
        running(asked.target) as url,
        Facet(url, key=asked.key, ca=asked.ca) as facet,
        Progress(console=stderr(), transient=True) as progress,
    ):
        task = progress.add_task("evaluating", total=len(labelled) * len(asked.recalls))
        evaluations = [
            evaluate(
                labelled,
                Question(recall=recall, model=asked.model, margin=asked.margin),
                facet,
                lambda: progress.advance(task),
            )
            for recall in asked.recalls
        ]
    if asked.plot is not None:
        from cli.evaluate.plots import write_plot  # noqa: PLC0415  (matplotlib is slow to import)

        write_plot(evaluations, asked.plot)
    if asked.as_json:
        stdout().print_json(json.dumps([_figures(evaluation) for evaluation in evaluations]))
    else:
        _print(evaluations)


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

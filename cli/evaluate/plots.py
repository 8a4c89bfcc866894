"""An evaluation as pictures: coverage against false alarms and time, precision against recall, recall by size."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from cli.evaluate.measures import SIZE_EDGES_PX
from cli.evaluate.run import Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def write_plot(evaluations: Sequence[Evaluation], path: Path) -> None:
    """Writes all four as one PNG; a dot marks what is served where a request names no threshold."""
    from matplotlib.figure import Figure  # noqa: PLC0415  (half a second, and only here)

    figure = Figure(figsize=(11, 8), layout="constrained")
    axes = figure.subplots(2, 2)
    _coverage_over_false_alarms(axes[0, 0], evaluations)
    _coverage_over_time(axes[0, 1], evaluations)
    _precision_over_recall(axes[1, 0], evaluations)
    _recall_by_size(axes[1, 1], evaluations)
    for axis in axes.flat:
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    first = evaluations[0]
    figure.suptitle(f"{first.model_id}: {first.faces} faces in {first.pictures} pictures")
    figure.savefig(path, dpi=110)


def _coverage_over_false_alarms(axis: Axes, evaluations: Sequence[Evaluation]) -> None:
    for evaluation in evaluations:
        points = [(p.false_alarms_a_picture, 100 * p.coverage) for p in evaluation.curve]
        [line] = axis.plot(*zip(*points, strict=True), label=evaluation.recall.value)
        served = evaluation.as_served
        axis.plot(served.false_alarms_a_picture, 100 * served.coverage, "o", color=line.get_color())
    axis.set(xlabel="false alarms a picture", ylabel="faces hidden, %", xlim=(0, 20), title="Hidden faces")
    axis.legend(title="recall", frameon=False)


def _coverage_over_time(axis: Axes, evaluations: Sequence[Evaluation]) -> None:
    for evaluation in evaluations:
        at = (1000 * evaluation.seconds_a_picture, 100 * evaluation.as_served.coverage)
        axis.plot(*at, "o")
        axis.annotate(evaluation.recall.value, at, xytext=(6, 6), textcoords="offset points")
    axis.set(xlabel="median time a picture, ms", ylabel="faces hidden, %", xlim=(0, None), title="Cost, as served")


def _precision_over_recall(axis: Axes, evaluations: Sequence[Evaluation]) -> None:
    for evaluation in evaluations:
        measured = evaluation.precision_recall
        label = f"{evaluation.recall.value}, AP {100 * measured.average_precision:.1f}"
        axis.plot(100 * measured.recall, 100 * measured.precision, label=label)
    axis.set(xlabel="recall, %", ylabel="precision, %", xlim=(0, 100), ylim=(0, 101), title="Detection at IoU 0.5")
    axis.legend(frameon=False)


def _recall_by_size(axis: Axes, evaluations: Sequence[Evaluation]) -> None:
    names = [f"{low}-{high}" for low, high in pairwise(SIZE_EDGES_PX[:-1])]
    names.append(f"> {SIZE_EDGES_PX[-2]}")
    width = 0.8 / len(evaluations)
    for index, evaluation in enumerate(evaluations):
        heights = [100 * hits / faces if faces else 0 for hits, faces in evaluation.by_size]
        places = [place + (index - (len(evaluations) - 1) / 2) * width for place in range(len(names))]
        axis.bar(places, heights, width, label=evaluation.recall.value)
    axis.set_xticks(range(len(names)), names)
    axis.set(xlabel="face height, pixels", ylabel="found, %", ylim=(0, 101), title="Found faces by size, as served")

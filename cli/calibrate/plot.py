"""A calibration as a picture: where genuine and impostor pairs lie, and the ROC."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cli.calibrate.measures import Calibration

BINS = np.linspace(-1, 1, 161).tolist()
GENUINE_COLOUR, IMPOSTOR_COLOUR = "#1b7f79", "#b3462f"


def write_plot(calibration: Calibration, path: Path, *, model: str) -> None:
    """Writes a PNG of 1400 x 600 pixels.

    Raises:
        OSError: The file cannot be written.
    """
    figure = Figure(figsize=(14, 6), dpi=100, layout="constrained")  # no pyplot: nothing global is touched
    similarities, curve = figure.subplots(1, 2)
    figure.suptitle(f"{model}: {calibration.people} people, {calibration.pictures} pictures")
    _draw_similarities(calibration, similarities)
    _draw_curve(calibration, curve)
    figure.savefig(path, format="png")


def _draw_similarities(calibration: Calibration, axes: Axes) -> None:
    for scores, colour, label in (
        (calibration.impostor, IMPOSTOR_COLOUR, f"{calibration.impostor.size} impostor pairs"),
        (calibration.genuine, GENUINE_COLOUR, f"{calibration.genuine.size} genuine pairs"),
    ):
        shares = np.full(scores.size, 1 / scores.size)
        axes.hist(scores, BINS, weights=shares, color=colour, alpha=0.6, label=label)
    for point in calibration.points:
        axes.axvspan(point.threshold.low, point.threshold.high, color="black", alpha=0.08)
        axes.axvline(
            point.threshold.value,
            color="black",
            linewidth=1,
            label=f"{point.threshold.value:.4f}: FAR {point.target_far:g} ({point.support})",
        )
    axes.set(xlabel="cosine similarity", ylabel="share of pairs", yscale="log", title="Similarities and thresholds")
    axes.legend()


def _draw_curve(calibration: Calibration, axes: Axes) -> None:
    curve = calibration.roc
    smallest = 1 / calibration.impostor.size
    axes.step(np.maximum(curve.far, smallest / 2), curve.tar, where="post", color=GENUINE_COLOUR)
    for point in calibration.points:
        axes.errorbar(
            point.target_far,
            point.tar.value,
            yerr=[[point.tar.value - point.tar.low], [point.tar.high - point.tar.value]],
            fmt="o",
            color="black",
            capsize=4,
            label=f"TAR {point.tar.value:.4f} at FAR {point.target_far:g}",
        )
    error_rate = calibration.equal_error_rate
    axes.set(
        xlabel="false accept rate",
        ylabel="true accept rate",
        xscale="log",
        xlim=(smallest / 2, 1),
        title=f"ROC; equal error rate {error_rate.value:.4f} ({error_rate.low:.4f} to {error_rate.high:.4f})",
    )
    axes.legend()

"""Re-identification of every style as a picture: rates and intervals beside chance and Solid's floor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.attack_results import SOLID, Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SERVED_COLOUR, WEAK_COLOUR, FLOOR_COLOUR = "#1b7f79", "#b3462f", "black"
LOWEST_PERCENT = 0.1  # the axis is logarithmic: what is less is drawn here


def write_plot(measured: Sequence[Results], path: Path) -> None:
    """Writes a PNG: a row a set of pictures, a column a kind of attack."""
    from matplotlib.figure import Figure  # noqa: PLC0415  (half a second, and only here)

    kinds = [list(results.styles[SOLID].recognised) for results in measured]
    columns = max(len(row) for row in kinds)
    heights = [len(results.styles) + 4 for results in measured]
    figure = Figure(figsize=(4 * columns, 0.28 * sum(heights)), layout="constrained")
    axes = figure.subplots(len(measured), columns, squeeze=False, height_ratios=heights)
    for row, results, attacked in zip(axes, measured, kinds, strict=True):
        for axis, kind in zip(row, attacked, strict=False):
            _rates(axis, results, kind)
        for axis in row[1:]:
            axis.set_yticklabels([])
        for axis in row[len(attacked) :]:
            axis.set_axis_off()
        row[0].set_ylabel(results.title.replace(": ", "\n"))
    figure.suptitle("Hidden faces re-identified: rank 1, 95 % intervals, Solid's in grey, chance dotted")
    figure.savefig(path, dpi=110)


def _rates(axis: Axes, results: Results, kind: str) -> None:
    low, high = results.styles[SOLID].recognised[kind].rate.interval
    axis.axvspan(max(LOWEST_PERCENT, 100 * low), 100 * high, color=FLOOR_COLOUR, alpha=0.1, linewidth=0)
    axis.axvline(100 * results.chance, color=FLOOR_COLOUR, linewidth=1, linestyle=":")
    for place, result in enumerate(results.styles.values()):
        rate = result.recognised[kind].rate
        value, low, high = (max(LOWEST_PERCENT, 100 * share) for share in (rate.value, *rate.interval))
        colour = WEAK_COLOUR if result.weak else SERVED_COLOUR
        axis.errorbar(value, place, xerr=[[value - low], [high - value]], fmt="o", color=colour, capsize=3)
    axis.set_yticks(range(len(results.styles)), list(results.styles))
    axis.set(xscale="log", xlim=(LOWEST_PERCENT, 110), xlabel="re-identified, %", title=kind)
    axis.set_xticks([LOWEST_PERCENT, 1, 10, 100], [f"{LOWEST_PERCENT:g}", "1", "10", "100"])
    axis.invert_yaxis()
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)

"""Runs a calibration and says what came of it: a table, an entry for the manifest, a plot."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from rich.progress import Progress
from rich.table import Table

from cli.calibrate.measures import Calibration, calibrate, least_clear_norm, manifest_entry
from cli.calibrate.people import EmbeddedPeople, embed_people, find_pictures
from cli.local_stack.session import running
from cli.output import stderr, stdout
from facet_client import Facet


def report(folder: Path, plot: Path | None, *, target: str | None, key: str | None, ca: Path | None) -> None:
    """Calibrates and prints.

    Args:
        folder: One folder a person.
        plot: Where the curves go; None = nowhere.
        target: A gateway; None = one is started.
        key: Its API key.
        ca: The authority to trust.

    Raises:
        FacetError: The folder is not as needed, or nothing can start.
        ServiceError: As the gateway answers.
    """
    pictures = find_pictures(folder)
    with (
        running(target, anonymizer=False, embedder=True) as url,
        Facet(url, key=key, ca=ca) as facet,
        Progress(console=stderr(), transient=True) as progress,
    ):
        task = progress.add_task("embedding", total=len(pictures))
        embedded = embed_people(pictures, facet, lambda: progress.advance(task))
    for line in embedded.left_out:
        stderr().print(f"left out: {line}", markup=False)
    calibration = calibrate(embedded.embeddings, embedded.people)
    if plot is not None:
        from cli.calibrate.plot import write_plot  # noqa: PLC0415  (matplotlib is slow to import)

        write_plot(calibration, plot, model=embedded.model_id)
    _print(calibration, embedded, folder.name)


def _print(calibration: Calibration, embedded: EmbeddedPeople, data: str) -> None:
    console = stdout()
    table = Table(title=f"{embedded.model_id}: {calibration.people} people, {calibration.pictures} pictures")
    for heading in ("false accept rate", "threshold", "95 % interval", "true accept rate", "carried by the data"):
        table.add_column(heading, justify="right")
    for point in calibration.points:
        table.add_row(
            f"{point.target_far:g}",
            f"{point.threshold.value:.4f}",
            f"{point.threshold.low:.4f} to {point.threshold.high:.4f}",
            f"{100 * point.tar.value:.2f} %",
            point.support.value,
        )
    console.print(table)
    rate = calibration.equal_error_rate
    console.print(f"equal error rate {100 * rate.value:.2f} % ({100 * rate.low:.2f} to {100 * rate.high:.2f})")
    for warning in calibration.warnings:
        stderr().print(f"[yellow]note:[/] {warning}")
    if calibration.points:
        day = datetime.now(UTC).date()
        entry = manifest_entry(
            calibration,
            calibration.points[-1],
            model=embedded.model_id.partition("@")[0],
            data=data,
            day=day,
            least_norm=least_clear_norm(embedded.norms),
        )
        console.print("\nFor the manifest:\n", entry, sep="\n", markup=False, soft_wrap=True)

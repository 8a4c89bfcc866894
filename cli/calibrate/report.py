"""Runs a calibration and says what came of it: a table, an entry for the manifest, a plot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from rich.progress import Progress
from rich.table import Table

from cli.calibrate.measures import Calibration, calibrate, least_clear_norm, manifest_entry
from cli.calibrate.people import EmbeddedPeople, KnownPicture, embed_people, find_pictures
from cli.output import stderr, stdout
from gateway.settings import GatewaySettings
from gateway.tiers.channels import Tiers
from gateway.tiers.pipeline import Pipeline


def report(folder: Path, plot: Path | None) -> None:
    """Calibrates and prints.

    Raises:
        FacetError: The folder is not as needed, or a tier answers an error.
    """
    pictures = find_pictures(folder)
    with Progress(console=stderr(), transient=True) as progress:
        task = progress.add_task("embedding", total=len(pictures))
        embedded = asyncio.run(_embed(pictures, lambda: progress.advance(task)))
    for line in embedded.left_out:
        stderr().print(f"left out: {line}", markup=False)
    calibration = calibrate(embedded.embeddings, embedded.people)
    if plot is not None:
        from cli.calibrate.plot import write_plot  # noqa: PLC0415  (matplotlib is slow to import)

        write_plot(calibration, plot, model=embedded.model_id)
    _print(calibration, embedded, folder.name)


async def _embed(pictures: list[KnownPicture], advance: Callable[[], None]) -> EmbeddedPeople:
    settings = GatewaySettings()
    tiers = Tiers(settings.targets, settings.shared)
    try:
        return await embed_people(pictures, Pipeline(tiers), deadline_s=settings.deadline_s, advance=advance)
    finally:
        await tiers.close()


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

"""How `facet anonymize` runs: many pictures to a folder or bucket, or one to a file."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import typer

from gateway.batch.anonymizing import Anonymizing, Asked
from gateway.batch.bucket_destination import BucketFolder
from gateway.batch.buckets import is_url, open_bucket
from gateway.batch.destinations import Destination
from gateway.batch.local_destination import InPlace, LocalFolder
from gateway.batch.local_sources import Rules
from gateway.batch.outcomes import Changed, NameTaken
from gateway.batch.report import Tally
from gateway.batch.shards import Shard
from gateway.batch.single import STANDARD, read_single, refuse_output, write_single
from gateway.batch.sources import find
from gateway.client import Anonymized, AsyncFacet
from gateway.commands.batch import SOME_FAILED
from gateway.commands.carrying_out import Circumstances, Telling, carry_out, exit_as, os_errors_said
from gateway.commands.local import running
from gateway.commands.output import say_error
from services.chassis.errors import InvalidRequest, StillRecognisable
from services.chassis.settings import SharedSettings, load_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """From where to where."""

    paths: list[str]
    output: str | None
    """None = in place."""
    hidden: bool
    overwrite: bool

    def destination(self, shard: Shard) -> Destination:
        """Where the results go.

        Raises:
            InvalidRequest: It cannot be one.
        """
        if self.output is None:
            if len(self.paths) != 1 or not Path(self.paths[0]).is_dir():
                raise InvalidRequest("--in-place takes exactly one folder of this machine")
            return InPlace(Path(self.paths[0]), shard)
        if is_url(self.output):
            return BucketFolder(open_bucket(self.output), shard)
        return LocalFolder(Path(self.output), shard)

    def rules(self, report: Path | None) -> Rules:
        """What counts of what is there."""
        written = [Path(self.output)] if self.output else []
        return Rules(
            hidden=self.hidden, links=self.output is not None, leave_out=[*written, *([report] if report else [])]
        )


@os_errors_said()
def anonymize_many(where: Where, asked: Asked, how: Circumstances, telling: Telling) -> None:
    """Anonymizes everything that is found and not yet done."""
    report = telling.report_file()
    destination = where.destination(telling.shard)
    findings = find(where.paths, where.rules(report.path if report else None))
    anonymizing = Anonymizing(destination, asked, overwrite=where.overwrite)
    anonymizing.check(findings)
    with destination:
        plan = anonymizing.plan(findings, telling.shard)
        tally = Tally(outcomes=list(plan.settled), earlier=plan.earlier)
        carry_out(plan.remaining, anonymizing.by, how, tally)
    telling.tell(tally)
    exit_as(tally)


@os_errors_said()
def anonymize_one(where: Where, asked: Asked, how: Circumstances) -> None:
    """Anonymizes one picture to a file or to standard output."""
    output = where.output or STANDARD

    async def ask(url: str, content: bytes) -> Anonymized:
        async with AsyncFacet(url, key=how.key, ca=how.ca) as facet:
            return await facet.anonymize(
                content, redaction=asked.redaction, detection=asked.detection, verify=asked.verify
            )

    refuse_output(where.paths, output, overwrite=where.overwrite)
    try:
        content = read_single(where.paths, load_settings(SharedSettings).max_image_bytes)
        with running(how.target, anonymizer=True) as url:
            write_single(asyncio.run(ask(url, content)), output)
    except (InvalidRequest, StillRecognisable, NameTaken, Changed) as error:
        say_error(error)
        raise typer.Exit(SOME_FAILED) from error

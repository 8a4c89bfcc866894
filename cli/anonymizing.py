"""How `facet anonymize` runs: many pictures to a folder or bucket, or one to a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cli.batch.anonymizing import Anonymizing, Asked
from cli.batch.bucket_destination import BucketFolder
from cli.batch.buckets import is_url, open_bucket
from cli.batch.destinations import Destination
from cli.batch.local_destination import InPlace, LocalFolder
from cli.batch.local_sources import Rules
from cli.batch.naming import shown
from cli.batch.report import Tally
from cli.batch.shards import Shard
from cli.batch.single import OneFile, OutputFile, single_source
from cli.batch.sources import find
from cli.output import stderr
from cli.run import Circumstances, Telling, carry_out, exit_as, os_errors_said
from services.chassis.errors import InvalidRequest
from services.chassis.process.settings import SharedSettings, load_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """From where to where."""

    paths: list[str]
    output: str | None
    """None = in place, or one file's result beside it."""
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
        tally = Tally(outcomes=list(plan.settled), earlier=plan.earlier, notices=destination.notices)
        carry_out(plan.remaining, anonymizing.by, how, tally)
    telling.tell(tally)
    exit_as(tally)


@os_errors_said()
def anonymize_one(where: Where, asked: Asked, how: Circumstances, telling: Telling) -> None:
    """Anonymizes one picture to a file or to standard output, told as a folder of one."""
    telling.report_file()
    target = OutputFile(given=where.paths[0], name=where.output, overwrite=where.overwrite, receipt=asked.receipt)
    target.refuse_taken(asked.redaction.format)
    source = single_source(where.paths, load_settings(SharedSettings).max_image_bytes)
    tally = Tally()
    job = OneFile(asked, target)
    carry_out([source], job.by, how, tally)
    job.print_out()
    telling.tell(tally)
    if where.output is None and tally.clean:
        stderr().print(f"written to {shown(tally.outcomes[0].output)}", markup=False, soft_wrap=True)
    exit_as(tally)

"""How `facet detect` and `facet embed` run: find the pictures, ask for each, write the answers in their order."""

from __future__ import annotations

import io
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from cli.batch.anonymizing import digest_of
from cli.batch.answers import FileFormat, Remember, TextFormat
from cli.batch.finding import Finding, InOrder
from cli.batch.journal import Answered
from cli.batch.local_sources import Rules
from cli.batch.outcomes import Status
from cli.batch.report import Tally
from cli.batch.result_file import result_file
from cli.batch.sources import Findings, find
from cli.run import Circumstances, Telling, carry_out, exit_as, os_errors_said
from facet_client import AsyncFacet, DetectionOptions

AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Search(Generic[AnswerT]):
    """What is looked for, where, and how it is told."""

    paths: list[str]
    asked: DetectionOptions
    ask: Callable[[AsyncFacet, bytes], Awaitable[AnswerT]]
    remember: Remember[AnswerT]
    hidden: bool
    how: Circumstances
    telling: Telling

    def findings(self, *outputs: str) -> Findings:
        """This worker's share of the pictures, without what this run itself writes."""
        report = self.telling.report_file()
        own = [Path(output) for output in outputs] + ([report.path] if report else [])
        found = find(self.paths, Rules(hidden=self.hidden, leave_out=own))
        return Findings(
            sources=[source for source in found.sources if source.path in self.telling.shard],
            passed_over=[outcome for outcome in found.passed_over if outcome.path in self.telling.shard],
        )

    def job(self, append: Callable[[Answered], None], facet: AsyncFacet) -> Finding[AnswerT]:
        """What is done to each picture."""
        return Finding(partial(self.ask, facet), self.remember, append, digest_of(self.asked))


@os_errors_said()
def to_standard_output(search: Search[AnswerT], text: TextFormat) -> None:
    """Prints each answer as soon as all before it are there; nothing is remembered."""
    findings = search.findings()
    tally = Tally(outcomes=list(findings.passed_over))

    def print_out(entry: Answered) -> None:
        sys.stdout.write(text.rows(entry))
        sys.stdout.flush()

    sys.stdout.write(text.heading())
    printer = InOrder(findings.sources, print_out)
    carry_out(findings.sources, partial(search.job, printer.append), search.how, tally, printer.settle)
    search.telling.tell(tally)
    exit_as(tally)


@os_errors_said()
def all_to_standard_output(search: Search[AnswerT], written: FileFormat) -> None:
    """Prints all answers at the end, as one file that is built in memory; nothing is remembered."""
    findings = search.findings()
    tally = Tally(outcomes=list(findings.passed_over))
    entries: list[Answered] = []
    carry_out(findings.sources, partial(search.job, entries.append), search.how, tally)
    file = io.BytesIO()
    written.write(sorted(entries, key=lambda entry: entry.path), file)
    sys.stdout.buffer.write(file.getvalue())
    sys.stdout.flush()
    search.telling.tell(tally)
    exit_as(tally)


@os_errors_said()
def to_file(search: Search[AnswerT], output: str, written: FileFormat, *, overwrite: bool) -> None:
    """Writes all answers to one file at the end; a run that was stopped before goes on."""
    output = search.telling.shard.named(output)
    findings = search.findings(output)
    file = result_file(output)
    notebook = file.notebook(overwrite=overwrite)
    everything_written = False
    try:
        versions = {source.path: source.version for source in findings.sources}
        options = digest_of(search.asked)
        done = {
            entry.path: entry.outcome
            for entry in notebook.entries()
            if entry.options == options and versions.get(entry.path) == entry.source
        }
        tally = Tally(outcomes=[*findings.passed_over, *done.values()], earlier=len(done))
        remaining = [source for source in findings.sources if source.path not in done]
        carry_out(remaining, partial(search.job, notebook.append), search.how, tally)
        file.write(
            notebook.in_order({outcome.path for outcome in tally.outcomes if outcome.status is Status.DONE}), written
        )
        everything_written = tally.clean
    finally:
        notebook.close(forget=everything_written)
    search.telling.tell(tally)
    exit_as(tally)

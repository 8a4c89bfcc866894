"""How `facet anonymize`, `detect` and `embed` are carried out: through a gateway, told to people and to machines."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import typer

from cli.batch.naming import shown, some
from cli.batch.outcomes import NO_FACE, Outcome, Status
from cli.batch.progress import ProgressBar
from cli.batch.report import ReportFile, Tally, problems
from cli.batch.running import Job, Run, default_in_flight
from cli.batch.shards import Shard
from cli.batch.sources import Source
from cli.local_stack.session import running
from cli.options import INTERRUPTED, SOME_FAILED, TERMINATED
from cli.output import say_error, stderr
from facet_client import AsyncFacet
from services.chassis.process.settings import SharedSettings, load_settings

PROBLEMS_TOLD = 10
NOTICES_TOLD = 5

AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """How a run is carried out."""

    target: str | None
    key: str | None
    ca: Path | None
    jobs: int | None
    embedder: bool = False
    anonymizer: bool = False
    one_file: bool = False
    """One file was named, not a folder: that it is no picture is a refusal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """How a run is told."""

    report: Path | None
    as_json: bool
    shard: Shard

    def report_file(self) -> ReportFile | None:
        """This worker's own.

        Raises:
            InvalidRequest: It is no report's name.
        """
        return ReportFile(path=Path(self.shard.named(str(self.report)))) if self.report else None

    def tell(self, tally: Tally) -> None:
        """Writes the report, tells people on standard error and machines on standard output."""
        if report := self.report_file():
            report.write(tally)
        if self.as_json:
            told = {
                "without_faces": [outcome.path for outcome in tally.without_faces()],
                "notices": [*tally.notices, *sorted(_notices(tally))],
                "problems": [asdict(outcome) for outcome in problems(tally.in_order())],
            }
            typer.echo(json.dumps({**tally.summary(), **told}, indent=2))
        tell_people(tally)


def carry_out(
    sources: Sequence[Source],
    job_of: Callable[[AsyncFacet], Job[AnswerT]],
    how: Circumstances,
    tally: Tally,
    settle: Callable[[Outcome], None] | None = None,
) -> None:
    """Runs all sources through a gateway, started for it where none is named.

    Args:
        sources: What is left to do; where that is nothing, nothing is started.
        job_of: What is done to each, with a client.
        how: Where and how many at once.
        tally: Takes what became of each.
        settle: Told the same.

    Raises:
        FacetError: Nothing could start.
        ServiceError: The service went away.
        typer.Exit: Ctrl-C or SIGTERM; the work that was begun is ended or left without a trace.
    """
    if not sources:
        return
    in_flight = how.jobs or default_in_flight()
    terminated = False

    def terminate(*_: object) -> None:
        nonlocal terminated
        terminated = True
        signal.raise_signal(signal.SIGINT)

    async def work(url: str, bar: ProgressBar) -> None:
        def settled(outcome: Outcome) -> None:
            tally.outcomes.append(outcome)
            bar.settle(outcome)
            if settle:
                settle(outcome)

        max_bytes = load_settings(SharedSettings).max_image_bytes
        async with AsyncFacet(url, key=how.key, ca=how.ca, connections=in_flight) as facet:
            run = Run(job_of(facet), settled, in_flight=in_flight, max_bytes=max_bytes, pictures_alone=how.one_file)
            await run.through(sources)

    previous = signal.signal(signal.SIGTERM, terminate)
    started = time.monotonic()
    try:
        with ExitStack() as stack:
            url = stack.enter_context(running(how.target, anonymizer=how.anonymizer, embedder=how.embedder))
            started = time.monotonic()
            asyncio.run(work(url, stack.enter_context(ProgressBar(stderr(), len(sources)))))
    except KeyboardInterrupt:
        done = tally.count(Status.DONE)
        stderr().print(f"stopped; {done:,} pictures are done, and the same command goes on with the rest")
        raise typer.Exit(TERMINATED if terminated else INTERRUPTED) from None
    finally:
        tally.seconds = time.monotonic() - started
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def os_errors_said() -> Iterator[None]:
    """Says in one line what cannot be listed or written.

    Raises:
        typer.Exit: It could not.
    """
    try:
        yield
    except BrokenPipeError:  # nobody reads any more: typer ends the command without a word
        raise
    except OSError as error:
        say_error(error)
        raise typer.Exit(1) from error


def _notices(tally: Tally) -> Counter[str]:
    """What answers said of themselves, and how many said it."""
    return Counter(outcome.answers_notice for outcome in tally.outcomes if outcome.answers_notice)


def tell_people(tally: Tally) -> None:
    """A short summary on standard error, with the first problems, pictures without a face, and notices."""
    console = stderr()
    summary = tally.summary()
    earlier = f" ({tally.earlier:,} by earlier runs)" if tally.earlier else ""
    parts = [f"{summary['done']:,} pictures done{earlier}", f"{summary['faces']:,} faces"]
    parts += [f"{summary[kind]:,} {kind}" for kind in ("refused", "failed", "skipped") if summary[kind]]
    console.print(f"{', '.join(parts)} in {tally.seconds:.1f} s", markup=False)
    listed = problems(tally.in_order())
    for outcome in listed[:PROBLEMS_TOLD]:
        console.print(f"  {shown(outcome.path)}: {outcome.message}", markup=False, soft_wrap=True)
    if len(listed) > PROBLEMS_TOLD:
        console.print(f"  and {len(listed) - PROBLEMS_TOLD:,} more; --report FILE tells them all", markup=False)
    if without := tally.without_faces():
        names = some(outcome.path for outcome in without)
        console.print(f"{NO_FACE} in: {names}", markup=False, soft_wrap=True)
    for notice, count in _notices(tally).most_common(NOTICES_TOLD):
        whom = f"{count:,} pictures" if len(tally.outcomes) > 1 else "this picture"
        console.print(f"notice for {whom}: {shown(notice)}", markup=False, soft_wrap=True)
    for notice in tally.notices[:NOTICES_TOLD]:
        console.print(f"notice: {notice}", markup=False, soft_wrap=True)
    if len(tally.notices) > NOTICES_TOLD:
        console.print(f"and {len(tally.notices) - NOTICES_TOLD:,} notices more", markup=False)


def exit_as(tally: Tally) -> None:
    """Ends the command as its files fared.

    Raises:
        typer.Exit: Some were refused or failed.
    """
    if not tally.clean:
        raise typer.Exit(SOME_FAILED)

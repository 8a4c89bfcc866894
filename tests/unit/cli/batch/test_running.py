"""The run: bounded, undeterred by single failures, stopped by those of the service."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from functools import partial

import pytest

from cli.batch import running
from cli.batch.outcomes import Outcome, Status
from cli.batch.running import Run
from cli.batch.sources import Source
from facet_client import (
    DeadlinePassedError,
    InvalidPictureError,
    NotReadyError,
    ServiceError,
    UnauthenticatedError,
    UnsupportedFormatError,
)
from tests.support.waiting import eventually

IN_FLIGHT = 5


class Counter:
    """How many are under way, and how many at most were."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0
        self._lock = threading.Lock()

    def add(self, number: int) -> None:
        with self._lock:
            self.now += number
            self.most = max(self.most, self.now)


@dataclass(frozen=True, kw_only=True)
class Given:
    """A source in memory, counted from reading to keeping."""

    path: str
    counter: Counter
    version: str = "1"
    error: OSError | None = None

    @property
    def identity(self) -> str:
        return self.path

    def read(self, max_bytes: int) -> bytes:
        assert max_bytes == 1000
        self.counter.add(1)
        if self.error:
            self.counter.add(-1)
            raise self.error
        return self.path.encode()


class Job:
    """Answers as told."""

    def __init__(self, errors: dict[str, list[ServiceError]] | None = None) -> None:
        self.errors = errors or {}
        self.kept: list[str] = []

    async def ask(self, content: bytes) -> bytes:
        await asyncio.sleep(0.001)
        if errors := self.errors.get(content.decode()):
            raise errors.pop(0)
        return content

    def keep(self, source: Source, content: bytes, answer: bytes) -> Outcome:
        assert content == answer == source.path.encode()
        assert isinstance(source, Given)
        source.counter.add(-1)
        self.kept.append(source.path)
        return Outcome(path=source.path, status=Status.DONE)


def sources(count: int, counter: Counter) -> list[Given]:
    return [Given(path=str(index), counter=counter) for index in range(count)]


async def outcomes(job: Job, given: list[Given]) -> dict[str, Outcome]:
    settled: list[Outcome] = []
    await Run(job, settled.append, in_flight=IN_FLIGHT, max_bytes=1000).through(given)
    assert len({outcome.path for outcome in settled}) == len(settled)
    return {outcome.path: outcome for outcome in settled}


async def test_never_more_than_so_many_pictures_are_in_memory() -> None:
    counter = Counter()
    assert len(await outcomes(Job(), sources(200, counter))) == 200
    assert counter.most == IN_FLIGHT
    assert counter.now == 0


async def test_bad_pictures_stop_no_other() -> None:
    counter = Counter()
    given = [*sources(20, counter), Given(path="gone", counter=counter, error=FileNotFoundError(2, "No such file"))]
    settled = await outcomes(Job({"3": [InvalidPictureError("damaged")], "4": [DeadlinePassedError("slow")]}), given)
    assert settled["3"] == Outcome(path="3", status=Status.REFUSED, reason="INVALID_PICTURE", message="damaged")
    assert settled["4"].status is Status.FAILED
    assert settled["gone"].message == "No such file"
    assert sum(outcome.status is Status.DONE for outcome in settled.values()) == 18


@pytest.mark.parametrize("named", [True, False])
async def test_what_is_no_picture_is_skipped_in_a_folder_and_refused_where_it_was_named(
    named: bool,  # noqa: FBT001  (a parameter of the test)
) -> None:
    others = {"Thumbs.db", "notes.txt", "film.mp4", "file"}
    pictures = {"moving.gif", "GIF89a", "raw.CR3", "notes.jpg"}
    settled: list[Outcome] = []
    job = Job({path: [UnsupportedFormatError("no picture")] for path in others | pictures})
    run = Run(job, settled.append, in_flight=IN_FLIGHT, max_bytes=1000, pictures_alone=named)
    await run.through([Given(path=path, counter=Counter()) for path in others | pictures])
    assert {outcome.path for outcome in settled if outcome.status is Status.SKIPPED} == (set() if named else others)
    assert {outcome.status for outcome in settled if outcome.path in pictures} == {Status.REFUSED}
    assert {outcome.reason for outcome in settled} == {"UNSUPPORTED_FORMAT"}


@pytest.mark.parametrize("error", [NotReadyError("away"), UnauthenticatedError("no key")])
async def test_service_that_never_answered_stops_the_run_at_once(error: ServiceError) -> None:
    job = Job({str(index): [error] * 9 for index in range(50)})
    with pytest.raises(type(error)):
        await outcomes(job, sources(50, Counter()))
    assert job.kept == []


async def test_service_that_has_worked_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "PAUSE_S", 0.01)
    job = Job({"30": [NotReadyError("starting anew")] * 3})
    settled = await outcomes(job, sources(40, Counter()))
    assert settled["30"].status is Status.DONE


async def test_service_that_stays_away_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "PAUSE_S", 0.01)
    monkeypatch.setattr(running, "PATIENCE_S", 0.05)
    job = Job({"30": [NotReadyError("gone")] * 1000})
    with pytest.raises(NotReadyError, match="gone"):
        await outcomes(job, sources(4000, Counter()))
    assert "30" not in job.kept


async def test_cancelling_ends_what_was_begun() -> None:
    counter, job = Counter(), Job()
    task = asyncio.create_task(outcomes(job, sources(10_000, counter)))
    await asyncio.to_thread(eventually, lambda: len(job.kept) >= 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    kept = len(job.kept)
    await asyncio.sleep(0.02)
    assert len(job.kept) == kept < 10_000


def test_parallelism_follows_the_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "available_processors", partial(int, 6))
    assert running.default_in_flight() == 24

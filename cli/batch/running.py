"""The run: so many pictures at once and never more, each read, sent, and kept; one that fails stops no other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Generic, Protocol, TypeVar

from cli.batch.naming import may_be_picture
from cli.batch.outcomes import Outcome, Status
from cli.batch.sources import Source
from cli.failures import FAILURES, OF_THE_SERVICE
from facet_client import NotReadyError
from services.chassis.process.processors import available_processors

PATIENCE_S = 60.0
"""How long a service that has worked may be away, as when it is started anew."""
PAUSE_S = 2.0
NO_FORMAT = "UNSUPPORTED_FORMAT"
"""The service's reason for a file that it knows for none of the formats that it accepts."""
PICTURES_A_PROCESSOR = 4
"""So many are under way for each of the tiers' processors: enough that none waits for reading or writing."""

AnswerT = TypeVar("AnswerT")


class Job(Protocol[AnswerT]):
    """What is done to each picture."""

    async def ask(self, content: bytes) -> AnswerT:
        """Has the service treat a picture.

        Raises:
            ServiceError: As the service answers.
        """

    def keep(self, source: Source, content: bytes, answer: AnswerT) -> Outcome:
        """Keeps the answer; runs in a thread, for several pictures at once.

        Raises:
            FacetError: It must not be kept.
            OSError: It cannot be written.
        """


class Run(Generic[AnswerT]):
    """Works through sources."""

    def __init__(
        self,
        job: Job[AnswerT],
        settled: Callable[[Outcome], None],
        *,
        in_flight: int,
        max_bytes: int,
        pictures_alone: bool = False,
    ) -> None:
        """Does nothing yet.

        Args:
            job: What is done to each picture.
            settled: Told what became of each, as it happens.
            in_flight: So many at once.
            max_bytes: Larger ones are not read.
            pictures_alone: All sources are said to be pictures; otherwise, what is none is skipped, not refused.
        """
        self._job = job
        self._settled = settled
        self._in_flight = in_flight
        self._max_bytes = max_bytes
        self._pictures_alone = pictures_alone
        self._has_worked = False

    async def through(self, sources: Sequence[Source]) -> None:
        """Treats them all; the bytes of at most `in_flight` are in memory.

        Raises:
            NotReadyError: The service is away, and stays so.
            UnauthenticatedError: It wants another key.
            ForbiddenError: This key may not do this.
        """
        remaining = iter(sources)

        async def work() -> None:
            for source in remaining:
                self._settled(await self._outcome(source, blocking))

        with ThreadPoolExecutor(self._in_flight, thread_name_prefix="files") as blocking:
            try:
                async with asyncio.TaskGroup() as workers:
                    for _ in range(min(self._in_flight, len(sources))):
                        workers.create_task(work())
            except BaseExceptionGroup as several:
                raise several.exceptions[0] from None

    async def _outcome(self, source: Source, blocking: ThreadPoolExecutor) -> Outcome:
        loop = asyncio.get_running_loop()
        content: bytes | None = None
        try:
            content = await loop.run_in_executor(blocking, source.read, self._max_bytes)
            answer = await self._ask_patiently(content)
            return await loop.run_in_executor(blocking, self._job.keep, source, content, answer)
        except OF_THE_SERVICE:
            raise
        except (*FAILURES, OSError) as error:
            outcome = Outcome.of_error(source.path, error)
            return outcome if content is None else self._skipped_if_no_picture(outcome, content)

    def _skipped_if_no_picture(self, outcome: Outcome, content: bytes) -> Outcome:
        """A folder holds other things than pictures: they are named in the report, and no failure."""
        no_picture = outcome.status is Status.REFUSED and (not content or outcome.reason == NO_FORMAT)
        if self._pictures_alone or not no_picture or may_be_picture(outcome.path, content):
            return outcome
        return replace(outcome, status=Status.SKIPPED)

    async def _ask_patiently(self, content: bytes) -> AnswerT:
        until = asyncio.get_running_loop().time() + PATIENCE_S
        while True:
            try:
                answer = await self._job.ask(content)
            except NotReadyError:
                if not self._has_worked or asyncio.get_running_loop().time() > until:
                    raise
                await asyncio.sleep(PAUSE_S)
            else:
                self._has_worked = True
                return answer


def default_in_flight() -> int:
    """How many pictures are under way unless told otherwise."""
    return PICTURES_A_PROCESSOR * available_processors()

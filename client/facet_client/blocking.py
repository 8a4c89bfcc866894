"""`Facet`: the calls of AsyncFacet for code without asyncio, on an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, Self, TypeVar

from facet_client.api import AnonymizeAnswer, CompareAnswer, DetectAnswer, EmbedAnswer, ModelAnswer, ReadyAnswer
from facet_client.asynchronous import AsyncFacet
from facet_client.options import DETECTION_DEFAULTS, REDACTION_DEFAULTS, DetectionOptions, RedactionOptions

Result = TypeVar("Result")


class Facet:
    """A gateway, from code that blocks; a context manager. Threads may share it.

    Its calls take, answer and raise what those of AsyncFacet do.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout_s: float = 60.0,
        ca: Path | None = None,
        connections: int = 32,
    ) -> None:
        """As AsyncFacet."""
        self._facet = AsyncFacet(url, key=key, timeout_s=timeout_s, ca=ca, connections=connections)
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._run, name="facet", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        """Nothing to do: connections are made when first used."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Closes the connections and ends the thread."""
        self.close()

    def close(self) -> None:
        """Closes the connections and ends the thread."""
        if self._loop.is_closed():
            return
        self._wait(self._facet.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def anonymize(  # noqa: PLR0913
        self,
        picture: bytes,
        *,
        redaction: RedactionOptions = REDACTION_DEFAULTS,
        detection: DetectionOptions = DETECTION_DEFAULTS,
        verify: bool = False,
        keep: Sequence[bytes] = (),
        only: Sequence[bytes] = (),
        receipt: bool = False,
        faces: DetectAnswer | None = None,
    ) -> AnonymizeAnswer:
        """Makes the faces of a picture unrecognisable."""
        return self._wait(
            self._facet.anonymize(
                picture,
                redaction=redaction,
                detection=detection,
                verify=verify,
                keep=keep,
                only=only,
                receipt=receipt,
                faces=faces,
            )
        )

    def detect(self, picture: bytes, *, detection: DetectionOptions = DETECTION_DEFAULTS) -> DetectAnswer:
        """Finds the faces of a picture."""
        return self._wait(self._facet.detect(picture, detection=detection))

    def embed(self, picture: bytes, *, detection: DetectionOptions = DETECTION_DEFAULTS) -> EmbedAnswer:
        """Finds the faces of a picture and embeds each."""
        return self._wait(self._facet.embed(picture, detection=detection))

    def compare(
        self, picture_a: bytes, picture_b: bytes, *, detection: DetectionOptions = DETECTION_DEFAULTS
    ) -> CompareAnswer:
        """Tells whether the largest faces of two pictures are one person's."""
        return self._wait(self._facet.compare(picture_a, picture_b, detection=detection))

    def models(self) -> tuple[ModelAnswer, ...]:
        """Lists the models that the tiers know."""
        return self._wait(self._facet.models())

    def ready(self) -> ReadyAnswer:
        """Asks whether pictures can be anonymized."""
        return self._wait(self._facet.ready())

    def _run(self) -> None:
        self._loop.run_forever()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def _wait(self, work: Coroutine[Any, Any, Result]) -> Result:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:  # also Ctrl-C: nothing goes on in the background that nobody waits for
            future.cancel()
            raise

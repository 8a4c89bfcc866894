"""Finding or embedding the faces of many pictures: each answer is remembered, and all are written at the end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from cli.batch.answers import Remember
from cli.batch.journal import Answered
from cli.batch.outcomes import Outcome
from cli.batch.sources import Source

AnswerT = TypeVar("AnswerT")


class Finding(Generic[AnswerT]):
    """As running.Job says."""

    def __init__(
        self,
        ask: Callable[[bytes], Awaitable[AnswerT]],
        remember: Remember[AnswerT],
        append: Callable[[Answered], None],
        options: str,
    ) -> None:
        """Asks, and appends what is to be remembered; `options` is the digest of what was asked for."""
        self._ask = ask
        self._remember = remember
        self._append = append
        self._options = options

    async def ask(self, content: bytes) -> AnswerT:
        """One picture."""
        return await self._ask(content)

    def keep(self, source: Source, content: bytes, answer: AnswerT) -> Outcome:
        """Remembers the answer; nothing of the picture."""
        del content
        entry = self._remember(source, self._options, answer)
        self._append(entry)
        return entry.outcome


class InOrder:
    """Hands answers on in the order of the pictures, each as soon as all before it are settled."""

    def __init__(self, sources: Sequence[Source], hand_on: Callable[[Answered], None]) -> None:
        self._order = iter([source.path for source in sources])
        self._next = next(self._order, None)
        self._hand_on = hand_on
        self._waiting: dict[str, Answered] = {}
        self._settled: set[str] = set()

    def append(self, entry: Answered) -> None:
        """Takes an answer; it is handed on by `settle`. From any thread."""
        self._waiting[entry.path] = entry

    def settle(self, outcome: Outcome) -> None:
        """Takes note that nothing more comes of a picture, and hands on what has waited for it."""
        self._settled.add(outcome.path)
        while self._next in self._settled:
            self._settled.remove(self._next)
            if entry := self._waiting.pop(self._next, None):
                self._hand_on(entry)
            self._next = next(self._order, None)

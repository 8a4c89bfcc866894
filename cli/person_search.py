"""Where a person appears: faces of many pictures compared with those of a few references, through a gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cli.batch.local_sources import LocalFile
from cli.failures import FAILURES, OF_THE_SERVICE
from facet_client import AsyncFacet, DetectionOptions
from facet_client.api import EmbedAnswer, EmbeddedFaceAnswer, FaceAnswer
from gateway.anonymize.clarity import Clarity, ClearFrom
from gateway.anonymize.references import NOT_CLEAR, main_face
from gateway.anonymize.thresholds import MatchCurve
from services.chassis.errors import InvalidRequest, NotReady
from services.chassis.pictures.geometry import Box


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A face that counts as the person's."""

    path: str
    box: Box
    """Pixels of the upright picture."""
    similarity: float
    """Cosine, -1 to 1, to the most alike reference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotUsed:
    """A file that could not be used."""

    path: str
    reason: str
    """Stable and machine readable, as in the REST calls' errors."""
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search came to."""

    hits: Sequence[Hit]
    """The most alike first."""
    unsure: Sequence[Hit]
    """Alike enough for one pair, and not sure among so many; likewise."""
    searched: int
    """Pictures."""
    faces: int
    """In all of them."""
    not_compared: int
    """Of these, those that could not be aligned, or are too small or too soft: whose they are is not known."""
    not_searched: Sequence[NotUsed]
    """Files that could not be searched."""
    references_not_used: Sequence[NotUsed]
    threshold: float
    """Of the hits: it rises with the faces compared, unless the search named one."""
    model: str
    """The embedding model."""
    notice: str
    """What to know of the threshold, for people; empty where there is nothing to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How to search."""

    detection: DetectionOptions
    threshold: float | None
    """Cosine similarity from which on a face is the person's; None = what so many comparisons need."""
    max_bytes: int
    """Larger files are not sent."""
    at_once: int
    """So many pictures are on their way at a time."""


async def find(
    person: Sequence[LocalFile],
    pictures: Sequence[LocalFile],
    search: Search,
    facet: AsyncFacet,
    advance: Callable[[], None],
) -> Found:
    """Compares every face of `pictures` with the one face of each picture of `person`.

    Args:
        person: References: each shows the person at least twice as large as anyone else.
        pictures: To search.
        search: How.
        facet: The gateway.
        advance: Called after each of `pictures`.

    Raises:
        InvalidRequest: No reference can be used; the message says why for one.
        NotReady: The model has no threshold or no curve and `search` names no threshold, or it changed meanwhile, or a
            tier is down.
        ServiceError: The gateway refuses the caller.
    """
    rule = _Named(search.threshold) if search.threshold is not None else await _rule_of_the_model(facet)
    references = _References(rule)
    unusable = await _each(person, search, facet, references.take, lambda: None)
    if not references.vectors:
        raise InvalidRequest(f"{unusable[0].path}: {unusable[0].message}")
    matches = _Matches(references=np.stack(references.vectors), model=references.model, rule=rule)
    left = await _each(pictures, search, facet, matches.take, advance)
    hits = sorted(matches.candidates, key=lambda hit: (-hit.similarity, hit.path))
    threshold, notice = rule.sure(len(references.vectors) * (matches.faces - matches.not_compared))
    return Found(
        hits=[hit for hit in hits if hit.similarity >= threshold],
        unsure=[hit for hit in hits if hit.similarity < threshold],
        searched=matches.searched,
        faces=matches.faces,
        not_compared=matches.not_compared,
        not_searched=sorted(left, key=lambda each: each.path),
        references_not_used=unusable,
        threshold=threshold,
        model=references.model,
        notice=notice,
    )


class _Rule(Protocol):
    """Which faces are compared, and from which similarity on they count."""

    @property
    def lowest(self) -> float:
        """Below it, a face is someone else's."""
        ...

    def compares(self, face: EmbeddedFaceAnswer) -> bool:
        """Whether a face can be compared."""
        ...

    def sure(self, comparisons: int) -> tuple[float, str]:
        """The similarity from which on it is the person, and what to know of it."""
        ...


@dataclass(frozen=True, slots=True)
class _Named:
    """As the search names it."""

    lowest: float

    def compares(self, face: EmbeddedFaceAnswer) -> bool:
        """Whatever has an embedding."""
        return face.embedding is not None

    def sure(self, comparisons: int) -> tuple[float, str]:  # noqa: ARG002
        """The same for any number."""
        return self.lowest, ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """As the model was measured."""

    lowest: float
    curve: MatchCurve
    clarity: Clarity

    def compares(self, face: EmbeddedFaceAnswer) -> bool:
        """What is large and sharp enough for the curve."""
        return face.embedding is not None and self.clarity.has(_side_px(face), face.norm or 0)

    def sure(self, comparisons: int) -> tuple[float, str]:
        """The more comparisons, the higher."""
        sure = self.curve.sure(comparisons, at_least=self.lowest)
        return sure.value, sure.notice


class _References:
    """The person's face in each picture of them."""

    def __init__(self, rule: _Rule) -> None:
        self._rule = rule
        self.vectors: list[NDArray[np.float32]] = []
        self.model = ""

    def take(self, _path: str, picture: EmbedAnswer) -> None:
        """Adds a picture.

        Raises:
            InvalidRequest: It does not show one person, or not clearly.
            NotReady: It was embedded by another model than those before.
        """
        face = main_face(picture.faces, side_px=_side_px, recognisable=lambda face: face.embedding is not None)
        if face.embedding is None or not self._rule.compares(face):
            raise InvalidRequest(NOT_CLEAR)
        self.model = _same(self.model or picture.embedding_model, picture)
        self.vectors.append(np.array(face.embedding, np.float32))


@dataclass(slots=True, kw_only=True)
class _Matches:
    """What was searched so far."""

    references: NDArray[np.float32]  # R x D, L2-normalised
    model: str
    rule: _Rule
    candidates: list[Hit] = field(default_factory=list)
    searched: int = 0
    faces: int = 0
    not_compared: int = 0

    def take(self, path: str, picture: EmbedAnswer) -> None:
        """Compares the faces of a picture.

        Raises:
            NotReady: They were embedded by another model than the references.
        """
        _same(self.model, picture)
        self.searched += 1
        self.faces += len(picture.faces)
        for face in picture.faces:
            if face.embedding is None or not self.rule.compares(face):
                self.not_compared += 1
                continue
            similarity = float((self.references @ np.array(face.embedding, np.float32)).max())
            if similarity >= self.rule.lowest:
                self.candidates.append(Hit(path=path, box=Box(**face.box.model_dump()), similarity=similarity))


async def _each(
    files: Sequence[LocalFile],
    search: Search,
    facet: AsyncFacet,
    take: Callable[[str, EmbedAnswer], None],
    advance: Callable[[], None],
) -> list[NotUsed]:
    """Embeds the files, several at a time, and hands each to `take`; answers those that could not be used."""
    left: list[NotUsed] = []
    waiting = iter(files)

    async def work() -> None:
        for file in waiting:
            try:
                content = await asyncio.to_thread(file.read, search.max_bytes)
                take(file.location, await facet.embed(content, detection=search.detection))
            except OF_THE_SERVICE:
                raise
            except FAILURES as error:
                left.append(NotUsed(path=file.location, reason=error.reason, message=str(error)))
            except OSError as error:
                left.append(NotUsed(path=file.location, reason="INPUT_OUTPUT", message=error.strerror or str(error)))
            advance()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(search.at_once):
                group.create_task(work())
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return left


async def _rule_of_the_model(facet: AsyncFacet) -> _Measured:
    model = next(model for model in await facet.models() if model.tier == "embedder")
    if not model.serving:
        raise NotReady(model.detail)
    if model.threshold is None or model.curve is None or not model.clear:
        raise NotReady(
            f"{model.model_id} has no decision threshold or no curve of false matches: give --threshold, or find both "
            "by facet calibrate"
        )
    curve = MatchCurve(points=model.curve.points, pairs=model.curve.pairs, median_genuine=model.curve.median_genuine)
    clarity = Clarity(steps=[ClearFrom(side_px=each.side_px, norm=each.norm) for each in model.clear])
    return _Measured(lowest=model.threshold, curve=curve, clarity=clarity)


def _same(model: str, picture: EmbedAnswer) -> str:
    if picture.embedding_model != model:
        raise NotReady("the embedder changed its model meanwhile; search again")
    return model


def _side_px(face: FaceAnswer) -> float:
    return max(face.box.width, face.box.height)

"""Where a person appears: faces of many pictures compared with those of a few references, through a gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gateway.batch.local_sources import LocalFile
from gateway.client import AsyncFacet, DetectionOptions, Embedded, Face
from gateway.references import BYSTANDER
from services.chassis.errors import FacetError, Forbidden, InvalidRequest, NotReady, Unauthenticated
from services.chassis.geometry import Box

_HOPELESS = (NotReady, Unauthenticated, Forbidden)
"""The next picture would fare no better."""


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
    searched: int
    """Pictures."""
    faces: int
    """In all of them."""
    not_compared: int
    """Of these, those that could not be aligned: whose they are is not known."""
    not_searched: Sequence[NotUsed]
    """Files that could not be searched."""
    references_not_used: Sequence[NotUsed]
    threshold: float
    model: str
    """The embedding model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How to search."""

    detection: DetectionOptions
    threshold: float | None
    """Cosine similarity from which on a face is the person's; None = the model's own."""
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
        NotReady: The model has no threshold and `search` names none, or it changed meanwhile, or a tier is down.
        FacetError: The gateway refuses the caller.
    """
    threshold = await _threshold(facet) if search.threshold is None else search.threshold
    references = _References()
    unusable = await _each(person, search, facet, references.take, lambda: None)
    if not references.vectors:
        raise InvalidRequest(f"{unusable[0].path}: {unusable[0].message}")
    matches = _Matches(references=np.stack(references.vectors), model=references.model, threshold=threshold)
    left = await _each(pictures, search, facet, matches.take, advance)
    return Found(
        hits=sorted(matches.hits, key=lambda hit: (-hit.similarity, hit.path)),
        searched=matches.searched,
        faces=matches.faces,
        not_compared=matches.not_compared,
        not_searched=sorted(left, key=lambda each: each.path),
        references_not_used=unusable,
        threshold=threshold,
        model=references.model,
    )


class _References:
    """The person's face in each picture of them."""

    def __init__(self) -> None:
        self.vectors: list[NDArray[np.float32]] = []
        self.model = ""

    def take(self, _path: str, picture: Embedded) -> None:
        """Adds a picture.

        Raises:
            InvalidRequest: It does not show one person.
            NotReady: It was embedded by another model than those before.
        """
        by_size = sorted(picture.faces, key=_side_px, reverse=True)
        if not by_size:
            raise InvalidRequest("no face was found; give a picture that shows the face larger or sharper")
        if len(by_size) > 1 and _side_px(by_size[1]) > BYSTANDER * _side_px(by_size[0]):
            raise InvalidRequest("several faces were found; give a picture of one person")
        if by_size[0].embedding is None:
            raise InvalidRequest("the face cannot be told well enough; give a picture that shows it from the front")
        self.model = _same(self.model or picture.embedding_model, picture)
        self.vectors.append(by_size[0].embedding)


@dataclass(slots=True, kw_only=True)
class _Matches:
    """What was searched so far."""

    references: NDArray[np.float32]  # R x D, L2-normalised
    model: str
    threshold: float
    hits: list[Hit] = field(default_factory=list)
    searched: int = 0
    faces: int = 0
    not_compared: int = 0

    def take(self, path: str, picture: Embedded) -> None:
        """Compares the faces of a picture.

        Raises:
            NotReady: They were embedded by another model than the references.
        """
        _same(self.model, picture)
        self.searched += 1
        self.faces += len(picture.faces)
        for face in picture.faces:
            if face.embedding is None:
                self.not_compared += 1
                continue
            similarity = float((self.references @ face.embedding).max())
            if similarity >= self.threshold:
                self.hits.append(Hit(path=path, box=face.box, similarity=similarity))


async def _each(
    files: Sequence[LocalFile],
    search: Search,
    facet: AsyncFacet,
    take: Callable[[str, Embedded], None],
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
            except _HOPELESS:
                raise
            except FacetError as error:
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


async def _threshold(facet: AsyncFacet) -> float:
    model = next(model for model in await facet.models() if model.tier == "embedder")
    if not model.serving:
        raise NotReady(model.detail)
    if model.threshold is None:
        raise NotReady(f"{model.model_id} has no decision threshold: give --threshold, or find one by facet calibrate")
    return model.threshold


def _same(model: str, picture: Embedded) -> str:
    if picture.embedding_model != model:
        raise NotReady("the embedder changed its model meanwhile; search again")
    return model


def _side_px(face: Face) -> float:
    return max(face.box.width, face.box.height)

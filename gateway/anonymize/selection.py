"""Decides by identity which faces stay visible: those of people to keep, or all but those of people to hide.

A face whose identity is in doubt is hidden either way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gateway.anonymize.thresholds import MatchCurve, SureThreshold

Vector = NDArray[np.float64]  # D, L2-normalised
Similarities = NDArray[np.float64]  # references or people x faces, cosines; -1 where there is nothing to compare
Flags = NDArray[np.bool_]  # one a face

DOUBT = 0.1
"""What is so much less alike, cosine, is taken to be someone else: a pair below the threshold, and a runner-up."""
SAME_CROP = 0.999
"""From this cosine on, two embeddings are of one and the same crop of a picture. Two people's reach 0.91 in crowds."""
_NAMED = 4  # references that a notice names, so that it stays short


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One picture or embedding of a person."""

    name: str
    """For messages, such as keep[1]."""
    vector: Vector
    clear: bool = True
    """Whether it may be clear enough to tell people apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faces:
    """The faces of a picture."""

    vectors: NDArray[np.float64]
    """F x D, L2-normalised; a row of NaN where a face could not be embedded."""
    clear: Flags
    """Whether each is large and sharp enough to tell people apart."""

    @property
    def embedded(self) -> Flags:
        """Which of them can be compared."""
        return np.asarray(np.isfinite(self.vectors).all(axis=1), np.bool_)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Which faces stay visible."""

    shown: Flags
    notice: str
    """What to know of it, sentences for people in ASCII; empty where there is nothing to say."""


class Selection(Protocol):
    """Tells which faces stay visible."""

    def decide(self, faces: Faces) -> Decision:
        """Decides for all faces of a picture together."""
        ...


class _Outcome(Enum):
    """Why a reference leaves nobody visible; the value completes a notice."""

    ABSENT = "nobody in this picture is recognised with certainty."
    FACE_UNCLEAR = "the most similar face is too small or too blurred to recognise, and is hidden."
    REFERENCE_UNCLEAR = "the reference is too small or too blurred to recognise; send one larger and sharper."
    RUNNER_UP = "ambiguous, since another face or reference is nearly as similar; hidden."


@dataclass(frozen=True, kw_only=True)  # no slots: of cached properties
class Keep:
    """Everyone is hidden but these people.

    References and faces are matched one to one, the most alike first. Only what is the best match both ways, and that
    by a margin, is sure: what the most alike pair leaves over has a runner-up more alike than itself, so no other
    assignment could show more.
    """

    references: Sequence[Reference]
    pair_threshold: float
    """Cosine similarity from which on two faces, compared alone, count as one person."""
    curve: MatchCurve

    def decide(self, faces: Faces) -> Decision:
        """Shows at most one face a person, and none in doubt."""
        similar = _similarities(self.references, faces)
        sure = self.curve.sure(len(self.references) * int(faces.embedded.sum()), at_least=self.pair_threshold)
        shown = np.zeros(len(faces.clear), np.bool_)
        outcomes: dict[str, _Outcome] = {}
        own = self._own_crops(similar)
        shown[list(own.values())] = True
        rest = [index for index in range(len(self.references)) if index not in own]
        for index in rest:
            if not self.references[index].clear:
                outcomes[self.references[index].name] = _Outcome.REFERENCE_UNCLEAR
        for person in self._people([index for index in rest if self.references[index].clear]):
            found = self._find(person, similar, faces.clear, sure)
            if isinstance(found, _Outcome):
                outcomes |= {self.references[index].name: found for index in person}
            else:
                shown[found] = True
        limit = sure.notice if faces.embedded.any() else ""
        return Decision(shown=shown, notice=" ".join(filter(None, (*_told(outcomes, self.references), limit))))

    def _own_crops(self, similar: Similarities) -> dict[int, int]:
        """By reference, the face whose very crop it is: that is no matter of size. Not where several are."""
        own: dict[int, int] = {}
        for index, row in enumerate(similar):
            found = np.flatnonzero(row >= SAME_CROP)
            if found.size == 1:
                own[index] = int(found[0])
        return own

    def _find(self, person: Sequence[int], similar: Similarities, clear: Flags, sure: SureThreshold) -> int | _Outcome:
        """The face of a person, or why there is none."""
        theirs = similar[person].max(axis=0)
        if not theirs.size or theirs.max() < sure.value:
            return _Outcome.ABSENT
        best = int(theirs.argmax())
        others = np.delete(theirs, best)
        strangers = ~(self._among[person] >= self.pair_threshold).any(axis=0)
        rivals = np.concatenate([others, similar[strangers, best]])
        if rivals.size and theirs[best] - rivals.max() < DOUBT:
            return _Outcome.RUNNER_UP
        return best if clear[best] else _Outcome.FACE_UNCLEAR

    def _people(self, usable: Sequence[int]) -> Iterable[list[int]]:
        """References in groups of one person each: those that match each other surely, directly or through others."""
        pairs = len(usable) * (len(usable) - 1) // 2
        sure = self.curve.sure(pairs, at_least=self.pair_threshold).value
        linked = self._among >= sure
        left = np.zeros(len(self.references), np.bool_)
        left[list(usable)] = True
        while left.any():
            person = np.zeros_like(left)
            reached = np.arange(len(left)) == left.argmax()
            while reached.any():
                person |= reached
                left &= ~reached
                reached = linked[reached].any(axis=0) & left
            yield np.flatnonzero(person).tolist()

    @cached_property
    def _among(self) -> Similarities:
        """Of references and references; those of the pair threshold may be one person's, and are no rivals."""
        vectors = np.stack([reference.vector for reference in self.references])
        similar: Similarities = vectors @ vectors.T
        return similar


@dataclass(frozen=True, slots=True, kw_only=True)
class Only:
    """These people are hidden and nobody else."""

    references: Sequence[Reference]
    pair_threshold: float
    """Cosine similarity from which on two faces, compared alone, count as one person."""

    def decide(self, faces: Faces) -> Decision:
        """Shows the faces that are surely someone else's, each judged alone: one person's twice are hidden twice."""
        similar = _similarities(self.references, faces)
        usable = faces.embedded & faces.clear
        shown = usable & (similar < self.pair_threshold - DOUBT).all(axis=0)
        absent = {
            reference.name: _Outcome.ABSENT
            for reference, row in zip(self.references, similar, strict=True)
            if not (row >= self.pair_threshold).any()
        }
        unclear = int((~usable).sum())
        told = f"Faces too small or too blurred to recognise, hidden: {unclear}." if unclear else ""
        return Decision(shown=shown, notice=" ".join(filter(None, (*_told(absent, self.references), told))))


def _similarities(references: Sequence[Reference], faces: Faces) -> Similarities:
    similar: Similarities = np.full((len(references), len(faces.vectors)), -1.0)
    embedded = faces.embedded
    if embedded.any():
        similar[:, embedded] = np.stack([each.vector for each in references]) @ faces.vectors[embedded].T
    return similar


def _told(outcomes: dict[str, _Outcome], references: Sequence[Reference]) -> Iterable[str]:
    """A sentence an outcome, which names the first few references."""
    for outcome in _Outcome:
        names = [each.name for each in references if outcomes.get(each.name) is outcome]
        if names:
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            yield f"{', '.join(names[:_NAMED])}{more}: {outcome.value}"

"""Attacks on hidden faces: who of a gallery is shown, from nearest neighbours to attackers trained on the same style.

Every attack turns probes and gallery into vectors; the gallery's most similar one by cosine is the answer. The
trained ones learn from people who are not in the gallery.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from benchmarks.attack_pictures import THUMBNAIL_PX, Seen
from benchmarks.attack_results import Outcome, Rate

Vectors = NDArray[np.float32]  # people x pictures x dimension

AXES = 128
"""Principal axes kept of each kind of what was seen."""
SHRINKAGE = 1.0
"""How much of the average variance is added to each axis' own before it is divided by: few people are learnt from."""
RIDGE = 2.0
"""The same for the regression."""
_LEAST_VARIANCE = 1e-7  # of an axis, as a share of the largest: what is less is rounding


@dataclass(frozen=True, kw_only=True)
class Case:
    """Some people to learn from and others to recognise, as they are shown and as they are."""

    known: Seen
    known_clear: Seen
    attacked: Seen
    attacked_clear: Seen

    @cached_property
    def on_axes(self) -> tuple[Seen, Seen]:
        """The known and the attacked, each view on the principal axes of the known; mirrored people are more people."""
        views = [
            _on_axes(known, attacked) for known, attacked in zip(_views(self.known), _views(self.attacked), strict=True)
        ]
        known, attacked = zip(*views, strict=True)
        return _seen(known), _seen(attacked)


Attack = Callable[[Case], tuple[Vectors, Vectors]]
"""Answers the vectors of the probes and those of the gallery."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Attacks that have the same to go by."""

    title: str
    trained: bool
    """Whether they need people to learn from."""
    attacks: tuple[Attack, ...]


def two_halves(seen: Seen, clear: Seen) -> list[Case]:
    """Every second person is attacked by who has learnt from the rest, and the other way round."""
    halves = slice(0, None, 2), slice(1, None, 2)
    return [_case(seen, clear, known=one, attacked=other) for one, other in (halves, halves[::-1])]


def all_at_once(seen: Seen, clear: Seen) -> list[Case]:
    """Everybody is attacked and nobody learnt from, for people too few to learn from."""
    return [_case(seen, clear, known=slice(0, 0), attacked=slice(None))]


def strongest(kind: Kind, cases: Sequence[Case]) -> Outcome:
    """Each attack on all cases; each picture is a probe once, in a gallery of the next picture of every person."""
    outcomes = [Outcome(attack=attack.__name__.replace("_", " "), rate=_rate(attack, cases)) for attack in kind.attacks]
    return max(outcomes, key=lambda outcome: outcome.rate.value)


def recogniser(case: Case) -> tuple[Vectors, Vectors]:
    """The recogniser as it is, against clear photographs."""
    return case.attacked.close, case.attacked_clear.close


def inversion(case: Case) -> tuple[Vectors, Vectors]:
    """What a person's clear photographs would be embedded as, learnt by ridge regression."""
    middle = case.known_clear.close.mean(axis=(0, 1))
    return _inverted(case), _unit(case.attacked_clear.close - middle)


def face(case: Case) -> tuple[Vectors, Vectors]:
    """The recogniser as it is, hidden against hidden."""
    return case.attacked.close, case.attacked.close


def surroundings(case: Case) -> tuple[Vectors, Vectors]:
    """The recogniser on the wide crop."""
    return case.attacked.wide, case.attacked.wide


def face_pixels(case: Case) -> tuple[Vectors, Vectors]:
    """Correlation of thumbnails."""
    return _same(_centred(case.attacked.close_pixels))


def surroundings_pixels(case: Case) -> tuple[Vectors, Vectors]:
    """Correlation of wide thumbnails."""
    return _same(_centred(case.attacked.wide_pixels))


def discriminant(case: Case) -> tuple[Vectors, Vectors]:
    """Linear discriminants of all that is seen."""
    return _same(_discriminant(case, _views))


def face_pixels_discriminant(case: Case) -> tuple[Vectors, Vectors]:
    """Linear discriminants of the thumbnail."""
    return _same(_discriminant(case, lambda seen: [seen.close_pixels]))


def surroundings_discriminant(case: Case) -> tuple[Vectors, Vectors]:
    """Linear discriminants of what the wide crop shows."""
    return _same(_discriminant(case, lambda seen: [seen.wide, seen.wide_pixels]))


def inverted(case: Case) -> tuple[Vectors, Vectors]:
    """The learnt inversion, of probes and gallery."""
    return _same(_inverted(case))


KINDS = (
    Kind(title="clear gallery", trained=False, attacks=(recogniser,)),
    Kind(title="clear gallery, trained", trained=True, attacks=(inversion,)),
    Kind(title="hidden gallery", trained=False, attacks=(face, surroundings, face_pixels, surroundings_pixels)),
    Kind(
        title="hidden gallery, trained",
        trained=True,
        attacks=(discriminant, face_pixels_discriminant, surroundings_discriminant, inverted),
    ),
)


def _case(seen: Seen, clear: Seen, *, known: slice, attacked: slice) -> Case:
    return Case(
        known=seen.of(known),
        known_clear=clear.of(known),
        attacked=seen.of(attacked),
        attacked_clear=clear.of(attacked),
    )


def _rate(attack: Attack, cases: Sequence[Case]) -> Rate:
    right = np.concatenate([hit for case in cases for hit in _hits(*attack(case))])
    return Rate(hits=int(right.sum()), trials=len(right))


def _hits(probes: Vectors, gallery: Vectors) -> Iterator[NDArray[np.bool_]]:
    people, pictures = probes.shape[:2]
    for picture in range(pictures):
        similarities = probes[:, picture] @ gallery[:, (picture + 1) % pictures].T
        yield similarities.argmax(axis=1) == np.arange(people)


def _same(vectors: Vectors) -> tuple[Vectors, Vectors]:
    return vectors, vectors


def _centred(pixels: Vectors) -> Vectors:
    return _unit(pixels - pixels.mean(axis=(0, 1)))


def _unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.maximum(1e-9, np.linalg.norm(vectors, axis=-1, keepdims=True)), np.float32)


def _views(seen: Seen) -> list[Vectors]:
    return [seen.close, seen.wide, seen.close_pixels, seen.wide_pixels]


def _seen(views: Sequence[Vectors]) -> Seen:
    close, wide, close_pixels, wide_pixels = views
    return Seen(close=close, wide=wide, close_pixels=close_pixels, wide_pixels=wide_pixels)


def _mirrored(view: Vectors) -> Vectors:
    """Of the mirrored pictures; embeddings are the same for these, because they are made with the flip test."""
    *shape, samples = view.shape
    if samples != 3 * THUMBNAIL_PX**2:
        return view
    return view.reshape(*shape, THUMBNAIL_PX, THUMBNAIL_PX, 3)[..., ::-1, :].reshape(view.shape)


def _on_axes(known: Vectors, attacked: Vectors) -> tuple[Vectors, Vectors]:
    twice = np.concatenate([known, _mirrored(known)])
    mean, axes = _basis(twice.reshape(-1, twice.shape[-1]))
    return np.asarray((twice - mean) @ axes, np.float32), np.asarray((attacked - mean) @ axes, np.float32)


def _basis(rows: Vectors) -> tuple[Vectors, Vectors]:
    """Mean and scaled principal axes, from the products of rows: there are fewer rows than samples in one."""
    mean = rows.mean(axis=0)
    centred = rows - mean
    variances, sides = np.linalg.eigh((centred @ centred.T).astype(np.float64) / len(rows))
    strong = np.flatnonzero(variances > _LEAST_VARIANCE * variances[-1])[-AXES:]
    axes = centred.T @ (sides[:, strong] / np.sqrt(len(rows) * variances[strong]))
    return mean, np.asarray(axes / np.sqrt(variances[strong].sum()), np.float32)


def _discriminant(case: Case, views: Callable[[Seen], list[Vectors]]) -> Vectors:
    """Fisher's discriminants, those that tell people apart better weighing more.

    Source: Ioffe, "Probabilistic linear discriminant analysis" (ECCV 2006): the weight is the share of an axis'
    variance that lies between people.
    """
    known, attacked = (np.concatenate(views(seen), axis=-1) for seen in case.on_axes)
    middles = known.mean(axis=1, keepdims=True)
    within = (known - middles).reshape(-1, known.shape[-1])
    scatter = within.T @ within / len(within)
    scatter += SHRINKAGE * scatter.trace() / len(scatter) * np.eye(len(scatter), dtype=np.float32)
    whiten = np.linalg.inv(np.linalg.cholesky(scatter)).T
    between = (middles[:, 0] - middles.mean(axis=(0, 1))) @ whiten
    ratios, axes = np.linalg.eigh(between.T @ between / len(between))
    weights = np.sqrt(np.maximum(ratios, 0) / (1 + np.maximum(ratios, 0)))
    return _unit((attacked - middles.mean(axis=(0, 1))) @ whiten @ (axes * weights))


def _inverted(case: Case) -> Vectors:
    """A regression from what is seen of a person to the middle of the clear embeddings, less everybody's middle."""
    known, attacked = (np.concatenate(_views(seen), axis=-1) for seen in case.on_axes)
    clear = case.known_clear.close
    people, pictures = clear.shape[:2]
    target = np.repeat(clear.mean(axis=1) - clear.mean(axis=(0, 1)), pictures, axis=0)
    targets = np.tile(target, (len(known) // people, 1))  # once more for those mirrored
    rows = known.reshape(-1, known.shape[-1])
    moments = rows.T @ rows
    moments += RIDGE * moments.trace() / len(moments) * np.eye(len(moments), dtype=np.float32)
    return _unit(attacked @ np.linalg.solve(moments, rows.T @ targets))

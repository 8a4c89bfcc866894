"""Where a person appears: the more faces are compared, the more alike one must be."""

from __future__ import annotations

import math
from typing import cast

import pytest

from cli.batch.local_sources import LocalFile
from cli.person_search import Found, Search, find
from facet_client import AsyncFacet, DetectionOptions
from facet_client.api import (
    BoxAnswer,
    ClearFaceAnswer,
    CurveAnswer,
    EmbedAnswer,
    EmbeddedFaceAnswer,
    ModelAnswer,
)
from services.chassis.errors import InvalidRequest, NotReady

CURVE = CurveAnswer(
    points=((0.2, 1e-2), (0.3, 1e-3), (0.4, 1e-4), (0.5, 1e-5)),
    pairs=10**9,
    median_genuine=0.9,
    calibrated_on="a test",
)


class ScriptedFile:
    """Read as its own location."""

    def __init__(self, location: str) -> None:
        self.location = location

    def read(self, _max_bytes: int) -> bytes:
        return self.location.encode()


class ScriptedFacet:
    """Each picture shows faces as similar to the person as its name says, such as `0.5,0.4`; `s` = a small one."""

    def __init__(self, curve: CurveAnswer | None = CURVE) -> None:
        self._curve = curve

    async def models(self) -> tuple[ModelAnswer, ...]:
        return (
            ModelAnswer(
                name="m",
                tier="embedder",
                model_id="m@0",
                license="",
                sha256="",
                serving=True,
                is_default=True,
                detail="",
                threshold=0.3,
                curve=self._curve,
                clear=(ClearFaceAnswer(side_px=64, norm=11),),
            ),
        )

    async def embed(self, content: bytes, *, detection: DetectionOptions) -> EmbedAnswer:
        del detection
        faces = [self._face(each) for each in content.decode().split(",")]
        return EmbedAnswer(width=1, height=1, model="d@0", embedding_model="m@0", faces=tuple(faces))

    @staticmethod
    def _face(told: str) -> EmbeddedFaceAnswer:
        similarity, side_px = float(told.removesuffix("s")), 40 if told.endswith("s") else 100
        return EmbeddedFaceAnswer(
            box=BoxAnswer(x_min=0, y_min=0, x_max=side_px, y_max=side_px),
            confidence=1,
            landmarks={},
            embedding=[similarity, math.sqrt(1 - similarity**2)],
            norm=20,
            alignment="five_point",
        )


async def search(
    *pictures: str, person: tuple[str, ...] = ("1",), threshold: float | None = None, curve: CurveAnswer | None = CURVE
) -> Found:
    how = Search(detection=DetectionOptions(), threshold=threshold, max_bytes=100, at_once=2)
    files = [[cast(LocalFile, ScriptedFile(name)) for name in names] for names in (person, pictures)]
    return await find(files[0], files[1], how, cast(AsyncFacet, ScriptedFacet(curve)), lambda: None)


async def test_what_is_sure_is_a_hit_and_what_is_not_is_told_apart() -> None:
    found = await search("0.9", "0.32", "0.1", "0.6")
    assert [hit.similarity for hit in found.hits] == pytest.approx([0.9, 0.6])
    assert [hit.similarity for hit in found.unsure] == pytest.approx([0.32])
    assert 0.32 < found.threshold < 0.45


async def test_the_threshold_rises_with_the_faces_and_with_the_references() -> None:
    few = await search("0.45")
    many = await search("0.45", *["0.1,0.1"] * 1000)
    references = await search("0.45", *["0.1,0.1"] * 1000, person=("1",) * 10)
    assert few.threshold < many.threshold < references.threshold
    assert ([len(few.hits), len(few.unsure)], [len(many.hits), len(many.unsure)]) == ([1, 0], [0, 1])


async def test_unclear_faces_are_counted_and_not_compared() -> None:
    found = await search("0.9s,0.2", "0.95")
    assert (found.faces, found.not_compared) == (3, 1)
    assert [hit.similarity for hit in found.hits] == pytest.approx([0.95])


async def test_an_unclear_reference_is_not_used() -> None:
    found = await search("0.9", person=("1s", "1"))
    assert [(each.path, "too small or too blurred" in each.message) for each in found.references_not_used] == [
        ("1s", True)
    ]
    with pytest.raises(InvalidRequest, match="1s: the face is too small or too blurred"):
        await search("0.9", person=("1s",))


async def test_without_a_curve_it_needs_a_threshold() -> None:
    with pytest.raises(NotReady, match=r"give --threshold, or find both by facet calibrate"):
        await search("0.9", curve=None)
    found = await search("0.9", "0.35", *["0.1"] * 1000, threshold=0.34, curve=None)
    assert [hit.similarity for hit in found.hits] == pytest.approx([0.9, 0.35])
    assert (found.unsure, found.threshold, found.notice) == ([], 0.34, "")


async def test_what_the_model_cannot_tell_apart_is_said() -> None:
    weak = CurveAnswer(points=CURVE.points, pairs=1000, median_genuine=0.34, calibrated_on="a test")
    assert "cannot distinguish that many people" in (await search("0.9", curve=weak)).notice

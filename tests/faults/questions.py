"""What is asked of a deployment under fault, and the one right answer, which it gave while nothing was wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol

import httpx
from PIL import Image

from services.chassis.pictures.geometry import Box
from tests.faults.pictures import Picture, pictures_of, pixels_of, visible_share

SAME = 1e-5
"""How far numbers of the same answer may be apart."""
_FAST = {"recall": "fast"}


class Question(Protocol):
    """A request, and what is right for it."""

    def request(self, client: httpx.AsyncClient) -> httpx.Request:
        """What to send."""
        ...

    def is_right(self, answer: httpx.Response) -> bool:
        """Whether an answer of status 200 is what it was undisturbed."""
        ...

    def shows_face(self, answer: httpx.Response) -> bool:
        """Whether anything of a face that was to be hidden can be seen in it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Hide:
    """`/v1/anonymize`."""

    picture: Picture
    person: bytes | None
    """Whom alone to hide; None = everybody."""
    face: Box
    expected: bytes

    def request(self, client: httpx.AsyncClient) -> httpx.Request:
        return _hiding(client, self.picture, self.person)

    def is_right(self, answer: httpx.Response) -> bool:
        return answer.content == self.expected

    def shows_face(self, answer: httpx.Response) -> bool:
        return visible_share(self.picture.pixels, pixels_of(answer.content), self.face) > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Embed:
    """`/v1/embed`."""

    picture: Picture
    expected: Mapping[str, Sequence[float]]
    """The embedding by the model that made it."""

    def request(self, client: httpx.AsyncClient) -> httpx.Request:
        return _embedding(client, self.picture)

    def is_right(self, answer: httpx.Response) -> bool:
        model, embedding = _embedded(answer)
        expected = self.expected.get(model, ())
        return len(expected) == len(embedding) and all(map(_same, embedding, expected))

    def shows_face(self, answer: httpx.Response) -> bool:  # noqa: ARG002  (it answers no picture)
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Compare:
    """`/v1/compare`."""

    pictures: tuple[Picture, Picture]
    expected: Mapping[str, tuple[float, bool]]
    """The similarity, and whether it is one person, by the model that embedded both."""

    def request(self, client: httpx.AsyncClient) -> httpx.Request:
        return _comparing(client, self.pictures)

    def is_right(self, answer: httpx.Response) -> bool:
        model, (similarity, same_person) = _compared(answer)
        expected = self.expected.get(model)
        return expected is not None and _same(similarity, expected[0]) and same_person is expected[1]

    def shows_face(self, answer: httpx.Response) -> bool:  # noqa: ARG002  (likewise)
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """Of every kind."""

    hide: Sequence[Hide]
    embed: Sequence[Embed]
    compare: Sequence[Compare]

    def in_turn(self) -> list[Question]:
        """Hiding mostly."""
        return [
            *self.hide,
            *self.embed[:1],
            *self.hide,
            *self.compare[:1],
            *self.embed[1:],
            *self.hide,
            *self.compare[1:],
        ]


async def examined(url: str, astronaut: Image.Image) -> Questions:
    """Asks a deployment that nothing is wrong with, checks every answer for itself, and keeps it as the right one."""
    pictures = pictures_of(astronaut)
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as client:

        async def answer(request: httpx.Request) -> httpx.Response:
            answered = await client.send(request)
            assert answered.status_code == HTTPStatus.OK, answered.text
            return answered

        hide = []
        for number, picture in enumerate(pictures):
            detected = await answer(client.build_request("POST", "/v1/detect", params=_FAST, content=picture.content))
            [found] = detected.json()["faces"]
            person = pictures[0].content if number == len(pictures) - 1 else None
            hidden = (await answer(_hiding(client, picture, person))).content
            question = Hide(picture=picture, person=person, face=Box(**found["box"]), expected=hidden)
            shown = visible_share(picture.pixels, pixels_of(hidden), question.face)
            assert shown == 0, f"{shown:.0%} of the face is as it was"
            assert visible_share(picture.pixels, picture.pixels, question.face) == 1
            hide.append(question)
        embed = []
        for picture in pictures[:2]:
            model, embedding = _embedded(await answer(_embedding(client, picture)))
            assert math.isclose(math.hypot(*embedding), 1, abs_tol=SAME)
            embed.append(Embed(picture=picture, expected={model: embedding}))
        compare = []
        for pair in ((pictures[0], pictures[1]), (pictures[2], pictures[0])):
            model, compared = _compared(await answer(_comparing(client, pair)))
            compare.append(Compare(pictures=pair, expected={model: compared}))
        return Questions(hide=hide, embed=embed, compare=compare)


def of_both(one: Questions, other: Questions) -> Questions:
    """Questions that either of two deployments answers rightly; they differ in their embedding models alone."""
    return Questions(
        hide=one.hide,
        embed=[
            Embed(picture=a.picture, expected={**a.expected, **b.expected})
            for a, b in zip(one.embed, other.embed, strict=True)
        ],
        compare=[
            Compare(pictures=a.pictures, expected={**a.expected, **b.expected})
            for a, b in zip(one.compare, other.compare, strict=True)
        ],
    )


def _hiding(client: httpx.AsyncClient, picture: Picture, person: bytes | None) -> httpx.Request:
    if person is None:
        return client.build_request("POST", "/v1/anonymize", params=_FAST, content=picture.content)
    files = {"image": picture.content, "only": person}
    return client.build_request("POST", "/v1/anonymize", params=_FAST, files=files)


def _embedding(client: httpx.AsyncClient, picture: Picture) -> httpx.Request:
    return client.build_request("POST", "/v1/embed", params=_FAST, content=picture.content)


def _comparing(client: httpx.AsyncClient, pictures: tuple[Picture, Picture]) -> httpx.Request:
    files = {"image_a": pictures[0].content, "image_b": pictures[1].content}
    return client.build_request("POST", "/v1/compare", params=_FAST, files=files)


def _embedded(answer: httpx.Response) -> tuple[str, list[float]]:
    document: dict[str, Any] = answer.json()
    [face] = document["faces"]
    return document["embedding_model"], face["embedding"]


def _compared(answer: httpx.Response) -> tuple[str, tuple[float, bool]]:
    document: dict[str, Any] = answer.json()
    return document["model"], (document["similarity"], document["same_person"])


def _same(one: float, other: float) -> bool:
    return abs(one - other) <= SAME

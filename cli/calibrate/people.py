"""A folder of known people, one folder a person, and the embedding of each picture's largest face."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facet_client import Facet, InvalidPictureError
from services.chassis.errors import InvalidRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPicture:
    """A picture of a known person."""

    path: Path
    person: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedPeople:
    """One row a picture."""

    embeddings: NDArray[np.float32]
    """N x dimension, L2-normalised."""
    people: list[str]
    norms: list[float]
    """Of the raw embeddings."""
    model_id: str
    left_out: list[str]
    """Why a picture was left out, one line each."""


def find_pictures(folder: Path) -> list[KnownPicture]:
    """The files in the folders of `folder`, each named after a person.

    Raises:
        InvalidRequest: There is no such folder, or no file in a folder in it.
    """
    if not folder.is_dir():
        raise InvalidRequest(f"{folder} is no folder")
    pictures = [
        KnownPicture(path=path, person=person.name)
        for person in sorted(folder.iterdir())
        if person.is_dir()
        for path in sorted(person.iterdir())
        if path.is_file()
    ]
    if not pictures:
        raise InvalidRequest(f"{folder} needs one folder a person, with that person's pictures in it")
    return pictures


def embed_people(pictures: Sequence[KnownPicture], facet: Facet, advance: Callable[[], None]) -> EmbeddedPeople:
    """Embeds the largest face of each picture; one without a face, or that is none, is left out and told.

    Raises:
        InvalidRequest: No picture shows a face, or the embedder changed its model meanwhile.
        ServiceError: As the gateway answers.
    """
    embeddings: list[Sequence[float]] = []
    norms: list[float] = []
    people: list[str] = []
    left_out: list[str] = []
    models: set[str] = set()
    for picture in pictures:
        try:
            answer = facet.embed(picture.path.read_bytes())
        except InvalidPictureError as error:
            left_out.append(f"{picture.path}: {error}")
        else:
            aligned = [face for face in answer.faces if face.embedding is not None]
            if not aligned:
                left_out.append(f"{picture.path}: no face was found")
            else:
                face = max(aligned, key=lambda each: each.box.width * each.box.height)
                embeddings.append(face.embedding or ())
                norms.append(face.norm or 0.0)
                people.append(picture.person)
                models.add(answer.embedding_model)
        advance()
    if not embeddings:
        raise InvalidRequest("no picture shows a face")
    if len(models) > 1:
        raise InvalidRequest(f"the embedder changed its model meanwhile ({', '.join(sorted(models))}): run it again")
    return EmbeddedPeople(
        embeddings=np.array(embeddings, np.float32),
        people=people,
        norms=norms,
        model_id=models.pop(),
        left_out=left_out,
    )

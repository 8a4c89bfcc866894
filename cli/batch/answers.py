"""Found faces as they are remembered between runs and written at the end: JSON lines, CSV, NumPy or Parquet."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from cli.batch.journal import Answered
from cli.batch.sources import Source
from cli.batch.tables import csv_line
from facet_client.api import DetectAnswer, EmbedAnswer, EmbeddedFaceAnswer
from services.chassis.errors import InvalidRequest
from services.chassis.pictures.geometry import LandmarkType

Document = dict[str, Any]
"""The answer of a REST call, without path."""
_BOX = ("x_min", "y_min", "x_max", "y_max")


def answered_detection(source: Source, options: str, answer: DetectAnswer) -> Answered:
    """What is remembered of found faces."""
    return _answered(source, options, answer.model_dump())


def answered_embedding(source: Source, options: str, answer: EmbedAnswer) -> Answered:
    """What is remembered of embedded faces."""
    return _answered(source, options, {**answer.model_dump(exclude={"faces"}), "faces": [*map(_face, answer.faces)]})


def _answered(source: Source, options: str, document: Document) -> Answered:
    return Answered(
        path=source.path,
        source=source.version,
        options=options,
        faces=len(document["faces"]),
        model=document["model"],
        notice=document.get("notice", ""),
        answer=json.dumps(document),
    )


def _face(face: EmbeddedFaceAnswer) -> Document:
    """With its embedding as base64 of little-endian float32."""
    document = face.model_dump(exclude={"embedding"})
    if face.embedding is not None:
        return {**document, "embedding": base64.b64encode(np.array(face.embedding, "<f4").tobytes()).decode()}
    return {**document, "embedding": None}


AnswerT_contra = TypeVar("AnswerT_contra", contravariant=True)


class Remember(Protocol[AnswerT_contra]):
    """How an answer becomes what is remembered of it."""

    def __call__(self, source: Source, options: str, answer: AnswerT_contra) -> Answered:
        """Of one picture, asked for with these options (a digest)."""


class TextFormat(Protocol):
    """A format that is written as it goes."""

    def heading(self) -> str:
        """What comes before all."""

    def rows(self, entry: Answered) -> str:
        """One picture."""


class JsonLines:
    """One picture a line: `path` and the answer of `/v1/detect`; undecodable bytes of a path are escaped surrogates."""

    def heading(self) -> str:
        """None."""
        return ""

    def rows(self, entry: Answered) -> str:
        """One line."""
        return json.dumps({"path": entry.path, **json.loads(entry.answer)}) + "\n"


class Csv:
    """One face a line, none for a picture without; undecodable bytes of a path are escaped, formulas guarded."""

    _LANDMARKS = tuple(LandmarkType)

    def heading(self) -> str:
        """The names of the columns."""
        landmarks = [f"{name}_{axis}" for name in self._LANDMARKS for axis in "xy"]
        return csv_line(["path", "width", "height", "face", *_BOX, "confidence", *landmarks, "model"])

    def rows(self, entry: Answered) -> str:
        """A line a face."""
        document = json.loads(entry.answer)
        size = [document["width"], document["height"]]
        return "".join(
            csv_line(
                [
                    printable(entry.path),
                    *size,
                    index,
                    *(face["box"][side] for side in _BOX),
                    face["confidence"],
                    *(axis for name in self._LANDMARKS for axis in face["landmarks"].get(name, ("", ""))),
                    document["model"],
                ]
            )
            for index, face in enumerate(document["faces"])
        )


class FileFormat(Protocol):
    """How all answers are written to one file."""

    def write(self, entries: Iterable[Answered], file: BinaryIO) -> None:
        """Writes them, in the order given."""


@dataclass(frozen=True, slots=True)
class TextFile:
    """A text format as a file."""

    text: TextFormat

    def write(self, entries: Iterable[Answered], file: BinaryIO) -> None:
        """As FileFormat says."""
        file.write(self.text.heading().encode())
        file.writelines(self.text.rows(entry).encode() for entry in entries)


@dataclass(frozen=True, slots=True, kw_only=True)
class _EmbeddedFaces:
    """The aligned faces of some pictures, F of them."""

    paths: list[str]
    faces: list[int]
    """Each one's number in its picture, from 0."""
    boxes: NDArray[np.float32]
    """F x 4: x_min, y_min, x_max, y_max, pixels of the upright picture."""
    confidences: NDArray[np.float32]
    norms: NDArray[np.float32]
    embeddings: NDArray[np.float32]
    """F x D, L2-normalised."""
    models: list[str]


class Npz:
    """NumPy's archive of arrays: path, face, box, confidence, norm, embedding, model. Built in memory."""

    def write(self, entries: Iterable[Answered], file: BinaryIO) -> None:
        """As FileFormat says."""
        table = _embedded(entries)
        np.savez(
            file,
            path=np.array(table.paths, np.str_),
            face=np.array(table.faces, np.int32),
            box=table.boxes,
            confidence=table.confidences,
            norm=table.norms,
            embedding=table.embeddings,
            model=np.array(table.models, np.str_),
        )


class Parquet:
    """One face a row, written as it goes."""

    def __init__(self) -> None:
        """Makes sure that pyarrow is there, before any work.

        Raises:
            InvalidRequest: It is not.
        """
        try:
            import pyarrow as _  # noqa: F401, ICN001, PLC0415
        except ImportError as error:
            raise InvalidRequest("Parquet needs pyarrow: pip install 'facet-privacy[parquet]'") from error

    def write(self, entries: Iterable[Answered], file: BinaryIO) -> None:
        """As FileFormat says."""
        import pyarrow as pa  # noqa: PLC0415
        from pyarrow import parquet  # noqa: PLC0415

        number = pa.float32()
        columns = [("path", pa.string()), ("face", pa.int32()), *((side, number) for side in _BOX)]
        columns += [("confidence", number), ("norm", number), ("embedding", pa.list_(number)), ("model", pa.string())]
        with parquet.ParquetWriter(file, pa.schema(columns)) as writer:
            for chunk in _chunks(entries):
                table = _embedded(chunk)
                values: Mapping[str, Any] = {
                    "path": table.paths,
                    "face": table.faces,
                    **{side: table.boxes[:, index] for index, side in enumerate(_BOX)},
                    "confidence": table.confidences,
                    "norm": table.norms,
                    "embedding": list(table.embeddings),
                    "model": table.models,
                }
                writer.write_table(pa.table(values, schema=pa.schema(columns)))


_ENTRIES_A_ROW_GROUP = 4096


def _chunks(entries: Iterable[Answered]) -> Iterable[list[Answered]]:
    chunk: list[Answered] = []
    for entry in entries:
        chunk.append(entry)
        if len(chunk) == _ENTRIES_A_ROW_GROUP:
            yield chunk
            chunk = []
    yield chunk


def _embedded(entries: Iterable[Answered]) -> _EmbeddedFaces:
    paths: list[str] = []
    faces: list[int] = []
    boxes: list[list[float]] = []
    confidences: list[float] = []
    norms: list[float] = []
    models: list[str] = []
    embeddings: list[NDArray[np.float32]] = []
    for entry in entries:
        document = json.loads(entry.answer)
        for index, face in enumerate(document["faces"]):
            if face["embedding"] is None:
                continue
            paths.append(printable(entry.path))
            faces.append(index)
            boxes.append([face["box"][side] for side in _BOX])
            confidences.append(face["confidence"])
            norms.append(face["norm"])
            embeddings.append(np.frombuffer(base64.b64decode(face["embedding"]), "<f4"))
            models.append(document["embedding_model"])
    dimension = len(embeddings[0]) if embeddings else 0
    return _EmbeddedFaces(
        paths=paths,
        faces=faces,
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        confidences=np.array(confidences, np.float32),
        norms=np.array(norms, np.float32),
        embeddings=np.array(embeddings, np.float32).reshape(len(embeddings), dimension),
        models=models,
    )


def printable(path: str) -> str:
    """A path as UTF-8 can say it: undecodable bytes are escaped."""
    return path.encode(errors="backslashreplace").decode()

"""Answers in their order, remembered, and as files."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cli.batch.answers import Csv, FileFormat, JsonLines, Npz, Parquet, answered_detection, answered_embedding
from cli.batch.finding import InOrder
from cli.batch.journal import Answered
from cli.batch.local_sources import LocalFile
from cli.batch.notebook import FileNotebook
from cli.batch.outcomes import Outcome, Status
from facet_client.api import BoxAnswer, DetectAnswer, EmbedAnswer, EmbeddedFaceAnswer, FaceAnswer

BOX = BoxAnswer(x_min=1, y_min=2, x_max=3.5, y_max=4)
LANDMARKS = {"left_eye": (1.5, 2.5)}


def source(path: str) -> LocalFile:
    return LocalFile(path=path, location=path, version="1", identity=(0, 0))


def detected(path: str, faces: int = 1) -> Answered:
    found = tuple(FaceAnswer(box=BOX, confidence=0.5, landmarks=LANDMARKS) for _ in range(faces))
    return answered_detection(source(path), "o", DetectAnswer(width=8, height=9, model="m@1", notice="", faces=found))


def embedded(path: str, *embeddings: np.ndarray[tuple[int], np.dtype[np.float32]] | None) -> Answered:
    faces = tuple(
        EmbeddedFaceAnswer(
            box=BOX,
            confidence=0.5,
            landmarks={},
            embedding=None if e is None else e.tolist(),
            norm=None if e is None else 7,
            alignment=None,
        )
        for e in embeddings
    )
    answer = EmbedAnswer(width=8, height=9, model="m@1", embedding_model="e@1", faces=faces)
    return answered_embedding(source(path), "o", answer)


def test_answers_are_handed_on_in_the_order_of_the_pictures() -> None:
    handed: list[str] = []
    order = InOrder([source(path) for path in "abcd"], lambda entry: handed.append(entry.path))
    for path, so_far in (("c", ""), ("b", ""), ("a", "ac"), ("d", "acd")):
        if path != "b":  # which failed
            order.append(detected(path))
        order.settle(Outcome(path=path, status=Status.DONE))
        assert "".join(handed) == so_far


def test_lines_hold_the_answer_with_its_path() -> None:
    line = json.loads(JsonLines().rows(detected("\udcff.jpg")))
    assert line["path"] == "\udcff.jpg"
    assert line["faces"] == [
        {
            "box": {"x_min": 1, "y_min": 2, "x_max": 3.5, "y_max": 4},
            "confidence": 0.5,
            "landmarks": {"left_eye": [1.5, 2.5]},
        }
    ]


def test_table_has_a_row_a_face() -> None:
    text = Csv().heading() + Csv().rows(detected("a,b", faces=2)) + Csv().rows(detected("none", faces=0))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["path"], row["face"], row["left_eye_y"], row["nose_tip_x"]) for row in rows] == [
        ("a,b", "0", "2.5", ""),
        ("a,b", "1", "2.5", ""),
    ]


@pytest.mark.parametrize("written", [Npz(), Parquet()], ids=["npz", "parquet"])
def test_pictures_without_embeddings_make_a_valid_empty_file(written: FileFormat) -> None:
    file = io.BytesIO()
    written.write([embedded("a"), embedded("b", None)], file)
    assert file.getvalue()


def test_arrays_keep_every_value_and_leave_out_faces_that_were_not_aligned() -> None:
    values = np.array([0.6, -0.8], np.float32)
    file = io.BytesIO()
    Npz().write([embedded("a", None, values), embedded("\udcff", values)], file)
    file.seek(0)
    with np.load(file) as arrays:
        assert arrays["path"].tolist() == ["a", "\\udcff"]
        assert arrays["face"].tolist() == [1, 0]
        assert np.array_equal(arrays["embedding"], [values, values])
        assert arrays["box"].shape == (2, 4)


def test_notebook_tells_the_last_answer_of_each_picture_in_order(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b'{"torn')
    notebook = FileNotebook(path, b"key")
    for entry in (detected("b"), detected("a"), replace(detected("a"), faces=9), detected("left out")):
        notebook.append(entry)
    assert [(entry.path, entry.faces) for entry in notebook.in_order({"a", "b"})] == [("a", 9), ("b", 1)]
    notebook.close(forget=False)
    assert path.exists()
    FileNotebook(path, b"key").close(forget=True)
    assert not path.exists()

"""What counts of a journal that anybody may have written to."""

from __future__ import annotations

import io
import json
import tracemalloc
from pathlib import Path

import pytest

from cli.batch import seal as module
from cli.batch.seal import Seal, SealedLines
from services.chassis.errors import InvalidRequest

SEAL = Seal(b"key", "folder 0-of-1")
FIELDS = {"path": "a.jpg", "faces": 1}
LINE = SEAL.sealed(FIELDS)


def read(content: bytes, seal: Seal = SEAL, longest_bytes: int = 1000) -> SealedLines:
    return SealedLines(io.BytesIO(content), seal, name="journal", longest_bytes=longest_bytes)


def test_sealed_line_is_json_and_its_fields_come_back() -> None:
    assert json.loads(LINE).items() > FIELDS.items()
    assert SEAL.opened(LINE) == FIELDS


@pytest.mark.parametrize(
    "line",
    [
        json.dumps(FIELDS).encode() + b"\n",
        LINE.replace(b"a.jpg", b"b.jpg"),
        LINE.replace(b": 1", b": 0"),
        LINE[:-10] + b'0000000"}\n',
        LINE.rstrip(b"\n"),
        b" " + LINE,
        b"[" * 100_000 + LINE,
        b'{"path": "a.jpg", "seal": "' + "\u00e9".encode() * 32 + b'"}\n',
        b"\0" * 500 + LINE,
    ],
    ids=["no seal", "other name", "other number", "other seal", "torn", "shifted", "deep", "not ascii", "zeros"],
)
def test_line_that_was_changed_or_forged_is_not_parsed(line: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json, "loads", lambda _: pytest.fail("it was parsed"))
    lines = read(line)
    assert list(lines) == []
    assert lines.others == 1


def test_line_of_another_key_place_or_shard_does_not_count() -> None:
    for other in (Seal(b"another", "folder 0-of-1"), Seal(b"key", "folder 1-of-2"), Seal(b"key", "bucket b/p 0-of-1")):
        assert list(read(other.sealed(FIELDS))) == []


def test_sealed_lines_among_others_are_found_with_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"{}\n" + LINE + b"\n\n" + b"x" * 5000 + LINE + LINE + LINE[:20]
    for block_bytes in (7, 100, 1_000_000):
        monkeypatch.setattr(module, "_BLOCK_BYTES", block_bytes)
        lines = read(content)
        found = list(lines)
        assert found == [(3, FIELDS), (content.rindex(LINE), FIELDS)]
        assert lines.others == 5
        assert [lines.at(place) for place, _ in found] == [FIELDS, FIELDS]


def test_huge_lines_and_holes_take_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with path.open("wb") as file:
        file.truncate(1 << 30)
        file.seek(0, io.SEEK_END)
        file.write(b"\n" + LINE)
    tracemalloc.start()
    with path.open("rb") as file:
        lines = SealedLines(file, SEAL, name="journal", longest_bytes=1000)
        assert [fields for _, fields in lines] == [FIELDS]
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 32 * 1024 * 1024


def test_journal_of_nothing_but_forgeries_or_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_FORGERIES", 10)
    forged = Seal(b"another", "folder 0-of-1").sealed(FIELDS)
    assert list(read(forged * 10)) == []
    with pytest.raises(InvalidRequest, match="more than any run"):
        list(read(forged * 11))
    monkeypatch.setattr(module, "LARGEST_JOURNAL_BYTES", 100)
    monkeypatch.setattr(module, "_BLOCK_BYTES", 50)
    with pytest.raises(InvalidRequest, match="more than any run"):
        list(read(b"\n" * 1000))


def test_part_names_are_told_from_others() -> None:
    name = SEAL.part_name()
    assert SEAL.is_part_name(name)
    for other in (name[:-1], "x" + name, "thesis.txt", "", "-", Seal(b"another", "folder 0-of-1").part_name()):
        assert not SEAL.is_part_name(other)

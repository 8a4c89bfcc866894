"""`facet audit verify`: names the first line that was changed, removed, added or moved."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.app import app
from gateway.audit.chain import BEGINNING, chain, read_line
from gateway.audit.verification import BrokenChainError, Expected, verify


def log_of(count: int, instance: str = "gateway-0") -> list[bytes]:
    lines, last = [], BEGINNING
    for number in range(count):
        line, last = chain(last, {"instance": instance, "operation": "detect", "faces_found": number})
        lines.append(line)
    return lines


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


def written(path: Path, lines: list[bytes]) -> Path:
    path.write_bytes(b"".join(lines))
    return path


def audit(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["audit", "verify", *map(str, arguments)])


def test_whole_log_is_fine(path: Path) -> None:
    lines = log_of(5)
    result = audit(written(path, lines), "--expect", "5")
    assert result.exit_code == 0
    last = read_line(lines[-1].rstrip())
    assert last is not None
    assert str(last.anchor) in result.stdout


def test_every_changed_byte_shows(path: Path) -> None:
    content = b"".join(log_of(3))
    for position in range(len(content) - 1):  # the last line break makes a finished line of an unfinished one
        changed = bytearray(content)
        changed[position] ^= 1
        path.write_bytes(changed)
        with pytest.raises(BrokenChainError):
            verify([path])


def test_changed_line_is_named(path: Path) -> None:
    lines = log_of(5)
    lines[2] = lines[2].replace(b'"faces_found":2', b'"faces_found":0')
    result = audit(written(path, lines))
    assert result.exit_code == 1
    assert "audit.jsonl, line 3: it was changed" in result.stderr


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda lines: lines[:2] + lines[3:], "line 3: line 3 is missing before it"),
        (lambda lines: lines[:1] + lines[4:], "line 2: lines 2 to 4 are missing before it"),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], "line 2: line 2 is missing before it"),
        (lambda lines: [*lines[:3], lines[1], *lines[3:]], "line 4: line 2 stands after line 3"),
        (lambda lines: [*lines[:2], b"{}\n", *lines[2:]], "line 3: it was changed"),
        (lambda lines: [*lines[:2], log_of(5, "other")[2], *lines[3:]], "line 3: it is of another gateway"),
        (lambda lines: [*lines[:2], *log_of(1)], "line 3: a new log begins here"),
        (lambda lines: [*lines[:2], lines[2].rstrip() + lines[3], *lines[4:]], "line 3: it was changed"),
    ],
)
def test_line_that_is_not_where_it_was_is_named(path: Path, edit: object, told: str) -> None:
    assert callable(edit)
    result = audit(written(path, edit(log_of(6))))
    assert result.exit_code == 1
    assert told in result.stderr


def test_line_that_was_rewritten_with_its_hash_shows_in_the_next(path: Path) -> None:
    lines = log_of(4)
    first = read_line(lines[0].rstrip())
    assert first is not None
    lines[1], _ = chain(first.anchor, {"instance": "gateway-0", "operation": "compare"})
    with pytest.raises(BrokenChainError, match="line 3: the line before it is not the one it was written after"):
        verify([written(path, lines)])


def test_files_are_one_log_in_their_order_alone(tmp_path: Path) -> None:
    lines = log_of(6)
    files = [written(tmp_path / f"audit.{n}", lines[2 * n : 2 * n + 2]) for n in range(3)]
    assert audit(*files).exit_code == 0
    assert "missing" in audit(files[0], files[2]).stderr
    assert "a new log begins here" in audit(files[1], files[0], "--from", "3").stderr
    assert "it was moved or added" in audit(files[2], files[1], "--from", "5").stderr
    later = audit(*files[1:], "--from", "3")
    assert later.exit_code == 0
    assert "lines 1 to 2 are in earlier files" in later.stderr


@pytest.mark.parametrize("gone", [1, 2, 5])
def test_first_lines_that_are_gone_show(path: Path, gone: int) -> None:
    result = audit(written(path, log_of(6)[gone:]))
    assert result.exit_code == 1
    assert "audit.jsonl, line 1: line" in result.stderr
    assert "missing before it; name earlier files first, or set where these begin: --from" in result.stderr


def test_files_begin_where_they_are_said_to(path: Path) -> None:
    lines = log_of(6)
    third, fourth = (read_line(line.rstrip()) for line in lines[2:4])
    assert third is not None
    assert fourth is not None
    written(path, lines[2:])
    assert audit(path, "--from", "3").exit_code == 0
    assert audit(path, "--from", str(third.anchor), "--expect", "6").exit_code == 0
    assert "line 2 is missing before it" in audit(path, "--from", "2").stderr
    assert "begins with line 3, not with line 4" in audit(path, "--from", "4").stderr
    assert "another hash" in audit(path, "--from", f"3:{fourth.anchor.hash}").stderr
    assert audit(written(path, []), "--from", "3").exit_code == 1


def test_later_line_does_not_pass_for_the_first(path: Path) -> None:
    """A line whose number was set to 1 and whose hash was made anew still says that one came before it."""
    lines = log_of(3)
    second = read_line(lines[1].rstrip())
    assert second is not None
    forged, _ = chain(replace(BEGINNING, hash=second.prev), {"instance": "gateway-0", "operation": "detect"})
    with pytest.raises(BrokenChainError, match="does not follow the line before it"):
        verify([written(path, [forged])])


def test_end_that_was_removed_shows_against_what_is_known_from_elsewhere(path: Path) -> None:
    lines = log_of(5)
    last = read_line(lines[-1].rstrip())
    assert last is not None
    written(path, lines[:4])
    assert audit(path).exit_code == 0  # a chain alone does not tell
    assert "its end was removed" in audit(path, "--expect", "5").stderr
    assert audit(path, "--expect", str(last.anchor)).exit_code == 1


def test_log_that_was_rewritten_as_a_whole_shows_against_a_hash_known_from_elsewhere(path: Path) -> None:
    last = read_line(log_of(5)[-1].rstrip())
    assert last is not None
    written(path, log_of(5, "forged"))
    assert audit(path).exit_code == 0
    result = audit(path, "--expect", str(last.anchor))
    assert result.exit_code == 1
    assert "had another hash" in result.stderr


def test_last_line_may_be_just_being_written(path: Path) -> None:
    lines = log_of(3)
    verified = verify([written(path, [*lines[:2], lines[2][:40]])])
    assert verified.last is not None
    assert verified.last.seq == 2
    assert "line 3: incomplete" in verified.notices[0]


def test_empty_log_has_no_lines_and_an_absent_one_is_an_error(path: Path) -> None:
    assert audit(written(path, [])).stdout.strip() == "no lines"
    assert audit(path, "--expect", "1").exit_code == 1
    assert "cannot be read" in audit(path.with_name("absent")).stderr


@pytest.mark.parametrize("text", ["", "x", "1:", "1:abc", "-1"])
def test_expectation_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Exception, match="neither a number of lines"):
        Expected.parse(text)


def test_hash_can_be_checked_with_two_common_programs(path: Path) -> None:
    [line] = log_of(1)
    written(path, [line])
    command = r"""sed 's/,"hash":"[0-9a-f]*"}$/}/' | tr -d '\n' | sha256sum"""
    summed = subprocess.run(["sh", "-c", command], input=line, capture_output=True, check=True).stdout.split()[0]
    assert f'"hash":"{summed.decode()}"'.encode() in line

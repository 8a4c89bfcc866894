"""`facet compare` and `facet find`: with a gateway that runs, and with one of their own that ends with them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from services.chassis.version import facet_version
from tests.support.processes import REPOSITORY, Stack
from tests.support.waiting import eventually

FACET = Path(sys.executable).parent / "facet"


@pytest.fixture
def photo(tmp_path: Path, astronaut_jpeg: bytes) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(astronaut_jpeg)
    return path


def facet(*arguments: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [FACET, *arguments],
        env={**os.environ, **settings},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def parts_of(pid: int) -> list[int]:
    """The process ids of the tiers and the gateway that a command has started."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for thread in threads for child in (thread / "children").read_text().split()]


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_compare_tells_people_and_machines(compare_gateway_url: str, photo: Path) -> None:
    told = facet("compare", photo, photo, "--exit-code", FACET_TARGET=compare_gateway_url)
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith("one person: similarity 1.000, threshold 0.290")
    document = json.loads(facet("compare", photo, photo, "--json", "--target", compare_gateway_url).stdout)
    assert document["same_person"] is True
    assert set(document["faces"][0]) == {"box", "confidence", "landmarks"}


def test_other_people_are_a_verdict_and_only_where_asked_for_an_exit_code(
    compare_gateway_url: str, shared_dir: Path
) -> None:
    first, second = [min(person.iterdir()) for person in sorted((shared_dir / "images" / "people").iterdir())[:2]]
    told = facet("compare", first, second, FACET_TARGET=compare_gateway_url)
    assert (told.returncode, told.stdout[:14]) == (0, "not one person")
    assert facet("compare", first, second, "--exit-code", FACET_TARGET=compare_gateway_url).returncode == 3


def test_find_tells_where_and_what_could_not_be_searched(
    compare_gateway_url: str, photo: Path, astronaut: Image.Image, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    astronaut.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "deep" / "flipped.png")
    astronaut.crop((0, 200, 512, 512)).save(folder / "nobody.png")
    (folder / "notes.txt").write_text("no picture")
    whole = facet("find", photo, folder, photo, "--json", FACET_TARGET=compare_gateway_url)
    assert (whole.returncode, whole.stderr) == (0, "")
    found = json.loads(whole.stdout)
    assert [hit["path"] for hit in found["hits"]] == [str(photo), str(folder / "deep" / "flipped.png")]
    assert found["hits"][0]["similarity"] == pytest.approx(1, abs=1e-4)
    assert pytest.approx(found["hits"][1]["box"]["x_min"], abs=8) == 512 - 272
    assert found["searched"] == 3

    (folder / "broken.jpg").write_bytes(photo.read_bytes()[:3000])
    told = facet("find", photo, folder, "--threshold", "0.999", FACET_TARGET=compare_gateway_url)
    assert told.returncode == 3
    assert told.stdout == ""
    assert f"not searched {folder / 'broken.jpg'}: " in told.stderr
    assert "in 0 of 2 pictures" in told.stderr
    assert "other formats: 1" in told.stderr


def test_find_refuses_a_reference_that_shows_nobody(
    compare_gateway_url: str, photo: Path, astronaut: Image.Image, tmp_path: Path
) -> None:
    astronaut.crop((0, 200, 512, 512)).save(tmp_path / "nobody.png")
    told = facet("find", tmp_path / "nobody.png", photo, FACET_TARGET=compare_gateway_url)
    assert told.returncode == 1
    assert "nobody.png: no face was found" in told.stderr


def test_a_gateway_that_is_not_there_is_named(photo: Path) -> None:
    told = facet("compare", photo, photo, FACET_TARGET="http://127.0.0.1:1")
    assert (told.returncode, told.stdout) == (1, "")
    assert "http://127.0.0.1:1 cannot be reached" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_command_starts_what_it_needs_beside_the_tiers_it_is_told_of(identity_stack: Stack, photo: Path) -> None:
    detector = identity_stack.targets()["FACET_DETECTOR_TARGET"]
    told = facet("compare", photo, photo, FACET_DETECTOR_TARGET=detector, FACET_EMBEDDER_MODEL="mobilefacenet")
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith("one person")


@pytest.mark.parametrize("level", ["DEBUG", "ERROR"])
def test_a_command_is_answered_at_any_level_of_the_log(level: str, photo: Path, tmp_path: Path) -> None:
    told = facet("anonymize", photo, "-o", tmp_path / "hidden.jpg", FACET_LOG_LEVEL=level)
    assert told.returncode == 0, told.stderr
    assert (tmp_path / "hidden.jpg").stat().st_size


@pytest.mark.parametrize("level", ["INFO", "ERROR"])
def test_weights_that_are_missing_are_named_with_what_to_run(level: str, photo: Path, tmp_path: Path) -> None:
    told = facet("compare", photo, photo, FACET_MODELS_DIR=str(tmp_path / "empty"), FACET_LOG_LEVEL=level)
    assert told.returncode == 1
    assert "facet models pull" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_setting_that_is_wrong_is_named(photo: Path) -> None:
    told = facet("compare", photo, photo, FACET_DETECTOR_WORKERS="many", FACET_LOG_LEVEL="ERROR")
    assert told.returncode == 1
    assert "FACET_DETECTOR_WORKERS" in told.stderr


def test_a_tier_that_is_not_where_it_is_said_to_be_is_named(photo: Path) -> None:
    told = facet("compare", photo, photo, FACET_EMBEDDER_TARGET="127.0.0.1:1")
    assert told.returncode == 1
    assert "FACET_EMBEDDER_TARGET says that it is at 127.0.0.1:1" in told.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_outlives_a_command_that_is_stopped(photo: Path, number: signal.Signals) -> None:
    with subprocess.Popen([FACET, "compare", photo, photo], cwd=REPOSITORY, stderr=subprocess.PIPE) as command:
        eventually(lambda: len(parts_of(command.pid)) >= 2)
        parts = parts_of(command.pid)
        time.sleep(0.1)  # into their start
        command.send_signal(number)
        command.communicate(timeout=30)
    assert command.returncode == (130 if number == signal.SIGINT else -number)
    eventually(lambda: not any(runs(pid) for pid in parts))


def test_help_and_version_load_nothing_that_only_the_work_needs() -> None:
    assert facet("--version").stdout == facet("version").stdout == f"facet {facet_version()}\n"
    heavy = ("grpc", "httpx", "numpy", "torch", "google.protobuf", "fastapi", "PIL", "cv2", "cryptography")
    code = f"import sys, cli.app; print([name for name in {heavy} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_bash_completes_commands() -> None:
    ask = 'eval "$(_FACET_COMPLETE=source_bash facet)"; COMP_WORDS=(facet com); COMP_CWORD=1; _facet_completion facet'
    path = f"{FACET.parent}{os.pathsep}{os.environ['PATH']}"
    told = subprocess.run(
        ["bash", "-c", f'{ask}; echo "${{COMPREPLY[@]}}"'],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.split() == ["compare"]

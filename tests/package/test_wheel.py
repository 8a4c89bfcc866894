"""`pip install WHEEL`, nothing else, and faces can be hidden; no extra breaks what is there, or speaks to anybody."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from zipfile import ZipFile

import pytest
from PIL import Image
from skimage import data

from tests.package.environments import Environment
from tests.support.processes import REPOSITORY

pytestmark = pytest.mark.timeout(600)

STRACE = "strace"
TRACED = ("connect", "sendto", "sendmsg", "sendmmsg")
ON_THIS_MACHINE = ('"127.0.0.1"', '"::1"', '"::ffff:127.0.0.1"')
OWNERS_OF_CV2 = """
import importlib.metadata, json
print(json.dumps(importlib.metadata.packages_distributions()["cv2"]))
"""
COMPILED_BY_OPENVINO = """
import sys
from importlib.metadata import version
from services.chassis.inference.openvino import Processors
version("openvino-telemetry")
print(Processors().name, sys.modules["openvino_telemetry"])
"""


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A picture with one face, alone in its folder."""
    path = tmp_path / "photo.jpg"
    Image.fromarray(data.astronaut()).save(path, quality=92)
    return path


def test_wheel_holds_the_modules_of_the_source_and_no_others(wheel: Path) -> None:
    held = {name for name in ZipFile(wheel).namelist() if name.endswith(".py")}
    missing = {
        name for name in held if not any((REPOSITORY / part / name).exists() for part in ("", "client", "protos"))
    }
    assert missing == set()
    assert {"cli/__main__.py", "gateway/__main__.py", "services/detector/__main__.py"} <= held


def test_command_without_weights_names_the_command_that_installs_them(installed: Environment, photo: Path) -> None:
    empty = Environment(
        bin=installed.bin, variables={**installed.variables, "FACET_MODELS_DIR": str(photo.parent / "m")}
    )
    said = empty.run("facet", "anonymize", photo, "-o", "hidden.jpg", cwd=photo.parent)
    assert said.returncode != 0
    assert "facet models pull blazeface-full" in said.stderr
    assert not (photo.parent / "hidden.jpg").exists()


def test_face_is_hidden_outside_of_any_checkout_and_nobody_else_is_spoken_to(
    installed: Environment, photo: Path, tmp_path: Path
) -> None:
    pulled = installed.run("facet", "models", "pull", "blazeface-full", cwd=photo.parent)
    assert pulled.returncode == 0, pulled.stderr
    calls = tmp_path / "calls"

    said = installed.run(
        "facet", "anonymize", "photo.jpg", "-o", "hidden.jpg", cwd=photo.parent, under=_traced_to(calls)
    )

    assert said.returncode == 0, said.stderr
    assert "1 face" in said.stderr + said.stdout
    with Image.open(photo) as before, Image.open(photo.parent / "hidden.jpg") as after:
        assert (before.size, before.format) == (after.size, after.format)
        assert before.tobytes() != after.tobytes()
    assert _sent_away(calls) == []


@pytest.mark.parametrize("command", [("facet",), ("python", "-m", "cli")])
def test_command_is_known_by_both_names(installed: Environment, tmp_path: Path, command: tuple[str, ...]) -> None:
    said = installed.run(*command, "--version", cwd=tmp_path)
    assert (said.returncode, said.stdout.split()[0]) == (0, "facet")


def test_client_is_no_program(installed: Environment, tmp_path: Path) -> None:
    assert installed.run("python", "-m", "facet_client", cwd=tmp_path).returncode != 0


def test_what_is_installed_agrees_and_one_opencv_alone_is_there(installed: Environment, tmp_path: Path) -> None:
    installed.pip("check")
    owners = installed.run("python", "-c", OWNERS_OF_CV2, cwd=tmp_path)
    assert json.loads(owners.stdout) == ["opencv-contrib-python"]


def test_no_extra_brings_a_second_opencv(installed: Environment, wheel: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    installed.pip("install", "--dry-run", "--report", str(report), f"{wheel}[all]")
    brought = {each["metadata"]["name"].lower() for each in json.loads(report.read_text())["install"]}
    assert {"openvino", "torch"} <= brought
    assert not {name for name in brought if name.startswith("opencv")}


def test_openvino_beside_its_telemetry_asks_for_no_address(installed: Environment, tmp_path: Path) -> None:
    installed.pip("install", "openvino")
    calls = tmp_path / "calls"

    said = installed.run("python", "-c", COMPILED_BY_OPENVINO, cwd=tmp_path, under=_traced_to(calls))

    assert said.returncode == 0, said.stderr
    assert said.stdout.split()[-1] == "None"
    assert _sent_away(calls) == []


def _traced_to(calls: Path) -> tuple[str, ...]:
    if not shutil.which(STRACE):
        pytest.skip("needs strace: `apt-get install strace`")
    return (STRACE, "-f", "-e", f"trace={','.join(TRACED)}", "-o", str(calls))


def _sent_away(calls: Path) -> list[str]:
    lines = calls.read_text().splitlines()
    return [line for line in lines if "AF_INET" in line and not any(near in line for near in ON_THIS_MACHINE)]

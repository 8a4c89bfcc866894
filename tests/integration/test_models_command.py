"""`facet models` as a person or a script runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

LIGHT = ["blazeface-short", "blazeface-full", "retinaface-mobilenet025", "mobilefacenet"]


class Facet:
    """Runs the command on a folder of its own, cut off from every network."""

    def __init__(self, folder: Path, mirror: Path) -> None:
        self.folder = folder
        nowhere = "http://127.0.0.1:1"
        proxies = {"HTTPS_PROXY": nowhere, "HTTP_PROXY": nowhere, "https_proxy": nowhere, "http_proxy": nowhere}
        models = {"FACET_MODELS_DIR": str(folder), "FACET_MODELS_MIRROR": str(mirror)}
        pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""}
        self._environment = {**os.environ, **proxies, **models, **pip, "COLUMNS": "80"}

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from cli.app import app; app()", *arguments]
        return subprocess.run(command, check=False, capture_output=True, text=True, env=self._environment)


@pytest.fixture
def facet(tmp_path: Path, shared_dir: Path) -> Facet:
    return Facet(tmp_path / "models", shared_dir / "weights")


@pytest.fixture
def offline(tmp_path: Path) -> Facet:
    return Facet(tmp_path / "models", tmp_path / "no mirror")


def test_published_weights_in_a_mirror_are_the_ones_of_the_manifest(facet: Facet) -> None:
    result = facet("models", "pull", "mobilefacenet", "retinaface-mobilenet025")
    assert (result.returncode, result.stderr) == (0, "")
    assert "installed  mobilefacenet@90a00ba1d8b0  4.1 MB\n" in result.stdout
    again = facet("models", "pull", "mobilefacenet")
    assert again.stdout == "up to date mobilefacenet@90a00ba1d8b0  4.1 MB\n"


def test_light_pull_takes_what_it_gets_and_says_in_one_line_each_what_it_did_not(facet: Facet) -> None:
    result = facet("models", "pull", "--light")
    assert result.returncode == 0
    assert result.stderr.splitlines() == [
        f"skipped    {name} could not be fetched from any source; later: facet models pull {name}" for name in LIGHT[:2]
    ]
    models = {model["name"]: model["state"] for model in json.loads(facet("models", "list", "--json").stdout)}
    assert [name for name, state in models.items() if state == "installed"] == LIGHT[2:]


def test_light_pull_without_any_source_is_no_failure(offline: Facet) -> None:
    result = offline("models", "pull", "--light")
    assert result.returncode == 0
    assert len(result.stderr.splitlines()) == len(LIGHT)
    assert result.stdout.count("fetching") > len(LIGHT)


def test_named_pull_without_any_source_fails_and_goes_on_to_the_next_model(offline: Facet) -> None:
    result = offline("models", "pull", "retinaface-resnet50", "mobilefacenet")
    assert result.returncode == 1
    assert "error: retinaface-resnet50 could not be fetched from any source" in result.stderr
    assert "error: mobilefacenet could not be fetched from any source" in result.stderr
    assert "Traceback" not in result.stderr


def test_unknown_model_is_refused_before_anything_is_fetched(facet: Facet) -> None:
    result = facet("models", "pull", "mobilefacenet", "nothing")
    assert result.returncode == 1
    assert result.stderr.startswith("error: there is no model 'nothing'; known: blazeface-short, ")
    assert len(result.stderr.splitlines()) == 1
    assert not facet.folder.exists()


@pytest.mark.parametrize("arguments", [[], ["--light", "mobilefacenet"]])
def test_pull_wants_either_names_or_light(offline: Facet, arguments: list[str]) -> None:
    result = offline("models", "pull", *arguments)
    assert result.returncode == 2
    assert "give either the names of models or --light" in result.stderr


def test_list_shows_every_model_on_a_line_of_its_own(offline: Facet) -> None:
    lines = offline("models", "list").stdout.splitlines()
    assert any(line.split() == ["mobilefacenet@90a00ba1d8b0", "absent", "4.1", "MB", "Apache-2.0"] for line in lines)
    assert sum("absent" in line for line in lines) == 7
    assert all(len(line) <= 80 for line in lines if "absent" in line)


def test_list_for_scripts_says_what_is_where(facet: Facet) -> None:
    facet("models", "pull", "mobilefacenet")
    models = {model["name"]: model for model in json.loads(facet("models", "list", "--json").stdout)}
    assert models["mobilefacenet"]["state"] == "installed"
    assert models["mobilefacenet"]["model_id"] == "mobilefacenet@90a00ba1d8b0"
    assert Path(models["mobilefacenet"]["path"]).is_file()
    assert models["mobilefacenet"]["threshold"]["value"] == 0.29
    assert models["retinaface-resnet50"]["state"] == "absent"


def test_verify_passes_intact_weights_and_fails_on_damaged_ones(facet: Facet) -> None:
    facet("models", "pull", "mobilefacenet", "retinaface-mobilenet025")
    assert facet("models", "verify").returncode == 0
    damaged = facet.folder / "mobilefacenet.pt"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    result = facet("models", "verify")
    assert result.returncode == 1
    assert "ok        retinaface-mobilenet025@2979b33ffafd\n" in result.stdout
    assert "damaged   mobilefacenet@90a00ba1d8b0\n" in result.stdout
    assert facet("models", "verify", "retinaface-mobilenet025").returncode == 0
    facet("models", "pull", "mobilefacenet")
    assert facet("models", "verify").returncode == 0


def test_verify_of_nothing_installed_says_so(offline: Facet) -> None:
    result = offline("models", "verify")
    assert (result.returncode, result.stdout) == (0, f"No weights are installed in {offline.folder}.\n")
    assert offline("models", "verify", "mobilefacenet").returncode == 1


def test_wrong_manifest_of_the_owner_is_one_clear_line(
    offline: Facet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = tmp_path / "own.toml"
    manifest.write_text("[own]\ntier = 'embedder'")
    monkeypatch.setenv("FACET_MODELS_MANIFEST", str(manifest))
    result = Facet(tmp_path / "models", tmp_path)("models", "list")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"error: model manifest {manifest}: own.architecture: Field required\n"
    assert offline.folder.parent == tmp_path


def test_command_runs_without_any_tier_installed(offline: Facet) -> None:
    """Each image has its own tier's requirements alone, and must still be able to fetch its weights."""
    absent = "sys.modules.update(dict.fromkeys(['torch', 'cv2', 'mediapipe', 'fastapi', 'grpc', 'PIL']))"
    code = f"import sys; {absent}; from cli.app import app; app(['models', 'list'])"
    result = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    assert "mobilefacenet" in result.stdout
    assert not offline.folder.exists()

"""The client's wheel with what it requires and nothing else: no server's code, no numpy, no gRPC."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from facet_client import __version__
from tests.support.processes import REPOSITORY

USE = """
import sys
from pathlib import Path

sys.path += [{wheel!r}, {required!r}]
from facet_client import Facet, UnsupportedFormatError

picture = Path({picture!r}).read_bytes()
with Facet({url!r}) as facet:
    assert facet.detect(picture).faces
    assert facet.anonymize(picture).faces
    assert facet.ready().ready and facet.models()
    try:
        facet.detect(b"no picture")
    except UnsupportedFormatError as error:
        assert (error.reason, error.status) == ("UNSUPPORTED_FORMAT", 415) and error.request_id
    else:
        raise SystemExit("it was taken for a picture")
strangers = {{name.partition(".")[0] for name in sys.modules}} & {{
    "cli", "facet", "gateway", "google", "grpc", "numpy", "services"
}}
raise SystemExit(f"imported: {{strangers}}" if strangers else 0)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: the build leaves folders behind."""
    folder = tmp_path_factory.mktemp("client")
    source = shutil.copytree(REPOSITORY / "client", folder / "client", ignore=shutil.ignore_patterns("*.egg-info"))
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--wheel-dir", folder, source], check=True)
    [built] = folder.glob("*.whl")
    return built


def required(requirements: list[str], seen: set[str]) -> Iterator[Distribution]:
    """What is required, and what that requires."""
    for told in map(Requirement, requirements):
        name = canonicalize_name(told.name)
        if name not in seen and (told.marker is None or told.marker.evaluate({"extra": ""})):
            seen.add(name)
            found = distribution(name)
            yield found
            yield from required(found.requires or [], seen)


def test_versions_of_client_and_product_are_the_same(wheel: Path) -> None:
    product = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert __version__ == product["version"]
    assert wheel.name == f"facet_client-{product['version']}-py3-none-any.whl"


def test_wheel_holds_the_typed_client_and_nothing_else(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"facet_client"}
    assert "facet_client/py.typed" in names
    assert "facet_client/__main__.py" not in names


def test_wheel_calls_a_gateway_with_what_it_requires_alone(
    wheel: Path, gateway_url: str, astronaut_jpeg: bytes, tmp_path: Path
) -> None:
    installed, others, picture = tmp_path / "installed", tmp_path / "others", tmp_path / "photo.jpg"
    with ZipFile(wheel) as archive:
        archive.extractall(installed)
    [metadata] = installed.glob("*.dist-info")
    others.mkdir()
    for each in required(Distribution.at(metadata).requires or [], set()):
        for name in {file.parts[0] for file in each.files or []} - {"..", "__pycache__"}:
            (others / name).symlink_to(Path(str(each.locate_file(name))))
    picture.write_bytes(astronaut_jpeg)
    code = USE.format(wheel=str(installed), required=str(others), picture=str(picture), url=gateway_url)
    ran = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr

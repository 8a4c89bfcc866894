"""What texts say of the distribution, beside what pyproject.toml says of it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.chassis.version import DISTRIBUTION, facet_version

REPOSITORY = Path(__file__).parents[2]
TEXTS = (".md", ".py", ".html", ".js", ".yaml", ".toml")
FOLDERS = ("benchmarks", "cli", "client", "docs", "gateway", "k8s", "services")
_PLACEHOLDERS = ("…", "{extra}")  # where a text means any of them
_EXTRAS = re.compile(r"(?P<distribution>[\w.-]*)\[(?P<extras>[^\]]+)\]")
_INSTALLS = re.compile(r"pip install ['\"]?(?P<what>[^'\"\s`]+\[[^\]]+\])|(?P<quoted>'facet[\w-]*\[[^\]]+\])'")


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    """The table `project` of pyproject.toml."""
    table: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    return table


def test_every_text_that_installs_an_extra_names_the_distribution_and_an_extra_that_exists(
    project: dict[str, Any],
) -> None:
    named = list(_installed_extras())
    assert named
    wrong = [
        (str(path), text)
        for path, text in named
        if (found := _EXTRAS.fullmatch(text)) is None
        or found["distribution"] != project["name"]
        or not set(found["extras"].split(",")) <= {*project["optional-dependencies"], *_PLACEHOLDERS}
    ]
    assert wrong == []


def test_the_version_is_asked_for_by_the_name_of_the_distribution(project: dict[str, Any]) -> None:
    assert (DISTRIBUTION, facet_version()) == (project["name"], project["version"])


def test_licence_is_said_alike_by_the_file_the_distribution_and_the_images(project: dict[str, Any]) -> None:
    assert "Apache License\n" in (REPOSITORY / "LICENSE").read_text()
    assert project["license"] == "Apache-2.0"
    images = [*REPOSITORY.glob("services/*/Dockerfile"), REPOSITORY / "gateway" / "Dockerfile"]
    assert all("image.licenses=Apache-2.0" in image.read_text() for image in images)


def _installed_extras() -> Iterator[tuple[Path, str]]:
    texts = [path for folder in FOLDERS for path in (REPOSITORY / folder).rglob("*") if path.suffix in TEXTS]
    for path in (*texts, *REPOSITORY.glob("*.md")):
        for found in _INSTALLS.finditer(path.read_text()):
            yield path.relative_to(REPOSITORY), (found["what"] or found["quoted"]).lstrip("'")

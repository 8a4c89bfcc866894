"""The owner's file goes first, then the model named, then the most accurate installed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from services.chassis.errors import NotReady
from services.chassis.models.store import ModelStore
from services.chassis.process.settings import ModelSettings
from services.embedder.model import choose_model

MANIFEST = """
[{name}]
tier = "embedder"
architecture = "mobilefacenet"
input = "112x112 RGB"
file = "{name}.pt"
sha256 = "{sha256}"
size_bytes = 5
license = "MIT"
threshold = {{ value = 0.4, calibrated_on = "a test" }}
"""


@pytest.fixture
def settings(tmp_path: Path) -> ModelSettings:
    """Three models stand in the owner's manifest, of which the two first are installed."""
    tables = []
    for name in ("mobilefacenet", "our-own", "not-there"):
        content = name.encode()
        tables.append(MANIFEST.format(name=name, sha256=hashlib.sha256(content).hexdigest()))
        if name != "not-there":
            (tmp_path / f"{name}.pt").write_bytes(content)
    manifest = tmp_path / "models.toml"
    manifest.write_text("".join(tables))
    return ModelSettings(dir=tmp_path, manifest=manifest)


def test_owners_own_model_goes_before_the_built_in_ones(settings: ModelSettings) -> None:
    assert choose_model(ModelStore(settings), name="", weights=None).path.name == "our-own.pt"


def test_model_that_is_named_is_taken(settings: ModelSettings) -> None:
    model = choose_model(ModelStore(settings), name="mobilefacenet", weights=None)

    assert model.model_id == f"mobilefacenet@{hashlib.sha256(b'mobilefacenet').hexdigest()[:12]}"
    assert model.threshold is not None
    assert model.threshold.value == 0.4


def test_file_of_a_known_model_is_that_model_wherever_it_lies(settings: ModelSettings, tmp_path: Path) -> None:
    elsewhere = tmp_path / "renamed.pth"
    elsewhere.write_bytes(b"our-own")

    model = choose_model(ModelStore(settings), name="mobilefacenet", weights=elsewhere)

    assert model.model_id.startswith("our-own@")
    assert model.path == elsewhere
    assert model.threshold is not None


def test_unknown_file_is_named_after_itself_and_has_no_threshold(settings: ModelSettings, tmp_path: Path) -> None:
    unknown = tmp_path / "experiment.pth"
    unknown.write_bytes(b"something")

    model = choose_model(ModelStore(settings), name="", weights=unknown)

    assert model.model_id == f"experiment@{hashlib.sha256(b'something').hexdigest()[:12]}"
    assert model.threshold is None


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("not-there", "facet models pull not-there"),
        ("no-such-model", "FACET_EMBEDDER_MODEL: there is no model 'no-such-model'"),
        ("blazeface-full", "FACET_EMBEDDER_MODEL: blazeface-full is a model for the detector"),
    ],
)
def test_model_that_cannot_be_served_is_explained(settings: ModelSettings, name: str, sentence: str) -> None:
    with pytest.raises(NotReady, match=sentence):
        choose_model(ModelStore(settings), name=name, weights=None)


def test_empty_store_names_the_command_that_installs_a_model(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="run `facet models pull mobilefacenet`"):
        choose_model(ModelStore(ModelSettings(dir=tmp_path)), name="", weights=None)

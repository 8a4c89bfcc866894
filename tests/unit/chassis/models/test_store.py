"""What the store says of installed, absent and damaged weights."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from services.chassis.errors import InvalidRequest, NotReady
from services.chassis.models.store import ModelState, ModelStore
from services.chassis.process.settings import ModelSettings

WEIGHTS = b"these are the weights"


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    manifest = tmp_path / "manifest.toml"
    manifest.write_text(
        f"""
        [own]
        tier = "embedder"
        architecture = "mobilefacenet"
        input = "112x112 RGB"
        file = "own.pt"
        sha256 = "{hashlib.sha256(WEIGHTS).hexdigest()}"
        size_bytes = {len(WEIGHTS)}
        license = "MIT"
        """
    )
    folder = tmp_path / "models"
    folder.mkdir()
    return ModelStore(ModelSettings(dir=folder, manifest=manifest))


def test_unknown_model_is_refused_and_the_known_ones_are_named(store: ModelStore) -> None:
    with pytest.raises(InvalidRequest, match=r"no model 'mobilfacenet'; known: .*mobilefacenet.*own"):
        store.entry("mobilfacenet")


def test_absent_weights_name_the_command_that_installs_them(store: ModelStore) -> None:
    assert store.state("own") is ModelState.ABSENT
    with pytest.raises(NotReady, match="facet models pull own"):
        store.require("own")


def test_installed_weights_are_found(store: ModelStore) -> None:
    store.path("own").write_bytes(WEIGHTS)
    assert store.state("own") is ModelState.INSTALLED
    assert store.require("own").read_bytes() == WEIGHTS


def test_weights_that_differ_in_one_bit_are_refused(store: ModelStore) -> None:
    store.path("own").write_bytes(bytes([WEIGHTS[0] ^ 1]) + WEIGHTS[1:])
    assert store.state("own") is ModelState.DAMAGED
    with pytest.raises(NotReady, match="does not have the sha256 of own: run `facet models pull own`"):
        store.require("own")


def test_truncated_weights_are_refused(store: ModelStore) -> None:
    store.path("own").write_bytes(WEIGHTS[:-1])
    with pytest.raises(NotReady):
        store.require("own")


def test_something_unreadable_in_the_weights_place_is_not_ready(store: ModelStore) -> None:
    store.path("own").mkdir()
    with pytest.raises(NotReady, match="cannot be read: Is a directory"):
        store.require("own")


def test_store_whose_folder_does_not_exist_has_nothing_installed(tmp_path: Path) -> None:
    store = ModelStore(ModelSettings(dir=tmp_path / "never" / "made"))
    assert {store.state(entry.name) for entry in store.entries()} == {ModelState.ABSENT}

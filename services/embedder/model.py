"""Which model this deployment embeds with: the owner's own file, the one named, or the best installed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from services.chassis.errors import InvalidRequest, NotReady
from services.chassis.models.manifest import ClearFace, Curve, ModelEntry, Threshold, model_id
from services.chassis.models.store import ModelState, ModelStore, sha256_of

TIER = "embedder"
MOST_ACCURATE_FIRST = ("curricularface-ir101", "curricularface-ir101-glint360k", "mobilefacenet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A checked weights file and what is known about it."""

    model_id: str
    sha256: str
    path: Path
    threshold: Threshold | None
    license: str
    """Empty where nothing is known."""
    curve: Curve | None = None
    clear: tuple[ClearFace, ...] = ()
    """As in the manifest."""


def choose_model(store: ModelStore, *, name: str, weights: Path | None) -> Model:
    """The owner's weights file where one is given, else the model named, else the most accurate one installed.

    A file that has the sha256 of a model of the manifest is that model, wherever it lies.

    Raises:
        NotReady: The file is absent or damaged, or nothing is installed; the message says what to do.
    """
    if weights is not None:
        return _owners(store, weights)
    try:
        entry = store.entry(name or _best_installed(store))
    except InvalidRequest as error:
        raise NotReady(f"FACET_EMBEDDER_MODEL: {error}") from error
    if entry.tier != TIER:
        raise NotReady(f"FACET_EMBEDDER_MODEL: {entry.name} is a model for the {entry.tier}")
    return _known(entry, store.require(entry.name))


def _owners(store: ModelStore, weights: Path) -> Model:
    sha256 = sha256_of(weights)
    known = next((entry for entry in store.entries() if entry.sha256 == sha256), None)
    if known is not None:
        return _known(known, weights)
    return Model(model_id=model_id(weights.stem, sha256), sha256=sha256, path=weights, threshold=None, license="")


def _known(entry: ModelEntry, path: Path) -> Model:
    return Model(
        model_id=entry.model_id,
        sha256=entry.sha256,
        path=path,
        threshold=entry.threshold,
        license=entry.license,
        curve=entry.curve,
        clear=entry.clear,
    )


def _best_installed(store: ModelStore) -> str:
    owners = [entry.name for entry in store.entries() if entry.tier == TIER and entry.name not in MOST_ACCURATE_FIRST]
    for name in (*owners, *MOST_ACCURATE_FIRST):
        if store.state(name) is ModelState.INSTALLED:
            return name
    raise NotReady(f"no embedding model is installed: run `facet models pull {MOST_ACCURATE_FIRST[-1]}`")

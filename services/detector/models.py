"""The detection models of this deployment: which are installed, which is the default, each loaded when first needed."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from services.chassis.errors import InvalidRequest, NotReady
from services.chassis.models.manifest import ModelEntry
from services.chassis.models.store import ModelState, ModelStore
from services.detector.blazeface import BlazeFace
from services.detector.blazeface_search import BlazeFaceSearch
from services.detector.search import FaceSearch

TIER = "detector"
_QUOTED_CHARACTERS = 64  # of what a caller sent: a status travels in headers, which have little room
BEST_RECALL_FIRST = ("blazeface-full", "blazeface-short")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatus:
    """One model of the manifest and whether requests that name it are served."""

    entry: ModelEntry
    serving: bool
    is_default: bool
    detail: str
    """Why it is not served and what to do; empty when served."""


class DetectorModels:
    """Loads models on demand, once each. Weights installed later are found without a restart."""

    def __init__(self, store: ModelStore, *, default: str) -> None:
        """`default` is a model's name, or empty for the one with the best recall among those installed."""
        self._store = store
        self._default = default
        self._lock = threading.Lock()
        self._loaded: dict[str, BlazeFace] = {}

    def search(self, name: str) -> FaceSearch:
        """The search of the model of that name, or of the default model where the name is empty.

        Raises:
            InvalidRequest: There is no such model.
            NotReady: Its weights are absent or wrong; the message says what to do.
        """
        name = name or self.default()
        with self._lock:
            if name not in self._loaded:
                entry = self._entry(name)
                self._loaded[name] = BlazeFace(name, entry.model_id, self._store.require(name))
            return BlazeFaceSearch(self._loaded[name])

    def default(self) -> str:
        """The model that answers where a request names none.

        Raises:
            NotReady: None is installed.
        """
        if self._default:
            return self._default
        for name in BEST_RECALL_FIRST:
            if name in self._loaded or self._store.state(name) is ModelState.INSTALLED:
                return name
        raise NotReady(f"no detection model is installed: run `facet models pull {BEST_RECALL_FIRST[0]}`")

    def statuses(self) -> list[ModelStatus]:
        """Every detection model of the manifest."""
        try:
            default = self.default()
        except NotReady:
            default = ""
        return [self._status(entry, default) for entry in self._store.entries() if entry.tier == TIER]

    def close(self) -> None:
        """Frees what was loaded."""
        with self._lock:
            while self._loaded:
                self._loaded.popitem()[1].close()

    def _entry(self, name: str) -> ModelEntry:
        known = [entry.name for entry in self._store.entries() if entry.tier == TIER]
        if name not in known:
            raise InvalidRequest(
                f"there is no detection model {name[:_QUOTED_CHARACTERS]!r}; known: {', '.join(known)}"
            )
        return self._store.entry(name)

    def _status(self, entry: ModelEntry, default: str) -> ModelStatus:
        detail = ""
        if entry.name not in self._loaded:
            try:
                self._store.require(entry.name)
            except NotReady as error:
                detail = str(error)
        return ModelStatus(entry=entry, serving=not detail, is_default=entry.name == default, detail=detail)

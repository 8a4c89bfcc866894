"""The detection models of this deployment: which are installed, which is the default, each loaded when first needed."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from services.chassis.errors import InvalidRequest, NotReady
from services.chassis.inference.precision import Precision
from services.chassis.models.manifest import model_id
from services.chassis.models.store import ModelStore, sha256_of
from services.detector.blazeface import BlazeFace
from services.detector.blazeface_search import BlazeFaceSearch
from services.detector.faces import FaceDetector
from services.detector.search import FaceSearch

TIER = "detector"
BEST_RECALL_FIRST = ("retinaface-resnet50", "retinaface-mobilenet025", "blazeface-full", "blazeface-short")
COMPANION = "blazeface-full"
"""Also asked with maximal recall, where it is installed: it finds some faces, mostly large and turned, of its own."""
_RETINAFACE = "retinaface"
_RETINAFACE_PACKAGES = ("torch", "cv2", "openvino")
_QUOTED_CHARACTERS = 64  # of what a caller sent: a status travels in headers, which have little room


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorOptions:
    """Which models answer, and how much they may search."""

    default: str = ""
    """Name of the model that answers where a request names none; empty = the best recall among those installed."""
    weights: Path | None = None
    """A RetinaFace checkpoint of the owner's, under its file's name; the default then, unless another is named."""
    max_search_pixels: int = 80_000_000
    """Pixels given to RetinaFace for one picture, all passes together."""
    precision: Precision = Precision.AUTO
    """What RetinaFace computes in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatus:
    """One model and whether requests that name it are served."""

    name: str
    model_id: str
    license: str
    sha256: str
    serving: bool
    is_default: bool
    detail: str
    """Why it is not served and what to do; empty when served."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """A model that could be served."""

    name: str
    model_id: str
    license: str
    sha256: str
    is_retinaface: bool
    require: Callable[[], Path]
    """The checked weights, or NotReady."""

    def check(self) -> None:
        """Whether it could be loaded now.

        Raises:
            NotReady: Something is missing; the message says what to do.
        """
        self.require()
        for package in _RETINAFACE_PACKAGES if self.is_retinaface else ():
            if importlib.util.find_spec(package) is None:
                raise NotReady(f"{self.name} needs {package}: pip install 'facet-privacy[retinaface]'")


class DetectorModels:
    """Loads models on demand, once each. Weights installed later are found without a restart."""

    def __init__(self, store: ModelStore, options: DetectorOptions) -> None:
        """Loads nothing yet.

        Raises:
            NotReady: The owner's weights cannot be read.
        """
        self._store = store
        self._options = options
        self._own = None if options.weights is None else _own(options.weights)
        self._lock = threading.Lock()
        self._loaded: dict[str, FaceDetector] = {}
        self._searches: dict[str, FaceSearch] = {}

    def search(self, name: str) -> FaceSearch:
        """The search of the model of that name, or of the default model where the name is empty.

        Raises:
            InvalidRequest: There is no such model.
            NotReady: Its weights are absent or wrong, or what runs it is; the message says what to do.
        """
        name = name or self.default()
        with self._lock:
            if name not in self._searches:
                self._searches[name] = self._open(self._named(name))
            return self._searches[name]

    def default(self) -> str:
        """The model that answers where a request names none.

        Raises:
            NotReady: None is installed.
        """
        if self._options.default:
            return self._options.default
        if self._own is not None:
            return self._own.name
        for name in BEST_RECALL_FIRST:
            if name in self._searches or not _why_not(self._named(name)):
                return name
        raise NotReady(f"no detection model is installed: run `facet models pull {COMPANION}`")

    def statuses(self) -> list[ModelStatus]:
        """Every model that could be served."""
        try:
            default = self.default()
        except NotReady:
            default = ""
        return [
            ModelStatus(
                name=known.name,
                model_id=known.model_id,
                license=known.license,
                sha256=known.sha256,
                serving=not detail,
                is_default=known.name == default,
                detail=detail,
            )
            for known in self._known()
            for detail in ["" if known.name in self._searches else _why_not(known)]
        ]

    def close(self) -> None:
        """Frees what was loaded."""
        with self._lock:
            self._searches.clear()
            while self._loaded:
                self._loaded.popitem()[1].close()

    def _known(self) -> list[_Known]:
        entries = [entry for entry in self._store.entries() if entry.tier == TIER]
        listed = [
            _Known(
                name=entry.name,
                model_id=entry.model_id,
                license=entry.license,
                sha256=entry.sha256,
                is_retinaface=entry.architecture.startswith(_RETINAFACE),
                require=partial(self._store.require, entry.name),
            )
            for entry in entries
        ]
        return listed if self._own is None else [self._own, *listed]

    def _named(self, name: str) -> _Known:
        known = {model.name: model for model in self._known()}
        if name not in known:
            raise InvalidRequest(
                f"there is no detection model {name[:_QUOTED_CHARACTERS]!r}; known: {', '.join(known)}"
            )
        return known[name]

    def _open(self, known: _Known) -> FaceSearch:
        known.check()
        if not known.is_retinaface:
            return BlazeFaceSearch(self._blazeface(known))
        # Imported here: torch takes seconds, and an image without it serves BlazeFace all the same.
        try:
            from services.detector.retinaface.detector import RetinaFace  # noqa: PLC0415
            from services.detector.retinaface.search import RetinaFaceSearch  # noqa: PLC0415
        except ImportError as error:  # OpenCV as mediapipe asks for it links what servers lack
            raise NotReady(
                f"{known.name} cannot run: {error}. Where libGL is missing: apt-get install libgl1 libglib2.0-0"
            ) from error

        companion = self._named(COMPANION)
        model = RetinaFace(known.name, known.model_id, known.require(), self._options.precision)
        self._loaded[known.name] = model
        return RetinaFaceSearch(
            model,
            max_pixels=self._options.max_search_pixels,
            companion=None if _why_not(companion) else BlazeFaceSearch(self._blazeface(companion)),
        )

    def _blazeface(self, known: _Known) -> FaceDetector:
        if known.name not in self._loaded:
            self._loaded[known.name] = BlazeFace(known.name, known.model_id, known.require())
        return self._loaded[known.name]


def _own(weights: Path) -> _Known:
    sha256 = sha256_of(weights)
    return _Known(
        name=weights.stem,
        model_id=model_id(weights.stem, sha256),
        license="",
        sha256=sha256,
        is_retinaface=True,
        require=lambda: weights,
    )


def _why_not(known: _Known) -> str:
    try:
        known.check()
    except NotReady as error:
        return str(error)
    return ""

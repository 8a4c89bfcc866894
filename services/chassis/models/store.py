"""Which weights are installed: what a tier asks when it starts. Opens no connection; `pull.py` installs."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from pathlib import Path

from services.chassis.errors import InvalidRequest, NotReady
from services.chassis.models.manifest import ModelEntry, load_manifest
from services.chassis.process.settings import ModelSettings


class ModelState(StrEnum):
    """What lies where a model's weights belong."""

    ABSENT = "absent"
    INSTALLED = "installed"
    DAMAGED = "damaged"  # a file, but not the one the manifest names


class ModelStore:
    """The models of the manifest and the folder their weights are installed in.

    Raises:
        InvalidRequest: The owner's manifest is wrong.
    """

    def __init__(self, settings: ModelSettings) -> None:
        self.settings = settings
        self._entries = load_manifest(settings.manifest)

    def entries(self) -> tuple[ModelEntry, ...]:
        """All known models, in the manifest's order."""
        return tuple(self._entries.values())

    def entry(self, name: str) -> ModelEntry:
        """The model of that name.

        Raises:
            InvalidRequest: There is none; the message names those there are.
        """
        if name not in self._entries:
            raise InvalidRequest(f"there is no model {name!r}; known: {', '.join(self._entries)}")
        return self._entries[name]

    def path(self, name: str) -> Path:
        """Where the weights of that model belong, installed or not."""
        return self.settings.dir / self.entry(name).file

    def state(self, name: str) -> ModelState:
        """Reads and hashes the weights: well under a second for the largest.

        Raises:
            NotReady: There is a file, and it cannot be read.
        """
        path = self.path(name)
        if not path.exists():
            return ModelState.ABSENT
        return ModelState.INSTALLED if sha256_of(path) == self.entry(name).sha256 else ModelState.DAMAGED

    def require(self, name: str) -> Path:
        """The installed weights of that model, checked.

        Raises:
            NotReady: They are absent, damaged or unreadable; the message says what to do.
        """
        path = self.path(name)
        match self.state(name):
            case ModelState.INSTALLED:
                return path
            case ModelState.ABSENT:
                raise NotReady(f"the weights of {name} are not installed: run `facet models pull {name}`")
            case ModelState.DAMAGED:
                raise NotReady(
                    f"{path} does not have the sha256 of {name}: run `facet models pull {name}` to replace it"
                )


def sha256_of(path: Path) -> str:
    """The file's sha256 as 64 hex digits.

    Raises:
        NotReady: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise NotReady(f"{path} cannot be read: {error.strerror}") from error

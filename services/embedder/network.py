"""Recognising an embedding network in a weights file, and loading it strictly."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

import torch
from torch import Tensor, nn

from services.chassis.errors import NotReady
from services.embedder.ir import IrNetwork, recognise_ir
from services.embedder.mobilefacenet import MobileFaceNet, recognise_mobilefacenet

WRAPPER_KEY = "state_dict"
PARALLEL_PREFIX = "module."  # what torch.nn.DataParallel puts before every key


@dataclass(frozen=True, kw_only=True)
class InputNormalisation:
    """What a network expects of its input: `(value - mean) / deviation` a channel, value 0 to 255, RGB."""

    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]


SYMMETRIC = InputNormalisation(mean=(127.5, 127.5, 127.5), deviation=(127.5, 127.5, 127.5))
"""-1 to 1, as the IR networks are trained."""
IMAGENET = InputNormalisation(
    mean=(255 * 0.485, 255 * 0.456, 255 * 0.406), deviation=(255 * 0.229, 255 * 0.224, 255 * 0.225)
)
"""ImageNet's mean and deviation, as MobileFaceNet is trained."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """A loaded network, in float32 and evaluation mode, not yet folded."""

    architecture: str
    """For people: what was recognised, for instance `IR-101 (official layout)`."""
    module: nn.Module
    """Normalised float N x 3 x 112 x 112 to raw embeddings, N x dimension."""
    normalisation: InputNormalisation
    dimension: int
    """Values of an embedding."""


def load_network(path: Path) -> Network:
    """Loads the weights at `path` into the network their keys are those of.

    The file is a state dict saved by torch, bare or under `state_dict`, its keys with or without `module.`. It is read
    with `weights_only`: nothing in it is executed.

    Raises:
        NotReady: the file is absent, unreadable, damaged, or not of a known network.
    """
    state = _read_state(path)
    recognised = _recognise({key: value.shape for key, value in state.items()})
    if recognised is None:
        raise NotReady(
            f"{path.name} does not hold a known embedding network: its {len(state)} keys are not those of IR-50, "
            "IR-101 (official or TFace layout) or MobileFaceNet"
        )
    try:
        recognised.module.load_state_dict(state, strict=True, assign=True)
    except RuntimeError as error:
        raise NotReady(f"{path.name} looks like {recognised.architecture} but does not fit it: {error}") from error
    broken = [key for key, value in state.items() if not bool(value.isfinite().all())]
    if broken:
        raise NotReady(f"{path.name} is damaged: {broken[0]} holds values that are not finite")
    recognised.module.eval().requires_grad_(requires_grad=False)
    return recognised


def _read_state(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise NotReady(f"the weights file {path} does not exist") from error
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise NotReady(f"{path.name} is damaged or not a torch weights file") from error
    if isinstance(content, dict) and WRAPPER_KEY in content:
        content = content[WRAPPER_KEY]
    if not _is_state(content):
        raise NotReady(f"{path.name} holds something else than named tensors")
    return {
        key.removeprefix(PARALLEL_PREFIX): value.float() if value.is_floating_point() else value
        for key, value in content.items()
    }


def _is_state(content: object) -> TypeGuard[dict[str, Tensor]]:
    return (
        isinstance(content, dict)
        and len(content) > 0
        and all(isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items())
    )


def _recognise(shapes: dict[str, torch.Size]) -> Network | None:
    ir = recognise_ir(shapes)
    mobilefacenet_dimension = recognise_mobilefacenet(shapes)
    with torch.device("meta"):  # the file brings the tensors: none are drawn at random first
        if ir is not None:
            return Network(
                architecture=f"IR-{ir.depth} ({ir.layout} layout)",
                module=IrNetwork(ir),
                normalisation=SYMMETRIC,
                dimension=ir.dimension,
            )
        if mobilefacenet_dimension is not None:
            return Network(
                architecture="MobileFaceNet",
                module=MobileFaceNet(mobilefacenet_dimension),
                normalisation=IMAGENET,
                dimension=mobilefacenet_dimension,
            )
    return None

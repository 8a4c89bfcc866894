"""Recognising an embedding network in a weights file, and loading it strictly."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from services.chassis.errors import NotReady
from services.chassis.inference.checkpoint import load_strictly, read_state
from services.embedder.ir import IrNetwork, recognise_ir
from services.embedder.mobilefacenet import MobileFaceNet, recognise_mobilefacenet


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

    Args:
        path: A file as `read_state` takes it.

    Raises:
        NotReady: The file is absent, unreadable, damaged, or not of a known network.
    """
    state = read_state(path)
    recognised = _recognise({key: value.shape for key, value in state.items()})
    if recognised is None:
        raise NotReady(
            f"{path.name} does not hold a known embedding network: its {len(state)} keys are not those of IR-50, "
            "IR-101 (official or TFace layout) or MobileFaceNet"
        )
    load_strictly(state, recognised.module, path=path, architecture=recognised.architecture)
    return recognised


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

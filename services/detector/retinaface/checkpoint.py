"""Published RetinaFace checkpoints into networks: which architecture a file holds is told by its keys alone."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from zipfile import BadZipFile

import torch
from torch import Tensor

from services.chassis.errors import NotReady
from services.detector.retinaface.network import RetinaFace, retinaface_mobilenet025, retinaface_resnet50

# A key that only one architecture has.
_ARCHITECTURES: Mapping[str, Callable[[], RetinaFace]] = {
    "body.stage1.0.0.weight": retinaface_mobilenet025,
    "body.layer1.0.conv1.weight": retinaface_resnet50,
}


def load_network(path: Path) -> RetinaFace:
    """Read a checkpoint of either architecture, bare or wrapped in `state_dict`, with or without `module.` prefixes.

    Args:
        path: A file written by torch.save. It is read as data only: no code in it is run.

    Returns:
        The network in evaluation mode, float32, every weight loaded.

    Raises:
        NotReady: The file is absent, unreadable, or not exactly one of the two published layouts.
    """
    state = _read_state(path)
    network = next((build() for key, build in _ARCHITECTURES.items() if key in state), None)
    if network is None:
        message = f"{path} is not a RetinaFace checkpoint: no known body among its {len(state)} keys."
        raise NotReady(message)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        message = f"{path} does not fit RetinaFace: {str(error).splitlines()[-1].strip()}"
        raise NotReady(message) from error
    return network.eval()


def _read_state(path: Path) -> dict[str, Tensor]:
    """Read the file's tensors by key, without wrapping."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        message = f"The RetinaFace weights {path} are not installed."
        raise NotReady(message) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, BadZipFile, pickle.UnpicklingError) as error:
        message = f"{path} is damaged or not a torch checkpoint."
        raise NotReady(message) from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        message = f"{path} holds no state_dict."
        raise NotReady(message)
    return {str(key).removeprefix("module."): value for key, value in content.items()}

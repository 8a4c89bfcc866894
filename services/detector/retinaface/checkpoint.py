"""Published RetinaFace checkpoints into networks: which architecture a file holds is told by its keys alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from services.chassis.errors import NotReady
from services.chassis.inference.checkpoint import load_strictly, read_state
from services.detector.retinaface.network import RetinaFaceNetwork, retinaface_mobilenet025, retinaface_resnet50

# A key that only one architecture has.
_ARCHITECTURES: Mapping[str, Callable[[], RetinaFaceNetwork]] = {
    "body.stage1.0.0.weight": retinaface_mobilenet025,
    "body.layer1.0.conv1.weight": retinaface_resnet50,
}


def load_network(path: Path) -> RetinaFaceNetwork:
    """Reads a checkpoint of either architecture.

    Args:
        path: A file as `read_state` takes it.

    Returns:
        The network in evaluation mode, float32, every weight loaded.

    Raises:
        NotReady: The file is absent, unreadable, damaged, or not exactly one of the two published layouts.
    """
    state = read_state(path)
    build = next((build for key, build in _ARCHITECTURES.items() if key in state), None)
    if build is None:
        raise NotReady(f"{path.name} is not a RetinaFace checkpoint: no known body among its {len(state)} keys")
    with torch.device("meta"):  # the file brings the tensors: none are drawn at random first
        network = build()
    load_strictly(state, network, path=path, architecture="RetinaFace")
    return network

"""Weights files written by torch: read as data alone, and loaded strictly."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TypeGuard
from zipfile import BadZipFile

import torch
from torch import Tensor, nn

from services.chassis.errors import NotReady

WRAPPER_KEY = "state_dict"
PARALLEL_PREFIX = "module."  # what torch.nn.DataParallel puts before every key
_DAMAGED = (OSError, EOFError, RuntimeError, ValueError, KeyError, BadZipFile, pickle.UnpicklingError)

State = dict[str, Tensor]


def read_state(path: Path) -> State:
    """The tensors of a state dict by key, floating ones in float32.

    Args:
        path: Bare or under `state_dict`, its keys with or without `module.`. No code in it is run.

    Raises:
        NotReady: The file is absent, unreadable or damaged, or holds something else.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise NotReady(f"the weights file {path} does not exist") from error
    except _DAMAGED as error:
        raise NotReady(f"{path.name} is damaged or not a torch weights file") from error
    if isinstance(content, dict) and WRAPPER_KEY in content:
        content = content[WRAPPER_KEY]
    if not _is_state(content):
        raise NotReady(f"{path.name} does not hold named tensors")
    return {
        key.removeprefix(PARALLEL_PREFIX): value.float() if value.is_floating_point() else value
        for key, value in content.items()
    }


def load_strictly(state: State, module: nn.Module, *, path: Path, architecture: str) -> None:
    """Gives a network all its weights, and puts it in evaluation mode for good.

    Args:
        state: As `read_state` answers it; the network takes its tensors over.
        module: May be without tensors of its own (`torch.device("meta")`).
        path: Where the state is from, for messages.
        architecture: What it was recognised as, for messages.

    Raises:
        NotReady: Keys or shapes are not exactly the network's, or values are not finite.
    """
    try:
        module.load_state_dict(state, strict=True, assign=True)
    except RuntimeError as error:
        raise NotReady(f"{path.name} looks like {architecture} but does not fit it: {error}") from error
    broken = [key for key, value in state.items() if not bool(value.isfinite().all())]
    if broken:
        raise NotReady(f"{path.name} is damaged: {broken[0]} holds values that are not finite")
    module.eval().requires_grad_(requires_grad=False)


def _is_state(content: object) -> TypeGuard[State]:
    return (
        isinstance(content, dict)
        and len(content) > 0
        and all(isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items())
    )

"""Weights files of any network: data alone, whole, finite and strictly fitting."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from services.chassis.errors import NotReady
from services.chassis.inference.checkpoint import load_strictly, read_state


def saved(state: object, folder: Path) -> Path:
    path = folder / "weights.pth"
    torch.save(state, path)
    return path


def test_network_without_tensors_of_its_own_takes_those_of_the_file(tmp_path: Path) -> None:
    source = nn.BatchNorm1d(3)
    path = saved({"state_dict": {f"module.{key}": value for key, value in source.state_dict().items()}}, tmp_path)
    with torch.device("meta"):
        module = nn.BatchNorm1d(3)
    load_strictly(read_state(path), module, path=path, architecture="norm")
    assert torch.equal(module.weight, source.weight)
    assert not module.training
    assert not module.weight.requires_grad


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_values_that_are_not_finite_are_called_damaged(tmp_path: Path, value: float) -> None:
    path = saved({"weight": torch.full((2, 2), value), "bias": torch.zeros(2)}, tmp_path)
    with pytest.raises(NotReady, match=r"weights\.pth is damaged: weight holds values that are not finite"):
        load_strictly(read_state(path), nn.Linear(2, 2), path=path, architecture="linear")


def test_archive_with_a_part_that_is_damaged_is_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: object, **__: object) -> object:
        raise zipfile.BadZipFile

    monkeypatch.setattr(torch, "load", read)
    with pytest.raises(NotReady, match=r"weights\.pth is damaged or not a torch weights file"):
        read_state(tmp_path / "weights.pth")

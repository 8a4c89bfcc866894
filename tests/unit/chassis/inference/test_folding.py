"""Folded graphs answer what the networks answer, with fewer batch norms."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from services.chassis.inference.folding import fold


def trained(network: nn.Module) -> nn.Module:
    """In evaluation mode, its batch norms moved away from the identity that untrained ones are."""
    draw = torch.Generator().manual_seed(1)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            for values in (layer.running_mean, layer.running_var, *layer.parameters()):
                assert values is not None
                values.data.uniform_(0.5, 1.5, generator=draw)
    return network.eval()


def norms(network: nn.Module) -> int:
    return sum(isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) for layer in network.modules())


class ReadTwice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        convolved = self.convolution(x)
        both: Tensor = convolved + self.norm(convolved)
        return both


@pytest.mark.parametrize(
    ("network", "left"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU()), 0),
        (nn.Sequential(nn.Conv2d(3, 6, 3, groups=3), nn.BatchNorm2d(6, affine=False)), 0),
        (nn.Sequential(nn.Flatten(), nn.Linear(192, 5), nn.BatchNorm1d(5)), 0),
        (nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3, padding=1)), 1),
        (ReadTwice(), 1),
    ],
    ids=["convolution", "grouped", "projection", "norm first", "read twice"],
)
def test_a_norm_is_folded_where_that_is_exact(network: nn.Module, left: int) -> None:
    network = trained(network)
    planes = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(2))

    folded = fold(network)

    with torch.inference_mode():
        torch.testing.assert_close(folded(planes), network(planes), rtol=1e-4, atol=1e-4)
    assert norms(folded) == left


def test_folding_leaves_the_network_as_it_was() -> None:
    network = trained(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
    before = {key: value.clone() for key, value in network.state_dict().items()}

    fold(network)

    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)

"""Translated graphs answer what torch answers; what has no translation is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from services.chassis.inference.folding import fold
from services.chassis.inference.openvino import Processors
from services.chassis.inference.translation import ANY, translated

MEAN, DEVIATION = (120.0, 110.0, 100.0), (60.0, 50.0, 40.0)


class Rectified(nn.Module):
    def __init__(self, *, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x, inplace=self.inplace) + x


class Enlarged(nn.Module):
    """A coarse map on the size of a fine one."""

    def __init__(self, mode: str = "nearest") -> None:
        super().__init__()
        self.mode = mode
        self.coarse = nn.Conv2d(3, 3, 3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + F.interpolate(self.coarse(x), size=x.shape[2:], mode=self.mode)


class Several(nn.Module):
    """Two outputs, one joined along its channels, one a row a place."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.cat((x, x + x), dim=1), torch.unflatten(x.permute(0, 2, 3, 1).flatten(1), 1, (-1, 3))


class Doubled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 2


def answers(network: nn.Module, pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    model = translated(fold(nn.Sequential(network).eval()), shape=(ANY, ANY, ANY, 3), mean=MEAN, deviation=DEVIATION)
    request = Processors().compile(model, bf16=False, threads=1).create_infer_request()
    return list(request.infer({0: pixels}).values())


@pytest.mark.parametrize(
    "network",
    [
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.Conv2d(3, 8, 3, dilation=2, bias=False),
        nn.Conv2d(3, 6, (1, 3), groups=3),
        nn.BatchNorm2d(3),
        nn.PReLU(3),
        nn.LeakyReLU(0.1),
        nn.ReLU(),
        nn.ReLU6(),
        nn.Dropout(),
        nn.MaxPool2d(1, 1),
        nn.MaxPool2d(1, 2),
        nn.MaxPool2d(3, 2, 1),
        nn.Sequential(nn.Flatten(), nn.Linear(13 * 10 * 3, 4)),
        Rectified(),
        Enlarged(),
        Several(),
    ],
    ids=str,
)
def test_a_translation_answers_what_torch_answers(network: nn.Module) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 13, 10, 3), dtype=np.uint8)
    planes = (torch.from_numpy(pixels) - torch.tensor(MEAN)) / torch.tensor(DEVIATION)
    with torch.inference_mode():
        expected = network.eval()(planes.permute(0, 3, 1, 2).contiguous())
    expected = list(expected) if isinstance(expected, tuple) else [expected]

    for answer, output in zip(answers(network, pixels), expected, strict=True):
        np.testing.assert_allclose(answer, output, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("side_px", range(1, 40))
def test_a_map_is_enlarged_to_the_very_size_of_another(side_px: int) -> None:
    network = Enlarged()
    pixels = np.random.default_rng(side_px).integers(0, 256, (1, side_px, side_px + 5, 3), dtype=np.uint8)
    planes = (torch.from_numpy(pixels) - torch.tensor(MEAN)) / torch.tensor(DEVIATION)
    with torch.inference_mode():
        expected = network(planes.permute(0, 3, 1, 2).contiguous())

    [answer] = answers(network, pixels)

    np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "network",
    [
        nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"),
        nn.MaxPool2d(3, ceil_mode=True),
        nn.Flatten(2),
        nn.Linear(3, 4, bias=False),
        nn.GELU(),
        nn.ReLU(inplace=True),
        Rectified(inplace=True),
        Enlarged(mode="bilinear"),
        Doubled(),
    ],
    ids=str,
)
def test_what_has_no_translation_is_a_type_error(network: nn.Module) -> None:
    with pytest.raises(TypeError, match="no translation"):
        translated(fold(nn.Sequential(network).eval()), shape=(1, 8, 8, 3), mean=MEAN, deviation=DEVIATION)

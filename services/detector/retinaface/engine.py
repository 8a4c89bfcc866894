"""RetinaFace on a CPU: batch norms folded, convolutions packed and fused with their activations, bfloat16 where native.

Everything is exact but bfloat16: folding and fusing only reorder float32 sums.
"""

from __future__ import annotations

import copy
from enum import Enum
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from services.chassis.geometry import RgbImage
from services.detector.retinaface.network import ANCHORS_PER_CELL, LANDMARKS, Bottleneck, RetinaFace

_TRAINING_MEAN_RGB = np.array((123, 117, 104), np.float32)
_HEAD_CHANNELS = [ANCHORS_PER_CELL * values for values in (4, 2, 2 * LANDMARKS)]
_ACTIVATIONS = (nn.LeakyReLU, nn.ReLU)
_NATIVE_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}  # without them bfloat16 is emulated, and slower than float32


class Precision(Enum):
    """What the network computes in."""

    FLOAT32 = torch.float32
    BFLOAT16 = torch.bfloat16


def native_precision(cpu_info: Path = Path("/proc/cpuinfo")) -> Precision:
    """The faster precision of this processor: bfloat16 where it has instructions for it."""
    try:
        flags = next((line.split() for line in cpu_info.read_text().splitlines() if line.startswith("flags")), [])
    except OSError:
        flags = []
    return Precision.BFLOAT16 if _NATIVE_BFLOAT16_FLAGS.intersection(flags) else Precision.FLOAT32


class Engine:
    """A network made ready for inference. Safe to call from several threads."""

    def __init__(self, network: RetinaFace, precision: Precision) -> None:
        """Prepares a copy; `network` must be in evaluation mode and is not changed."""
        self._dtype = precision.value
        network = copy.deepcopy(network)
        first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
        first.weight = nn.Parameter(first.weight.detach().flip(1))  # the weights want BGR: turned here, once
        self._network = _FusedRetinaFace(network, self._dtype)

    def __call__(self, picture: RgbImage) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Runs the network on one picture.

        One at a time: on a CPU a batch gains nothing, its larger maps only fall out of the caches.

        Returns:
            The outputs of `RetinaFace.forward` without the batch axis: A x 4, A x 2 and A x 10.
        """
        height, width = picture.shape[:2]
        mean = np.tile(_TRAINING_MEAN_RGB, width)  # a whole row, which is several times as fast as three values
        rows = np.subtract(picture.reshape(height, -1), mean, dtype=np.float32)
        with torch.inference_mode():
            # H x W x 3 is what channels_last looks like in memory, so this permutation copies nothing.
            pixels = torch.from_numpy(rows).view(1, height, width, 3).permute(0, 3, 1, 2).to(self._dtype)
            boxes, logits, landmarks = (output[0].float().numpy() for output in self._network(pixels))
        return boxes, logits, landmarks


class _FusedConvolution(nn.Module):
    """A convolution, its bias and what follows it in one oneDNN call.

    torch.compile lowers to the same operators. Calling them directly needs no compiler where the service runs, and
    unlike a compiled graph they take pictures of any size.
    """

    def __init__(self, convolution: nn.Conv2d, activation: nn.Module | None, dtype: torch.dtype) -> None:
        super().__init__()
        geometry = (convolution.padding, convolution.stride, convolution.dilation, convolution.groups)
        weight = torch.ops.mkldnn._reorder_convolution_weight(  # noqa: SLF001
            convolution.weight.detach().to(dtype, memory_format=torch.channels_last), *geometry
        )
        bias = None if convolution.bias is None else convolution.bias.detach().to(dtype)
        self._arguments = (weight, bias, *geometry)
        self._activation: tuple[str, list[float]] = ("none", [])
        if isinstance(activation, nn.LeakyReLU):
            self._activation = ("leaky_relu", [activation.negative_slope])
        elif isinstance(activation, nn.ReLU):
            self._activation = ("relu", [])

    def forward(self, x: Tensor) -> Tensor:
        """Convolves and activates."""
        result: Tensor = torch.ops.mkldnn._convolution_pointwise(x, *self._arguments, *self._activation, "")  # noqa: SLF001
        return result

    def add_to(self, shortcut: Tensor, x: Tensor) -> Tensor:
        """relu(shortcut + convolution of x), written over `shortcut`."""
        convolution = torch.ops.mkldnn._convolution_pointwise_.binary
        result: Tensor = convolution(shortcut, x, *self._arguments, "add", 1.0, "relu", [], "")
        return result


class _FusedBottleneck(nn.Module):
    """A bottleneck in three calls, or four with a shortcut of its own."""

    def __init__(self, block: Bottleneck, dtype: torch.dtype) -> None:
        super().__init__()
        relu = nn.ReLU()
        self.conv1 = _FusedConvolution(fuse_conv_bn_eval(block.conv1, block.bn1), relu, dtype)
        self.conv2 = _FusedConvolution(fuse_conv_bn_eval(block.conv2, block.bn2), relu, dtype)
        self.conv3 = _FusedConvolution(fuse_conv_bn_eval(block.conv3, block.bn3), None, dtype)
        self.downsample = None if block.downsample is None else _fused(block.downsample, dtype)

    def forward(self, x: Tensor) -> Tensor:
        """As `Bottleneck.forward`; overwrites `x` where that is its own shortcut, so nothing else may still need it."""
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.conv3.add_to(shortcut, self.conv2(self.conv1(x)))


class _FusedRetinaFace(nn.Module):
    """The whole network; the three heads of a level are one convolution."""

    def __init__(self, network: RetinaFace, dtype: torch.dtype) -> None:
        super().__init__()
        self.body = _fused(network.body, dtype)
        self.fpn = _fused(network.fpn, dtype)
        self.contexts = nn.ModuleList(_fused(context, dtype) for context in (network.ssh1, network.ssh2, network.ssh3))
        levels = zip(network.BboxHead, network.ClassHead, network.LandmarkHead, strict=True)
        self.heads = nn.ModuleList(
            _FusedConvolution(_side_by_side([cast(nn.Conv2d, head.conv1x1) for head in level]), None, dtype)
            for level in levels
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """As `RetinaFace.forward`."""
        levels = []
        for context, head, level in zip(self.contexts, self.heads, self.fpn(self.body(x)), strict=True):
            values: Tensor = head(context(level))
            parts = torch.split_with_sizes(values.permute(0, 2, 3, 1), _HEAD_CHANNELS, dim=-1)
            levels.append([part.reshape(len(x), -1, part.shape[-1] // ANCHORS_PER_CELL) for part in parts])
        return [torch.cat(output, dim=1) for output in zip(*levels, strict=True)]


def _side_by_side(convolutions: list[nn.Conv2d]) -> nn.Conv2d:
    """One 1x1 convolution that answers what all of them answer, channel behind channel."""
    joined = nn.Conv2d(convolutions[0].in_channels, sum(c.out_channels for c in convolutions), 1)
    joined.weight = nn.Parameter(torch.cat([c.weight for c in convolutions]))
    joined.bias = nn.Parameter(torch.cat([cast(Tensor, c.bias) for c in convolutions]))
    return joined


def _fused(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Fuses, in place, each convolution with the batch norm and the activation right behind it."""
    names = [name for name, _ in module.named_children()]
    for name, next_name, after_name in zip(names, [*names[1:], ""], [*names[2:], "", ""], strict=False):
        child, norm = getattr(module, name), getattr(module, next_name, None)
        if isinstance(child, Bottleneck):
            setattr(module, name, _FusedBottleneck(child, dtype))
        elif not isinstance(child, nn.Conv2d):
            _fused(child, dtype)
        elif not isinstance(norm, nn.BatchNorm2d):
            setattr(module, name, _FusedConvolution(child, None, dtype))
        else:
            activation = getattr(module, after_name, None)
            setattr(module, name, _FusedConvolution(fuse_conv_bn_eval(child, norm), activation, dtype))
            setattr(module, next_name, nn.Identity())
            if isinstance(activation, _ACTIVATIONS):
                setattr(module, after_name, nn.Identity())
    return module

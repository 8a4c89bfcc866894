"""MobileFaceNet as foamliu publishes it: the light embedder.

Chen et al., "MobileFaceNets: Efficient CNNs for Accurate Real-Time Face Verification on Mobile Devices" (CCBR 2018).
Modules carry the names the published file uses, so it loads strictly, key by key.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

EXPANSION_CHANNELS_REPEATS_STRIDE = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))
STEM_CHANNELS = 64
HEAD_CHANNELS = 512
OUTPUT_SIDE = 7  # 112 pixels halved four times


def _convolution(channels_in: int, channels_out: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, groups=groups, bias=False)


def _clipped(convolution: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU6())


class _SeparableConvolution(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = _convolution(channels, channels, 3, groups=channels)
        self.pointwise = _convolution(channels, channels)
        self.bn1 = nn.BatchNorm2d(channels)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()

    def forward(self, stream: Tensor) -> Tensor:
        depthwise = self.relu(self.bn1(self.depthwise(stream)))
        pointwise: Tensor = self.relu(self.bn2(self.pointwise(depthwise)))
        return pointwise


class _GlobalDepthwiseConvolution(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, OUTPUT_SIDE, groups=channels, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, stream: Tensor) -> Tensor:
        pooled: Tensor = self.bn(self.depthwise(stream))
        return pooled


class InvertedResidual(nn.Module):
    """Widens, filters each channel alone, narrows; adds the input where shapes agree."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = channels_in * expansion
        self.adds_input = stride == 1 and channels_in == channels_out
        self.conv = nn.Sequential(
            _clipped(_convolution(channels_in, wide)),
            _clipped(_convolution(wide, wide, 3, stride, groups=wide)),
            _convolution(wide, channels_out),
            nn.BatchNorm2d(channels_out),
        )

    def forward(self, stream: Tensor) -> Tensor:
        """N x C x H x W to N x C' x ceil(H/stride) x ceil(W/stride)."""
        branch: Tensor = self.conv(stream)
        return stream + branch if self.adds_input else branch


class MobileFaceNet(nn.Module):
    """Aligned faces in, raw embeddings out. Input: RGB 112x112 in ImageNet's normalisation (see `weights.py`)."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.conv1 = _clipped(_convolution(3, STEM_CHANNELS, 3, stride=2))
        self.dw_conv = _SeparableConvolution(STEM_CHANNELS)
        residuals = []
        channels_in = STEM_CHANNELS
        for expansion, channels, repeats, stride in EXPANSION_CHANNELS_REPEATS_STRIDE:
            for index in range(repeats):
                residuals.append(InvertedResidual(channels_in, channels, 1 if index else stride, expansion))
                channels_in = channels
        self.features = nn.Sequential(*residuals)
        self.conv2 = _clipped(_convolution(channels_in, HEAD_CHANNELS))
        self.gdconv = _GlobalDepthwiseConvolution(HEAD_CHANNELS)
        self.conv3 = nn.Conv2d(HEAD_CHANNELS, dimension, 1)
        self.bn = nn.BatchNorm2d(dimension)

    def forward(self, faces: Tensor) -> Tensor:
        """Float N x 3 x 112 x 112 to N x dimension, not normalised."""
        features = self.conv2(self.features(self.dw_conv(self.conv1(faces))))
        embeddings: Tensor = self.bn(self.conv3(self.gdconv(features)))
        return embeddings.flatten(1)


def recognise_mobilefacenet(shapes: dict[str, torch.Size]) -> int | None:
    """The dimension of the embeddings where the keys are MobileFaceNet's, else None."""
    projection = shapes.get("conv3.weight")
    return projection[0] if projection is not None and "gdconv.depthwise.weight" in shapes else None

"""The RetinaFace network with its two published bodies, key for key as in the published checkpoints.

Source: Deng et al., "RetinaFace: Single-stage Dense Face Localisation in the Wild" (CVPR 2020), in the layout of
biubug6/Pytorch_Retinaface. Modules bear the checkpoint's names, mixed case included, so that weights load strictly.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

ANCHORS_PER_CELL = 2
LANDMARKS = 5


def _slope(out_channels: int) -> float:
    """Negative slope of the activations behind the body: narrow networks leak, wide ones do not."""
    return 0.1 if out_channels <= 64 else 0.0  # noqa: PLR2004


def _convolution(in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution that keeps the size but for its stride, without bias: a batch norm follows."""
    return nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False)


def _normed(convolution: nn.Conv2d, *, slope: float | None = None) -> list[nn.Module]:
    """The convolution and its batch norm, then an activation unless `slope` is None."""
    layers: list[nn.Module] = [convolution, nn.BatchNorm2d(convolution.out_channels)]
    if slope is not None:
        layers.append(nn.LeakyReLU(slope) if slope else nn.ReLU())
    return layers


def _separable(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """MobileNet's depthwise and pointwise convolutions."""
    return nn.Sequential(
        *_normed(_convolution(in_channels, in_channels, 3, stride=stride, groups=in_channels), slope=0.1),
        *_normed(_convolution(in_channels, out_channels, 1), slope=0.1),
    )


class MobileNetBody(nn.Module):
    """MobileNet v1 of width 0.25 without its classifier; stages end at strides 8, 16 and 32."""

    stage_channels = (64, 128, 256)

    def __init__(self) -> None:
        super().__init__()
        self.stage1 = nn.Sequential(
            nn.Sequential(*_normed(_convolution(3, 8, 3, stride=2), slope=0.1)),
            _separable(8, 16, 1),
            _separable(16, 32, 2),
            _separable(32, 32, 1),
            _separable(32, 64, 2),
            _separable(64, 64, 1),
        )
        self.stage2 = nn.Sequential(_separable(64, 128, 2), *(_separable(128, 128, 1) for _ in range(5)))
        self.stage3 = nn.Sequential(_separable(128, 256, 2), _separable(256, 256, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the feature maps at strides 8, 16 and 32."""
        c3 = self.stage1(x)
        c4 = self.stage2(c3)
        return c3, c4, self.stage3(c4)


class Bottleneck(nn.Module):
    """ResNet's bottleneck in its v1.5 form: the stride sits on the 3x3 convolution."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _convolution(in_channels, channels, 1)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = _convolution(channels, channels, 3, stride=stride)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = _convolution(channels, 4 * channels, 1)
        self.bn3 = nn.BatchNorm2d(4 * channels)
        self.downsample = (
            nn.Sequential(*_normed(_convolution(in_channels, 4 * channels, 1, stride=stride)))
            if stride > 1 or in_channels != 4 * channels
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """N x in x H x W -> N x 4*channels x H/stride x W/stride."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return F.relu(self.bn3(self.conv3(x)) + shortcut)


def _residual_stage(in_channels: int, channels: int, blocks: int, stride: int) -> nn.Sequential:
    rest = (Bottleneck(4 * channels, channels, 1) for _ in range(blocks - 1))
    return nn.Sequential(Bottleneck(in_channels, channels, stride), *rest)


class ResNetBody(nn.Module):
    """ResNet-50 without its classifier; stages 2 to 4 end at strides 8, 16 and 32."""

    stage_channels = (512, 1024, 2048)

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _convolution(3, 64, 7, stride=2)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = _residual_stage(64, 64, 3, 1)
        self.layer2 = _residual_stage(256, 128, 4, 2)
        self.layer3 = _residual_stage(512, 256, 6, 2)
        self.layer4 = _residual_stage(1024, 512, 3, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the feature maps at strides 8, 16 and 32."""
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        c3 = self.layer2(self.layer1(x))
        c4 = self.layer3(c3)
        return c3, c4, self.layer4(c4)


class FeaturePyramid(nn.Module):
    """Carries coarse features down to the fine maps."""

    def __init__(self, in_channels: tuple[int, int, int], channels: int) -> None:
        super().__init__()
        slope = _slope(channels)
        self.output1 = nn.Sequential(*_normed(_convolution(in_channels[0], channels, 1), slope=slope))
        self.output2 = nn.Sequential(*_normed(_convolution(in_channels[1], channels, 1), slope=slope))
        self.output3 = nn.Sequential(*_normed(_convolution(in_channels[2], channels, 1), slope=slope))
        self.merge1 = nn.Sequential(*_normed(_convolution(channels, channels, 3), slope=slope))
        self.merge2 = nn.Sequential(*_normed(_convolution(channels, channels, 3), slope=slope))

    def forward(self, maps: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Three maps in, three maps of the same sizes out."""
        p3, p4, p5 = self.output1(maps[0]), self.output2(maps[1]), self.output3(maps[2])
        p4 = self.merge2(p4 + F.interpolate(p5, size=p4.shape[2:]))
        p3 = self.merge1(p3 + F.interpolate(p4, size=p3.shape[2:]))
        return p3, p4, p5


class ContextModule(nn.Module):
    """SSH's context: fields of 3x3, 5x5 and 7x7 built from 3x3 convolutions, side by side."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        slope = _slope(channels)
        self.conv3X3 = nn.Sequential(*_normed(_convolution(channels, channels // 2, 3), slope=0.0))
        self.conv5X5_1 = nn.Sequential(*_normed(_convolution(channels, channels // 4, 3), slope=slope))
        self.conv5X5_2 = nn.Sequential(*_normed(_convolution(channels // 4, channels // 4, 3), slope=0.0))
        self.conv7X7_2 = nn.Sequential(*_normed(_convolution(channels // 4, channels // 4, 3), slope=slope))
        self.conv7x7_3 = nn.Sequential(*_normed(_convolution(channels // 4, channels // 4, 3), slope=0.0))

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W -> the same shape."""
        narrow = self.conv5X5_1(x)
        wide = self.conv7x7_3(self.conv7X7_2(narrow))
        return torch.cat((self.conv3X3(x), self.conv5X5_2(narrow), wide), dim=1)


class Head(nn.Module):
    """One 1x1 convolution that answers `values` numbers for every anchor."""

    def __init__(self, channels: int, values: int) -> None:
        super().__init__()
        self.values = values
        self.conv1x1 = nn.Conv2d(channels, ANCHORS_PER_CELL * values, 1)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W -> N x (H * W * anchors) x values."""
        values: Tensor = self.conv1x1(x)
        return torch.unflatten(values.permute(0, 2, 3, 1).flatten(1), 1, (-1, self.values))


class RetinaFaceNetwork(nn.Module):
    """The whole network over one body. Module names are the checkpoint's."""

    def __init__(self, body: MobileNetBody | ResNetBody, channels: int) -> None:
        super().__init__()
        self.body = body
        self.fpn = FeaturePyramid(body.stage_channels, channels)
        self.ssh1, self.ssh2, self.ssh3 = (ContextModule(channels) for _ in range(3))
        self.ClassHead = nn.ModuleList(Head(channels, 2) for _ in range(3))
        self.BboxHead = nn.ModuleList(Head(channels, 4) for _ in range(3))
        self.LandmarkHead = nn.ModuleList(Head(channels, 2 * LANDMARKS) for _ in range(3))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Score and locate the anchors of a batch.

        Args:
            x: N x 3 x H x W, BGR minus the training means (104, 117, 123), not scaled.

        Returns:
            For the N x A anchors in the order of `priors.anchors`: box offsets N x A x 4, class logits
            (background, face) N x A x 2, landmark offsets N x A x 10.
        """
        maps = [ssh(p) for ssh, p in zip((self.ssh1, self.ssh2, self.ssh3), self.fpn(self.body(x)), strict=True)]
        boxes = torch.cat([head(p) for head, p in zip(self.BboxHead, maps, strict=True)], dim=1)
        logits = torch.cat([head(p) for head, p in zip(self.ClassHead, maps, strict=True)], dim=1)
        landmarks = torch.cat([head(p) for head, p in zip(self.LandmarkHead, maps, strict=True)], dim=1)
        return boxes, logits, landmarks


def retinaface_mobilenet025() -> RetinaFaceNetwork:
    """The small network: 426,608 parameters."""
    return RetinaFaceNetwork(MobileNetBody(), channels=64)


def retinaface_resnet50() -> RetinaFaceNetwork:
    """The large network: 27,293,600 parameters."""
    return RetinaFaceNetwork(ResNetBody(), channels=256)

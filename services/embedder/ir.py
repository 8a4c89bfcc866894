"""The IR networks CurricularFace publishes its weights for: IR-50 and IR-101, in both published layouts.

Huang et al., "CurricularFace: Adaptive Curriculum Learning Loss for Deep Face Recognition" (CVPR 2020). Modules carry
the names the published files use, so a file loads strictly, key by key.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor, nn

STAGE_CHANNELS = (64, 128, 256, 512)
STAGE_STRIDE = 2
UNITS_PER_STAGE = {50: (3, 4, 14, 3), 101: (3, 13, 30, 3)}
OUTPUT_SIDE = 7  # 112 pixels halved by four stages


class Layout(StrEnum):
    """Which of the two published arrangements of a residual branch a file follows."""

    OFFICIAL = "official"
    """HuangYG123/CurricularFace: no batch norm between the first convolution and its PReLU."""
    TFACE = "tface"
    """Tencent TFace and ModelScope's `cv_ir101_facerecognition_cfglint`: with one."""


@dataclass(frozen=True, kw_only=True)
class IrShape:
    """What tells one IR network from another."""

    depth: int
    """A key of `UNITS_PER_STAGE`."""
    layout: Layout
    dimension: int
    """Values of an embedding."""


class IrUnit(nn.Module):
    """A residual unit: the stream, shrunk by `stride`, plus a branch of two 3x3 convolutions."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, layout: Layout) -> None:
        super().__init__()
        between = [nn.BatchNorm2d(channels_out)] if layout is Layout.TFACE else []
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(channels_in),
            nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
            *between,
            nn.PReLU(channels_out),
            nn.Conv2d(channels_out, channels_out, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
        )
        self.shortcut_layer: nn.Module
        if channels_in == channels_out:
            self.shortcut_layer = nn.MaxPool2d(1, stride)
        else:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out)
            )

    def forward(self, stream: Tensor) -> Tensor:
        """N x C x H x W to N x C' x ceil(H/stride) x ceil(W/stride)."""
        added: Tensor = self.shortcut_layer(stream) + self.res_layer(stream)
        return added


class IrNetwork(nn.Module):
    """Aligned faces in, raw embeddings out. Input: RGB 112x112, (value / 255 - 0.5) / 0.5."""

    def __init__(self, shape: IrShape) -> None:
        super().__init__()
        first, last = STAGE_CHANNELS[0], STAGE_CHANNELS[-1]
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, first, 3, padding=1, bias=False), nn.BatchNorm2d(first), nn.PReLU(first)
        )
        units = []
        channels_in = first
        for channels, count in zip(STAGE_CHANNELS, UNITS_PER_STAGE[shape.depth], strict=True):
            for index in range(count):
                units.append(IrUnit(channels_in, channels, 1 if index else STAGE_STRIDE, shape.layout))
                channels_in = channels
        self.body = nn.Sequential(*units)
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(last),
            nn.Dropout(0.4),
            nn.Flatten(),
            nn.Linear(last * OUTPUT_SIDE**2, shape.dimension),
            nn.BatchNorm1d(shape.dimension, affine=False),
        )

    def forward(self, faces: Tensor) -> Tensor:
        """Float N x 3 x 112 x 112 to N x dimension, not normalised."""
        embeddings: Tensor = self.output_layer(self.body(self.input_layer(faces)))
        return embeddings


def recognise_ir(shapes: dict[str, torch.Size]) -> IrShape | None:
    """Reads depth, layout and dimension from a file's keys and shapes.

    Args:
        shapes: key to tensor shape.

    Returns:
        What to build, or None where the keys are not those of an IR network of a known depth.
    """
    units = {key.split(".")[1] for key in shapes if key.startswith("body.") and ".res_layer." in key}
    depth = next((depth for depth, stages in UNITS_PER_STAGE.items() if sum(stages) == len(units)), None)
    projection = shapes.get("output_layer.3.weight")
    if depth is None or projection is None:
        return None
    layout = Layout.TFACE if "body.0.res_layer.5.weight" in shapes else Layout.OFFICIAL
    return IrShape(depth=depth, layout=layout, dimension=projection[0])

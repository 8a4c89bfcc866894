"""A network's answers under suspicion: the trial of bfloat16 when a model is loaded, and what no answer may hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from services.chassis.inference.soundness import disagreement, torch_on_one_thread
from services.chassis.pictures.geometry import RgbImage
from services.detector.retinaface.engine import Run, reference
from services.detector.retinaface.network import RetinaFaceNetwork
from services.detector.retinaface.padding import padded

MOST_OFF = 0.3
"""As a share of the answers' own size. With the published weights bfloat16 was seen to be off by 0.09 at most."""
LARGEST_ANSWER = 100.0
"""With the published weights 7 is the largest. A side of a hundred would be half a billion times the anchor's."""
_SIZES = ((64, 64), (2, 320), (320, 1), (3, 3), (128, 192))
"""Height and width, of narrow pictures as well: they are padded as those of callers are."""


def objection(run: Run, network: RetinaFaceNetwork) -> str:
    """Why the network's answers in bfloat16 cannot be trusted; empty where they can. Takes a few tenths of a second."""
    with torch_on_one_thread():
        return disagreement(run, reference(network), _pictures(), most=MOST_OFF)


def sound(answers: Sequence[np.ndarray]) -> bool:
    """Whether answers can be what a network says of a picture: numbers, and none absurdly large."""
    return all(
        answer.min() >= -LARGEST_ANSWER and answer.max() <= LARGEST_ANSWER for answer in answers
    )  # NaN is neither


def _pictures() -> Iterator[RgbImage]:
    """Flat, smooth and rough ones of each size."""
    dice = np.random.default_rng(0)
    for height, width in _SIZES:
        down, across = np.mgrid[0:height, 0:width]
        waves = np.stack([np.sin(down / 9), np.sin(across / 7), np.sin((down + across) / 11)], axis=-1)
        yield padded(np.full((height, width, 3), 128, np.uint8))
        yield padded((127.5 + 100 * waves).astype(np.uint8))
        yield padded(dice.integers(0, 256, (height, width, 3), dtype=np.uint8))

"""RetinaFace on a CPU, run by OpenVINO: compiled once for pictures of all sizes, in bfloat16 where that is native."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from services.chassis.inference.folding import fold
from services.chassis.inference.openvino import Processors
from services.chassis.inference.precision import Precision
from services.chassis.inference.translation import ANY, translated
from services.chassis.pictures.geometry import RgbImage
from services.chassis.process.processors import available_processors
from services.detector.retinaface.network import RetinaFaceNetwork

_TRAINING_MEAN_RGB = (123.0, 117.0, 104.0)
_CACHED_OPERATIONS = 1000
"""For the last ten picture sizes or so. What a size needs is prepared in 10 ms of a processor, and takes some 4 MiB."""


Answers = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
"""The outputs of `RetinaFaceNetwork.forward` without the batch axis: A x 4, A x 2 and A x 10."""
Run = Callable[[RgbImage], Answers]
"""Runs a network on one picture, H x W x 3."""


def reference(network: RetinaFaceNetwork) -> Run:
    """The network itself, in float32 by torch: slow, and right on every processor."""

    def run(picture: RgbImage) -> Answers:
        planes = torch.from_numpy(picture[..., ::-1] - np.array(_TRAINING_MEAN_RGB[::-1], np.float32)).permute(2, 0, 1)
        with torch.inference_mode():
            boxes, logits, landmarks = (output[0].numpy() for output in network(planes[None]))
        return boxes, logits, landmarks

    return run


class InferenceEngine:
    """A network made ready for inference. Safe to call from several threads; a call computes on one processor."""

    def __init__(self, network: RetinaFaceNetwork, precision: Precision) -> None:
        """Compiles a copy; `network` must be in evaluation mode and is not changed.

        Raises:
            NotReady: OpenVINO is not installed.
        """
        graph = fold(network)
        first = next(layer for layer in graph.modules() if isinstance(layer, nn.Conv2d))
        first.weight = nn.Parameter(first.weight.flip(1))  # the weights want BGR: turned here, once
        processors = available_processors()
        self._compiled = Processors().compile(
            translated(graph, shape=(1, ANY, ANY, 3), mean=_TRAINING_MEAN_RGB, deviation=(1.0, 1.0, 1.0)),
            bf16=precision is Precision.BF16,
            threads=processors,
            at_once=processors,
            cached_operations=_CACHED_OPERATIONS,
        )
        self._of_thread = threading.local()

    def __call__(self, picture: RgbImage) -> Answers:
        """Runs the network on one picture.

        One at a time: on a CPU a batch gains nothing, its larger maps only fall out of the caches.
        """
        answers = self._request().infer({0: picture[None]})
        boxes, logits, landmarks = (answers[output][0] for output in range(3))
        return boxes, logits, landmarks

    def _request(self) -> Any:  # noqa: ANN401  (openvino.InferRequest: the package carries no types)
        """The calling thread's own: it holds the inputs and outputs of one call."""
        if not hasattr(self._of_thread, "request"):
            self._of_thread.request = self._compiled.create_infer_request()
        return self._of_thread.request

"""Aligned faces and what a network says about them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FACE_SIDE_PX = 112
FACE_SHAPE = (FACE_SIDE_PX, FACE_SIDE_PX, 3)
FACE_BYTES = FACE_SIDE_PX * FACE_SIDE_PX * 3

FaceBatch = NDArray[np.uint8]  # N x 112 x 112 x 3, RGB, contiguous
RawEmbeddings = NDArray[np.float32]  # N x dimension, as the network puts them out


@dataclass(frozen=True, slots=True, kw_only=True)
class Embeddings:
    """One row a face."""

    values: NDArray[np.float32]  # N x dimension, L2-normalised
    norms: NDArray[np.float32]  # N, Euclidean norms of the raw outputs

"""Real photographs through REST: not one DCT coefficient beside the hidden blocks changes, and nothing else is kept."""

from __future__ import annotations

from pathlib import Path

import httpx
import numpy as np
import pytest

from services.anonymizer.redaction import Redaction, cut_outs, hidden_pixels
from services.anonymizer.regions import Region
from services.chassis.geometry import Box, LandmarkType, Point
from tests.support.jpegs import coefficients, touched_blocks

TIMEOUT_S = 120


@pytest.mark.timeout(600)
def test_coefficients_of_real_photographs_change_in_hidden_blocks_alone(
    gateway_url: str, shared_dir: Path, tmp_path: Path
) -> None:
    photographs = sorted((shared_dir / "images" / "group").glob("*.jpg"))
    assert len(photographs) == 18
    for path in photographs:
        content = path.read_bytes()
        detection = httpx.post(f"{gateway_url}/v1/detect", content=content, timeout=TIMEOUT_S).json()
        answer = httpx.post(f"{gateway_url}/v1/anonymize", content=content, timeout=TIMEOUT_S)
        assert "X-Facet-Notice" not in answer.headers or "encoded anew" not in answer.headers["X-Facet-Notice"]
        regions = [
            Region(
                box=Box(**face["box"]),
                landmarks={LandmarkType(kind): Point(*at) for kind, at in face["landmarks"].items()},
            )
            for face in detection["faces"]
        ]
        size = {"width_px": detection["width"], "height_px": detection["height"]}
        hidden = hidden_pixels(cut_outs(regions, Redaction(), **size), **size)
        after, before = (coefficients(file, tmp_path) for file in (answer.content, content))
        for new, old in zip(after, before, strict=True):
            changed = (new != old).any(axis=(2, 3))
            assert not (changed & ~touched_blocks(hidden, old.shape[:2])).any(), path.name
        in_luma = touched_blocks(hidden, before[0].shape[:2])
        if in_luma.any():
            assert np.mean((after[0] != before[0]).any(axis=(2, 3))[in_luma]) > 0.9, path.name

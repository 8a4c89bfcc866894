"""`-o -` is standard output for every command that writes answers, and nothing else is printed there."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from tests.support.facet_command import facet
from tests.support.pictures import decode, encode


def test_answers_go_to_standard_output_where_the_output_is_a_dash(
    compare_gateway_url: str, astronaut: Image.Image, tmp_path: Path
) -> None:
    target, folder = ("--target", compare_gateway_url), tmp_path / "in"
    folder.mkdir()
    for name in ("b.jpg", "a.jpg"):
        (folder / name).write_bytes(encode(astronaut, "JPEG"))
    hidden = facet("anonymize", folder / "a.jpg", "-o", "-", *target)
    assert (hidden.returncode, decode(hidden.stdout).size) == (0, astronaut.size)
    found = facet("detect", folder, "-o", "-", *target)
    assert found.returncode == 0
    assert found.stdout == facet("detect", folder, *target).stdout
    embedded = facet("embed", folder, "-o", "-", *target)
    assert embedded.returncode == 0
    with np.load(io.BytesIO(embedded.stdout)) as arrays:
        assert list(arrays["path"]) == ["a.jpg", "b.jpg"]
    assert not Path("-").exists()


def test_figures_and_answers_do_not_share_standard_output(tmp_path: Path) -> None:
    for command in ("anonymize", "detect", "embed"):
        refused = facet(command, tmp_path, "-o", "-", "--json", "--target", "http://127.0.0.1:1")
        assert refused.returncode == 2

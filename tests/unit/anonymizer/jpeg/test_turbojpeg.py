"""Rewriting a JPEG's coefficients keeps nothing of it."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence

import pytest
from PIL import Image

from services.anonymizer.jpeg.turbojpeg import RowOfBlocks, load_turbojpeg
from tests.support.pictures import encode


class Copying:
    """An editor that holds what it has read, as one that changes it does."""

    def __init__(self) -> None:
        self.held: list[RowOfBlocks] = []

    @property
    def wanted(self) -> Sequence[Sequence[bool]]:
        return [[True] * 8] * 3

    def read(self, component: int, row: int, blocks: RowOfBlocks) -> None:  # noqa: ARG002
        self.held.append(blocks.copy())

    def draw(self) -> None:
        pass

    def change(self, component: int, row: int, blocks: RowOfBlocks) -> None:
        pass


def test_editor_and_what_it_holds_are_gone_as_soon_as_nobody_needs_them() -> None:
    """Not only when Python looks for cycles: with large pictures that is after hundreds of megabytes."""
    turbojpeg = load_turbojpeg()
    if turbojpeg is None:
        pytest.skip("needs libturbojpeg.so.0")
    editor = Copying()
    still_there = weakref.ref(editor)
    gc.disable()
    try:
        turbojpeg.rewrite(encode(Image.new("RGB", (64, 64)), "JPEG"), editor)
        assert editor.held
        del editor
        assert still_there() is None
    finally:
        gc.enable()

"""The part of libturbojpeg that rewrites a JPEG's DCT coefficients without decoding it to pixels.

libjpeg-turbo's C interface (turbojpeg.h, versions 2.0 to 3): `tjTransform` reads the coefficients once, hands them to a
filter, a row of blocks at a time, and writes them again.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

LIBRARY = "libturbojpeg.so.0"
BLOCK_PX = 8
BLOCK_VALUES = BLOCK_PX * BLOCK_PX

RowOfBlocks = NDArray[np.int16]  # B x 64, quantised coefficients in natural order
_NO_OUTPUT = 16
_PROGRESSIVE = 32
_COPY_NO_MARKERS = 64
_LIMIT_SCANS = 32768


class ColourSpace(IntEnum):
    """What a JPEG's components mean; values are turbojpeg.h's."""

    RGB = 0
    YCBCR = 1
    GREY = 2
    CMYK = 3
    YCCK = 4


class Editor(Protocol):
    """What looks at a JPEG's coefficients and changes some of them."""

    @property
    def wanted(self) -> Sequence[Sequence[bool]]:
        """Of each component, for each row of blocks, whether it is to be shown."""
        ...

    def read(self, component: int, row: int, blocks: RowOfBlocks) -> None:
        """Is shown each row that it wants; it must copy what it keeps."""
        ...

    def draw(self) -> None:
        """Is called when it has read all."""
        ...

    def change(self, component: int, row: int, blocks: RowOfBlocks) -> None:
        """Is shown each of the rows again, and may write into them."""
        ...


class UnsupportedJpegError(Exception):
    """The file is damaged, or of a kind that cannot be rewritten in its coefficients."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JpegHeader:
    """What a JPEG's header says of its stored, not yet upright, picture."""

    width_px: int
    height_px: int
    colour_space: ColourSpace


class _Region(ctypes.Structure):
    _fields_ = (("x", ctypes.c_int), ("y", ctypes.c_int), ("w", ctypes.c_int), ("h", ctypes.c_int))


_Filter = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_void_p,  # a row of blocks
    _Region,  # of these coefficients, in samples
    _Region,  # of the whole component
    ctypes.c_int,  # the component
    ctypes.c_int,  # the transform
    ctypes.c_void_p,
)


class _Transform(ctypes.Structure):
    _fields_ = (
        ("region", _Region),
        ("operation", ctypes.c_int),
        ("options", ctypes.c_int),
        ("data", ctypes.c_void_p),
        ("filter", _Filter),
    )


class TurboJpeg:
    """The loaded library. Safe to use from several threads."""

    def __init__(self, library: ctypes.CDLL) -> None:
        library.tjInitTransform.restype = ctypes.c_void_p
        library.tjGetErrorStr2.restype = ctypes.c_char_p
        library.tjGetErrorStr2.argtypes = (ctypes.c_void_p,)
        library.tjDestroy.argtypes = (ctypes.c_void_p,)
        library.tjFree.argtypes = (ctypes.c_void_p,)
        library.tjDecompressHeader3.argtypes = (
            ctypes.c_void_p,
            ctypes.c_char_p,
            ctypes.c_ulong,
            *[ctypes.POINTER(ctypes.c_int)] * 4,
        )
        library.tjTransform.argtypes = (
            ctypes.c_void_p,
            ctypes.c_char_p,
            ctypes.c_ulong,
            ctypes.c_int,
            ctypes.POINTER(ctypes.c_void_p),
            ctypes.POINTER(ctypes.c_ulong),
            ctypes.POINTER(_Transform),
            ctypes.c_int,
        )
        self._library = library

    def header(self, content: bytes) -> JpegHeader:
        """Reads a JPEG's header.

        Raises:
            UnsupportedJpegError: It is damaged, or its chroma is subsampled in a way that libjpeg-turbo does not treat.
        """
        width, height, subsampling, colour_space = (ctypes.c_int() for _ in range(4))
        handle = self._library.tjInitTransform()
        try:
            outputs = [ctypes.byref(value) for value in (width, height, subsampling, colour_space)]
            if self._library.tjDecompressHeader3(handle, content, len(content), *outputs):
                raise self._error(handle)
        finally:
            self._library.tjDestroy(handle)
        return JpegHeader(width_px=width.value, height_px=height.value, colour_space=ColourSpace(colour_space.value))

    def rewrite(self, content: bytes, editor: Editor, *, progressive: bool = False) -> bytes:
        """A JPEG as the editor has changed it, without metadata.

        Args:
            content: A JPEG.
            editor: What looks at it and changes it.
            progressive: Whether the answer is to be.

        Raises:
            UnsupportedJpegError: The file is damaged in the least, or cannot be rewritten.
        """
        passes = _Passes(editor)
        transforms = (_Transform * 2)()
        transforms[0].options = _NO_OUTPUT | _COPY_NO_MARKERS  # what one saves of the markers, each copies
        transforms[1].options = _COPY_NO_MARKERS | (_PROGRESSIVE if progressive else 0)
        visit = _Filter(passes.visit)
        for transform in transforms:
            transform.filter = visit
        outputs, sizes = (ctypes.c_void_p * 2)(), (ctypes.c_ulong * 2)()
        handle = self._library.tjInitTransform()
        try:
            failed = self._library.tjTransform(
                handle, content, len(content), len(transforms), outputs, sizes, transforms, _LIMIT_SCANS
            )
            if passes.failure:
                raise passes.failure
            if failed:
                raise self._error(handle)
            return ctypes.string_at(outputs[1] or 0, sizes[1])
        finally:
            for output in outputs:
                self._library.tjFree(output)
            self._library.tjDestroy(handle)

    def _error(self, handle: int) -> UnsupportedJpegError:
        return UnsupportedJpegError(self._library.tjGetErrorStr2(handle).decode(errors="replace"))


class _Passes:
    """The editor's two passes as one function that C can call.

    It must not know the object that C calls: in a cycle of references the editor would live on with all that it has
    copied of a picture, until Python looks for cycles.
    """

    def __init__(self, editor: Editor) -> None:
        self.failure: Exception | None = None
        self._editor = editor
        self._wanted = editor.wanted
        self._reading = True

    def visit(  # noqa: PLR0913, PLR0917  (as turbojpeg.h has it)
        self,
        coefficients: int,
        part: _Region,
        component: _Region,  # noqa: ARG002
        component_index: int,
        transform_index: int,
        transform: int,  # noqa: ARG002
    ) -> int:
        """Shows the editor a row of blocks, if it wants it; anything but 0 ends the rewriting."""
        row = part.y // BLOCK_PX
        try:
            if self._reading and transform_index:
                self._reading = False
                self._editor.draw()
            wanted = self._wanted[component_index]
            # There may be rows beyond the component that only fill up the last row of units.
            if row < len(wanted) and wanted[row]:
                memory = (ctypes.c_short * (part.w * BLOCK_PX)).from_address(coefficients)
                blocks = np.frombuffer(memory, np.int16).reshape(-1, BLOCK_VALUES)
                visit = self._editor.read if self._reading else self._editor.change
                visit(component_index, row, blocks)
        except Exception as error:  # noqa: BLE001  (it cannot pass through C; `rewrite` raises it)
            self.failure = error
            return -1
        return 0


@cache
def load_turbojpeg() -> TurboJpeg | None:
    """The library, or None where it is not installed (Debian's package libturbojpeg0)."""
    try:
        return TurboJpeg(ctypes.CDLL(LIBRARY))
    except (OSError, AttributeError):  # absent, or older than 2.0
        return None

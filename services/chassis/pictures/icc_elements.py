"""The elements of an ICC profile that carry colour: read strictly, rewritten from the values that were read.

Source: ICC.1:2022, chapter 10 (the tag types). Numbers are big-endian; s15Fixed16 counts in 65536ths.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating]

CURVE_POINTS = 256
"""Most points of a written curve: at each 8-bit value it stays exactly what it was."""

_MOST_POINTS = 1 << 16
_FIXED = 65536
_FULL = 65535
_LARGEST_NUMBER = 8.0
"""XYZ values, matrices and curves' parameters lie well below."""
_FALL = 0.01
"""Measured curves waver by less, as a share of their range; what falls further is no response to light."""
_PARAMETERS = (1, 3, 4, 5, 7)  # of each kind of parametric curve
_MOST_LUT_VALUES = 1 << 20
_MOST_ROUGHNESS = 0.5
"""How much a grid's steps may change from one to the next, as a share of the steps. Profiles have 0.3 and less,
photographs laid out as a grid 1 and more, noise 1.7."""
_MOST_REVERSED = 0.2
"""How much of the way lightness may go back along a channel. Profiles have 0.05 and less, photographs about half."""
_LIGHTNESS_FALLS = {3: False, 4: True}  # by the number of channels: light adds up, inks cover it
_MATRIX_AND_OFFSETS = 12


class MalformedProfileError(Exception):
    """The bytes are no such element, or hold what no colour profile needs."""


class Element(Protocol):
    """What can be written into a profile."""

    def to_bytes(self) -> bytes:
        """Nothing but the values, in the only way to write them."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """One colour as XYZ (`XYZ `), or a matrix (`sf32`)."""

    kind: bytes
    values: tuple[int, ...]
    """In 65536ths."""

    def to_bytes(self) -> bytes:
        """With its kind."""
        return self.kind + bytes(4) + struct.pack(f">{len(self.values)}i", *self.values)


def read_xyz(data: bytes) -> Numbers:
    """An `XYZ ` element of one colour."""
    return Numbers(kind=b"XYZ ", values=_numbers(data, b"XYZ ", 3))


def read_matrix(data: bytes) -> Numbers:
    """An `sf32` element of nine values, as chromatic adaptation has it."""
    return Numbers(kind=b"sf32", values=_numbers(data, b"sf32", 9))


def _numbers(data: bytes, kind: bytes, count: int) -> tuple[int, ...]:
    if data[:4] != kind:
        raise MalformedProfileError("an element of another type")
    return _fixed(data, 8, count)


def _fixed(data: bytes, start: int, count: int) -> tuple[int, ...]:
    values: tuple[int, ...] = struct.unpack_from(f">{count}i", data, start)
    if max(map(abs, values)) > _LARGEST_NUMBER * _FIXED:
        raise MalformedProfileError("a number that no colour has")
    return values


@dataclass(frozen=True, slots=True, kw_only=True)
class CodePoints:
    """What ITU-T H.273 calls the colours (`cicp`)."""

    values: tuple[int, int, int, int]
    """Primaries, transfer function, matrix, full range."""

    def to_bytes(self) -> bytes:
        """With its kind."""
        return b"cicp" + bytes(4) + bytes(self.values)


def read_code_points(data: bytes) -> CodePoints:
    """A `cicp` element of RGB values."""
    primaries, transfer, matrix, full_range = struct.unpack_from("4B", data, 8)
    known = primaries in (1, *range(4, 13), 22) and transfer in (1, *range(4, 19)) and (matrix, full_range) == (0, 1)
    if data[:4] != b"cicp" or not known:
        raise MalformedProfileError("no code points of RGB")
    return CodePoints(values=(primaries, transfer, matrix, full_range))


@dataclass(frozen=True, slots=True, kw_only=True)
class ToneCurve:
    """A rising curve from 0..1 to 0..1: a formula with its parameters, or points at equal distances."""

    formula: int | None = None
    """Its number as a parametric curve."""
    parameters: tuple[int, ...] = ()
    """Of the formula, in 65536ths."""
    points: tuple[int, ...] = ()
    """0 to 65535. None at all = the identity; one alone = an exponent in 256ths."""

    def to_bytes(self) -> bytes:
        """With its kind."""
        if self.formula is not None:
            kind = b"para" + bytes(4) + struct.pack(">Hxx", self.formula)
            return kind + struct.pack(f">{len(self.parameters)}i", *self.parameters)
        return b"curv" + bytes(4) + struct.pack(f">I{len(self.points)}H", len(self.points), *self.points)

    def __call__(self, values: Values) -> Values:
        """The curve at each value, which is taken into 0..1."""
        x = np.clip(values, 0, 1)
        if self.formula is not None:
            return np.clip(_parametric(self.formula, [p / _FIXED for p in self.parameters], x), 0, 1)
        if len(self.points) > 1:
            return np.interp(x, np.linspace(0, 1, len(self.points)), self.points) / _FULL
        return x ** (self.points[0] / 256) if self.points else x


def read_curve(data: bytes) -> tuple[ToneCurve, int]:
    """A `curv` or `para` element and how many bytes it takes."""
    kind = data[:4]
    if kind == b"curv":
        (count,) = struct.unpack_from(">I", data, 8)
        size = 12 + 2 * count
        if size > len(data) or count > _MOST_POINTS:
            raise MalformedProfileError("a curve that ends beyond its element, or is absurdly long")
        points = np.frombuffer(data, ">u2", count, 12)
        return ToneCurve(points=(int(points[0]),) if count == 1 else rising(points)), size
    if kind != b"para":
        raise MalformedProfileError("an element that is not a curve")
    (formula,) = struct.unpack_from(">H", data, 8)
    if formula >= len(_PARAMETERS):
        raise MalformedProfileError("a curve of an unknown formula")
    curve = ToneCurve(formula=formula, parameters=_fixed(data, 12, _PARAMETERS[formula]))
    if curve.parameters[0] <= 0:
        raise MalformedProfileError("an exponent that turns a curve upside down")
    at_points = curve(np.linspace(0, 1, CURVE_POINTS))
    if (np.maximum.accumulate(at_points) - at_points).max() > _FALL:
        raise MalformedProfileError("a curve that falls")
    return curve, 12 + 4 * _PARAMETERS[formula]


def rising(points: NDArray[np.integer]) -> tuple[int, ...]:
    """The points of a curve, at most CURVE_POINTS of them, none below the one before.

    Args:
        points: 0 to 65535.

    Raises:
        MalformedProfileError: They fall, as no response to light does.
    """
    if not len(points):
        return ()
    values = points.astype(np.int32)
    smoothed = np.maximum.accumulate(values)
    if (smoothed - values).max() > _FALL * _FULL:
        raise MalformedProfileError("a curve that falls")
    if len(smoothed) > CURVE_POINTS:
        at = np.linspace(0, len(smoothed) - 1, CURVE_POINTS)
        smoothed = np.rint(np.interp(at, np.arange(len(smoothed)), smoothed)).astype(np.int32)
    return tuple(smoothed.tolist())


def _parametric(formula: int, parameters: Sequence[float], x: Values) -> Values:
    """ICC.1:2022, table 68."""
    g, a, b, c, d, e, f = (*parameters, *(0.0,) * (7 - len(parameters)))
    if formula == 0:
        return np.asarray(x**g)
    power = np.maximum(a * x + b, 0) ** g
    if formula == 1:
        return np.where(a * x + b >= 0, power, 0)
    if formula == 2:  # noqa: PLR2004  (as the table counts)
        return np.where(a * x + b >= 0, power + c, c)
    if formula == 3:  # noqa: PLR2004
        return np.where(x >= d, power, c * x)
    return np.where(x >= d, power + e, c * x + f)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Colours at the nodes of a grid over all inputs."""

    nodes: Values
    """A dimension for each input, then the outputs, 0 to 1."""
    sample_bytes: int
    """1 or 2."""

    def to_bytes(self) -> bytes:
        """The samples alone."""
        return _samples(self.nodes, self.sample_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """How device values become colours, by table (`mft1`, `mft2`)."""

    inputs: tuple[tuple[int, ...], ...]
    """For each channel the points of its curve, 0 to 65535."""
    grid: Grid
    outputs: tuple[tuple[int, ...], ...]

    def to_bytes(self) -> bytes:
        """With its kind."""
        one_byte = self.grid.sample_bytes == 1
        sides, outputs = self.grid.nodes.shape[:-1], self.grid.nodes.shape[-1]
        head = struct.pack("4s4xBBBx", b"mft1" if one_byte else b"mft2", len(sides), outputs, sides[0])
        identity = struct.pack(">9i", *(_FIXED if place % 4 == 0 else 0 for place in range(9)))
        sizes = b"" if one_byte else struct.pack(">HH", len(self.inputs[0]), len(self.outputs[0]))
        curves = [_samples(np.array(table) / _FULL, self.grid.sample_bytes) for table in (self.inputs, self.outputs)]
        return b"".join((head, identity, sizes, curves[0], self.grid.to_bytes(), curves[1]))


def read_table(data: bytes) -> Table:
    """An `mft1` or `mft2` element from 3 or 4 channels to a colour."""
    kind, channels, outputs, side = struct.unpack_from("4s4xBBBx", data)
    if kind not in (b"mft1", b"mft2") or channels not in _LIGHTNESS_FALLS or outputs != 3 or side < 2:  # noqa: PLR2004
        raise MalformedProfileError("no table from a device's channels to a colour")
    sample_bytes = 1 if kind == b"mft1" else 2
    entries: tuple[int, int] = (256, 256) if sample_bytes == 1 else struct.unpack_from(">HH", data, 48)
    at = 48 if sample_bytes == 1 else 52
    if min(entries) < 2 or max(entries) > 4096:  # noqa: PLR2004  (as 10.10 has it)
        raise MalformedProfileError("a table of an impossible size")
    inputs, at = _tables(data, at, (channels, entries[0]), sample_bytes)
    grid, at = _read_grid(data, at, (side,) * channels, outputs, sample_bytes)
    tables, at = _tables(data, at, (outputs, entries[1]), sample_bytes)
    table = Table(inputs=inputs, grid=grid, outputs=tables)
    _check_colours(grid.nodes, ToneCurve(points=tables[0])(grid.nodes[..., 0]))
    return table


def _tables(data: bytes, at: int, shape: tuple[int, int], sample_bytes: int) -> tuple[tuple[tuple[int, ...], ...], int]:
    values, end = _read_samples(data, at, shape[0] * shape[1], sample_bytes)
    scaled = values.astype(np.int32) * (257 if sample_bytes == 1 else 1)
    return tuple(rising(row) for row in scaled.reshape(shape)), end


def _read_grid(data: bytes, at: int, sides: tuple[int, ...], outputs: int, sample_bytes: int) -> tuple[Grid, int]:
    count = outputs
    for side in sides:
        count *= side
    if count > _MOST_LUT_VALUES or min(sides) < 2:  # noqa: PLR2004  (both ends)
        raise MalformedProfileError("a grid of an impossible size")
    values, end = _read_samples(data, at, count, sample_bytes)
    nodes = values.reshape(*sides, outputs) / np.float32(255 if sample_bytes == 1 else _FULL)
    return Grid(nodes=nodes, sample_bytes=sample_bytes), end


def _read_samples(data: bytes, at: int, count: int, sample_bytes: int) -> tuple[NDArray[np.unsignedinteger], int]:
    end = at + count * sample_bytes
    if end > len(data):
        raise MalformedProfileError("a table that ends beyond its element")
    return np.frombuffer(data, ">u1" if sample_bytes == 1 else ">u2", count, at), end


def _samples(values: Values, sample_bytes: int) -> bytes:
    full, dtype = (255, ">u1") if sample_bytes == 1 else (_FULL, ">u2")
    return np.rint(values * full).astype(dtype).tobytes()


@dataclass(frozen=True, slots=True, kw_only=True)
class LutPipeline:
    """How device values become colours, in steps (`mAB `); a step may be left out, the last one not."""

    first: tuple[ToneCurve, ...]
    """A curve for each channel, before the grid; with the grid alone."""
    grid: Grid | None
    middle: tuple[ToneCurve, ...]
    """A curve for each output of the grid, before the matrix; with the matrix alone."""
    matrix: tuple[int, ...]
    """Three rows and a column of offsets, in 65536ths."""
    last: tuple[ToneCurve, ...]

    def to_bytes(self) -> bytes:
        """With its kind."""
        parts = [
            _padded(_curves_to_bytes(self.last)),
            struct.pack(f">{len(self.matrix)}i", *self.matrix),
            _curves_to_bytes(self.middle),
            b"" if self.grid is None else _padded(_grid_to_bytes(self.grid)),
            _curves_to_bytes(self.first),
        ]
        offsets, at = [], 32
        for part in parts:
            offsets.append(at if part else 0)
            at += len(part)
        channels = len(self.last) if self.grid is None else self.grid.nodes.ndim - 1
        return struct.pack(">4s4xBBxx5I", b"mAB ", channels, len(self.last), *offsets) + b"".join(parts)


def read_pipeline(data: bytes) -> LutPipeline:
    """An `mAB ` element from 3 or 4 channels to a colour."""
    kind, channels, outputs, at_last, at_matrix, at_middle, at_grid, at_first = struct.unpack_from(">4s4xBBxx5I", data)
    if kind != b"mAB " or channels not in _LIGHTNESS_FALLS or outputs != 3 or not at_last:  # noqa: PLR2004
        raise MalformedProfileError("no steps from a device's channels to a colour")
    if bool(at_grid) != bool(at_first) or bool(at_matrix) != bool(at_middle) or (channels != outputs and not at_grid):
        raise MalformedProfileError("steps that do not go together")
    grid = None
    if at_grid:
        sides, sample_bytes = tuple(data[at_grid : at_grid + channels]), data[at_grid + 16]
        if sample_bytes not in (1, 2):
            raise MalformedProfileError("samples of an unknown size")
        grid, _ = _read_grid(data, at_grid + 20, sides, outputs, sample_bytes)
    pipeline = LutPipeline(
        first=_read_curves(data, at_first, channels) if at_first else (),
        grid=grid,
        middle=_read_curves(data, at_middle, outputs) if at_middle else (),
        matrix=_fixed(data, at_matrix, _MATRIX_AND_OFFSETS) if at_matrix else (),
        last=_read_curves(data, at_last, outputs),
    )
    if grid is not None:
        _check_colours(grid.nodes, _after_grid(pipeline, grid.nodes)[..., 0])
    return pipeline


def _after_grid(pipeline: LutPipeline, values: Values) -> Values:
    if pipeline.matrix:
        values = np.stack([curve(values[..., i]) for i, curve in enumerate(pipeline.middle)], axis=-1)
        matrix = np.array(pipeline.matrix) / _FIXED
        values = values @ matrix[:9].reshape(3, 3).T + matrix[9:]
    return np.stack([curve(values[..., i]) for i, curve in enumerate(pipeline.last)], axis=-1)


def _read_curves(data: bytes, at: int, count: int) -> tuple[ToneCurve, ...]:
    curves = []
    for _ in range(count):
        curve, size = read_curve(data[at:])
        curves.append(curve)
        at += size + -size % 4
    return tuple(curves)


def _curves_to_bytes(curves: Sequence[ToneCurve]) -> bytes:
    return b"".join(_padded(curve.to_bytes()) for curve in curves)


def _grid_to_bytes(grid: Grid) -> bytes:
    sides = bytes(grid.nodes.shape[:-1])
    return sides + bytes(16 - len(sides)) + bytes((grid.sample_bytes, 0, 0, 0)) + grid.to_bytes()


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _check_colours(nodes: Values, lightness: Values) -> None:
    """Refuses a grid that holds something else than a device's colours: a picture, a text, noise.

    A device's colours change evenly along each of its channels, and get lighter with each light or darker with each
    ink. A table of other data does neither.

    Args:
        nodes: The grid.
        lightness: L* or X at each of its nodes.

    Raises:
        MalformedProfileError: The values leap, or lightness goes up and down.
    """
    channels = nodes.ndim - 1
    for axis in range(channels):
        changes = np.diff(lightness, axis=axis) * (-1 if _LIGHTNESS_FALLS[channels] else 1)
        if -changes[changes < 0].sum() > _MOST_REVERSED * np.abs(changes).sum():
            raise MalformedProfileError("colours that are no device's")
        if nodes.shape[axis] > 2:  # noqa: PLR2004  (two nodes say nothing of how even they are)
            steps = np.abs(np.diff(nodes, axis=axis)).sum()
            bends = np.abs(np.diff(nodes, n=2, axis=axis)).sum()
            if bends > _MOST_ROUGHNESS * steps:
                raise MalformedProfileError("colours that leap")

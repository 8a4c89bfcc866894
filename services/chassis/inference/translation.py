"""Folded torch graphs, rebuilt operation by operation in OpenVINO's opset.

OpenVINO's own converter is not used: it reports usage to its vendor, as does the bare import of `openvino` where the
package `openvino-telemetry` is installed.
"""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from services.chassis.inference.folding import called_layer, scale_and_shift
from services.chassis.inference.openvino import Model, import_openvino

Node = Any  # openvino.Node: the package is imported late, and carries no types
Triple = tuple[float, float, float]

ANY = -1
"""A dimension that each call may choose anew."""


def translated(graph: fx.GraphModule, *, shape: Sequence[int], mean: Triple, deviation: Triple) -> Model:
    """The openvino.Model from RGB bytes to what `graph` answers.

    Args:
        graph: In evaluation mode. Takes `(value - mean) / deviation`, N x 3 x H x W; answers a tensor or several.
        shape: N, H, W and 3 of the bytes; each but the last may be ANY.
        mean: Of each channel, 0 to 255.
        deviation: Likewise.

    Raises:
        NotReady: OpenVINO is not installed.
        TypeError: There is no translation for a part of the graph.
    """
    return _Translator().model(graph, shape, mean, deviation)


class _Translator:
    """Each function's and method's translation takes what torch's takes: what it does not know is a TypeError."""

    def __init__(self) -> None:
        self._ov = import_openvino()
        self._ops = self._ov.opset11
        self._functions: Mapping[object, Callable[..., Node]] = {
            operator.add: self._ops.add,
            F.relu: self._rectified,
            F.interpolate: self._interpolated,
            torch.cat: self._concatenated,
            torch.unflatten: self._unflattened,
            builtins.getattr: self._attribute,
            operator.getitem: self._some_of,
            "flatten": self._flattened,
            "permute": self._permuted,
        }

    def model(self, graph: fx.GraphModule, shape: Sequence[int], mean: Triple, deviation: Triple) -> Model:
        source = self._ops.parameter(list(shape), self._ov.Type.u8, name="pixels")
        planes = self._permuted(self._ops.convert(source, self._ov.Type.f32), 0, 3, 1, 2)
        centred = self._ops.subtract(planes, self._per_channel(torch.tensor(mean)))
        scaled = self._ops.multiply(centred, self._per_channel(1 / torch.tensor(deviation)))
        return self._ov.Model(self._answers(graph, scaled), [source])

    def _answers(self, graph: fx.GraphModule, planes: Node) -> list[Node]:
        built: dict[fx.Node, Node] = {}
        for node in graph.graph.nodes:
            arguments, options = fx.map_arg((node.args, node.kwargs), built.__getitem__)
            match node.op:
                case "placeholder":
                    built[node] = planes
                case "call_module":
                    built[node] = self._layer(called_layer(graph, node), *arguments)
                case "output":
                    return list(arguments[0]) if isinstance(arguments[0], tuple) else [arguments[0]]
                case _ if node.target in self._functions:
                    built[node] = self._functions[node.target](*arguments, **options)
                case _:
                    raise TypeError(f"no translation for {node.format_node()}")
        raise AssertionError("a traced graph ends in its output")

    def _layer(self, layer: nn.Module | None, source: Node) -> Node:
        match layer:
            case nn.Conv2d(padding_mode="zeros"):
                built = self._convolved(layer, source)
            case nn.BatchNorm2d():
                scale, shift = scale_and_shift(layer)
                scaled = self._ops.multiply(source, self._per_channel(scale))
                built = self._ops.add(scaled, self._per_channel(shift))
            case nn.PReLU() | nn.LeakyReLU(inplace=False) | nn.ReLU6(inplace=False) | nn.ReLU(inplace=False):
                built = self._activated(layer, source)
            case nn.MaxPool2d(kernel_size=1, stride=1) | nn.Dropout():
                built = source
            case nn.MaxPool2d(
                kernel_size=int(kernel), stride=int(stride), padding=int(padding), dilation=1, ceil_mode=False
            ):
                sides = ([stride] * 2, [1] * 2, [padding] * 2, [padding] * 2, [kernel] * 2)
                built = self._ops.max_pool(source, *sides).output(0)
            case nn.Flatten(start_dim=start, end_dim=-1):
                built = self._flattened(source, start)
            case nn.Linear(bias=Tensor()):
                projected = self._ops.matmul(source, self._constant(layer.weight), transpose_a=False, transpose_b=True)
                built = self._ops.add(projected, self._constant(layer.bias))
            case _:
                raise TypeError(f"no translation for {layer}")
        return built

    def _activated(self, layer: nn.Module, source: Node) -> Node:
        match layer:
            case nn.PReLU():
                return self._ops.prelu(source, self._constant(layer.weight))
            case nn.LeakyReLU():
                return self._ops.prelu(source, self._constant(torch.tensor([layer.negative_slope])))
            case nn.ReLU6():
                return self._ops.clamp(source, 0.0, 6.0)
            case _:
                return self._ops.relu(source)

    def _convolved(self, layer: nn.Conv2d, source: Node) -> Node:
        strides, dilations = list(layer.stride), list(layer.dilation)
        padding = [int(side) for side in layer.padding]
        if layer.groups == 1:
            convolved = self._ops.convolution(
                source, self._constant(layer.weight), strides, padding, padding, dilations
            )
        else:
            filters = self._constant(layer.weight.reshape(layer.groups, -1, *layer.weight.shape[1:]))
            convolved = self._ops.group_convolution(source, filters, strides, padding, padding, dilations)
        return convolved if layer.bias is None else self._ops.add(convolved, self._per_channel(layer.bias))

    def _rectified(self, source: Node, *, inplace: bool) -> Node:
        if inplace:  # whoever reads the source afterwards would read something else in torch
            raise TypeError("no translation for what overwrites its source")
        return self._ops.relu(source)

    def _interpolated(self, source: Node, *, size: Node, mode: str, **rest: object) -> Node:
        if size is None or mode != "nearest" or any(rest.values()):
            raise TypeError(f"no translation for interpolation to {size} with {mode} and {rest}")
        return self._ops.interpolate(
            source,
            size,
            "nearest",
            "sizes",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
            axes=self._integers(2, 3),
        )

    def _concatenated(self, sources: Sequence[Node], *, dim: int) -> Node:
        return self._ops.concat(list(sources), dim)

    def _attribute(self, source: Node, name: str) -> Node:
        if name != "shape":
            raise TypeError(f"no translation for a tensor's {name}")
        return self._ops.shape_of(source)

    def _some_of(self, shape: Node, chosen: slice) -> Node:
        return self._ops.gather(shape, self._integers(*range(4)[chosen]), self._integers(0))

    def _flattened(self, source: Node, start: int) -> Node:
        if start != 1:
            raise TypeError(f"no translation for flattening from dimension {start}")
        return self._ops.reshape(source, self._integers(0, -1), special_zero=True)

    def _unflattened(self, source: Node, dimension: int, sizes: Sequence[int]) -> Node:
        return self._ops.reshape(source, self._integers(*[0] * dimension, *sizes), special_zero=True)

    def _permuted(self, source: Node, *order: int) -> Node:
        return self._ops.transpose(source, self._integers(*order))

    def _per_channel(self, values: Tensor) -> Node:
        return self._constant(values[:, None, None])

    def _constant(self, values: Tensor) -> Node:
        return self._ops.constant(values.detach().float().contiguous().numpy())

    def _integers(self, *values: int) -> Node:
        return self._ops.constant(np.array(values, dtype=np.int64))

"""Networks on the CPU, run by OpenVINO: on every processor measured it is faster than torch's own kernels.

The folded torch graph is rebuilt operation by operation in OpenVINO's opset. OpenVINO's own converter is not used: it
reports usage to its vendor, as does the bare import of `openvino` where the package `openvino-telemetry` is installed.
"""

from __future__ import annotations

import importlib
import operator
import sys
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from services.chassis.errors import NotReady
from services.embedder.embeddings import FACE_SHAPE, FaceBatch, RawEmbeddings
from services.embedder.folding import called_layer, fold, scale_and_shift
from services.embedder.network import InputNormalisation, Network
from services.embedder.options import Precision

Node = Any  # openvino.Node: the package is imported late, and carries no types
BF16_CAPABILITY = "BF16"  # in OpenVINO's OPTIMIZATION_CAPABILITIES: AVX512_BF16 or AMX_BF16


class OpenVinoBackend:
    """A compiled network on the CPU. `infer` is for one thread at a time."""

    def __init__(self, network: Network, *, precision: Precision, threads: int) -> None:
        """Compiles the network for any batch size.

        Args:
            network: what to run.
            precision: FP32 or BF16; AUTO takes BF16 where the processor computes in it.
            threads: processors to compute on.

        Raises:
            NotReady: OpenVINO is not installed, or the processor does not compute in the precision.
        """
        ov = import_openvino()
        core = ov.Core()
        self.precision = _resolve(precision, core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
        self.device = f"{core.get_property('CPU', 'FULL_DEVICE_NAME')}, {threads} threads"
        compiled = core.compile_model(
            _Translator(ov).model(network),
            "CPU",
            {
                "INFERENCE_NUM_THREADS": threads,
                "INFERENCE_PRECISION_HINT": "bf16" if self.precision is Precision.BF16 else "f32",
                "PERFORMANCE_HINT": "LATENCY",  # one batch at a time on all threads
                "ENABLE_CPU_PINNING": False,  # neighbours on the machine would be pinned to the same processors
            },
        )
        self._request = compiled.create_infer_request()

    def infer(self, faces: FaceBatch) -> RawEmbeddings:
        """RGB N x 112 x 112 x 3 to raw embeddings, N x dimension."""
        raw: RawEmbeddings = self._request.infer({0: faces})[0].copy()
        return raw


def import_openvino() -> ModuleType:
    """OpenVINO without its telemetry: with that module barred, OpenVINO falls back to a stub that does nothing.

    Raises:
        NotReady: it is not installed.
    """
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # the documented way to make an import fail
    try:
        return importlib.import_module("openvino")
    except ImportError as error:
        raise NotReady("the CPU engine is not installed: pip install --no-deps openvino") from error


def _resolve(asked: Precision, capabilities: list[str]) -> Precision:
    has_bf16 = BF16_CAPABILITY in capabilities
    if asked is Precision.AUTO:
        return Precision.BF16 if has_bf16 else Precision.FP32
    if asked is Precision.FP16:
        raise NotReady("precision fp16 needs a GPU: on a CPU use auto, fp32 or bf16")
    if asked is Precision.BF16 and not has_bf16:
        raise NotReady("this processor does not compute in bf16 (neither avx512_bf16 nor amx_bf16): use auto or fp32")
    return asked


class _Translator:
    """Builds a folded graph anew in OpenVINO's operations."""

    def __init__(self, ov: ModuleType) -> None:
        self._ov = ov
        self._ops = ov.opset1

    def model(self, network: Network) -> Node:
        """The openvino.Model from RGB bytes, N x 112 x 112 x 3, to raw embeddings."""
        faces = self._ops.parameter([-1, *FACE_SHAPE], self._ov.Type.u8, name="faces")
        pixels = self._ops.convert(faces, self._ov.Type.f32)
        planes = self._normalised(self._ops.transpose(pixels, self._integers(0, 3, 1, 2)), network.normalisation)
        return self._ov.Model([self._raw_embeddings(fold(network.module), planes)], [faces], "embedder")

    def _normalised(self, planes: Node, normalisation: InputNormalisation) -> Node:
        centred = self._ops.subtract(planes, self._per_channel(torch.tensor(normalisation.mean)))
        return self._ops.multiply(centred, self._per_channel(1 / torch.tensor(normalisation.deviation)))

    def _raw_embeddings(self, graph: fx.GraphModule, planes: Node) -> Node:
        built: dict[fx.Node, Node] = {}
        for node in graph.graph.nodes:
            inputs = [built[argument] for argument in node.args if isinstance(argument, fx.Node)]
            match node.op, node.target:
                case "placeholder", _:
                    built[node] = planes
                case "call_module", _:
                    built[node] = self._layer(called_layer(graph, node), inputs[0])
                case "call_function", operator.add:
                    built[node] = self._ops.add(*inputs)
                case "call_method", "flatten":
                    built[node] = self._flattened(inputs[0])
                case "output", _:
                    return inputs[0]
                case _:
                    raise TypeError(f"no translation for {node.format_node()}")
        raise AssertionError("a traced graph ends in its output")

    def _layer(self, layer: nn.Module | None, source: Node) -> Node:
        ops = self._ops
        match layer:
            case nn.Conv2d():
                built = self._convolved(layer, source)
            case nn.BatchNorm2d():
                scale, shift = scale_and_shift(layer)
                built = ops.add(ops.multiply(source, self._per_channel(scale)), self._per_channel(shift))
            case nn.PReLU():
                built = ops.prelu(source, self._constant(layer.weight))
            case nn.ReLU6():
                built = ops.clamp(source, 0.0, 6.0)
            case nn.ReLU():
                built = ops.relu(source)
            case nn.MaxPool2d(kernel_size=1, stride=1) | nn.Dropout():
                built = source
            case nn.MaxPool2d(kernel_size=1, stride=int(stride)):
                built = ops.max_pool(source, [stride, stride], [0, 0], [0, 0], [1, 1])
            case nn.Flatten():
                built = self._flattened(source)
            case nn.Linear():
                projected = ops.matmul(source, self._constant(layer.weight), transpose_a=False, transpose_b=True)
                built = ops.add(projected, self._constant(layer.bias))
            case _:
                raise TypeError(f"no translation for {layer}")
        return built

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

    def _flattened(self, source: Node) -> Node:
        return self._ops.reshape(source, self._integers(0, -1), special_zero=True)

    def _per_channel(self, values: Tensor) -> Node:
        return self._constant(values[:, None, None])

    def _constant(self, values: Tensor) -> Node:
        return self._ops.constant(values.detach().float().contiguous().numpy())

    def _integers(self, *values: int) -> Node:
        return self._ops.constant(np.array(values, dtype=np.int64))

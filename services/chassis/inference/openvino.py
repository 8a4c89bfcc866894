"""OpenVINO on the processors of this machine: the import, what they compute in, compiling a model for them."""

from __future__ import annotations

import importlib
import sys
import threading
from types import ModuleType
from typing import Any

import numpy as np

from services.chassis.errors import NotReady
from services.chassis.inference.precision import Precision

BF16_CAPABILITY = "BF16"  # in OpenVINO's OPTIMIZATION_CAPABILITIES: AVX512_BF16 or AMX_BF16
CACHED_OPERATIONS = 5000  # OpenVINO's own default

Model = Any  # openvino.Model: the package is imported late, and carries no types
CompiledModel = Any  # openvino.CompiledModel
InferRequest = Any  # openvino.InferRequest

_importing = threading.Lock()


def import_openvino() -> ModuleType:
    """OpenVINO without its telemetry: with that module barred, OpenVINO falls back to a stub that does nothing.

    Raises:
        NotReady: It is not installed.
    """
    with _importing:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # the documented way to make an import fail
        try:
            openvino = importlib.import_module("openvino")
        except ImportError as error:
            raise NotReady("the CPU engine is not installed: pip install openvino") from error
        # Its tables of numpy's types are made at first use; two threads that infer then wait for each other forever.
        openvino.Tensor(np.zeros(1, np.uint8)).data  # noqa: B018
    return openvino


class Processors:
    """The processors of this machine, as OpenVINO runs networks on them."""

    def __init__(self) -> None:
        """Asks OpenVINO about them.

        Raises:
            NotReady: OpenVINO is not installed.
        """
        self._core = import_openvino().Core()
        self.name: str = self._core.get_property("CPU", "FULL_DEVICE_NAME")
        self.have_bf16 = BF16_CAPABILITY in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        """Whether they have instructions for bfloat16; without them it is emulated, and slower than float32."""

    def resolved(self, asked: Precision) -> Precision:
        """What they compute in where that is asked for, never AUTO.

        Raises:
            NotReady: They do not compute in it.
        """
        if asked is Precision.AUTO:
            return Precision.BF16 if self.have_bf16 else Precision.FP32
        if asked is Precision.FP16:
            raise NotReady("precision fp16 needs a GPU: on a CPU use auto, fp32 or bf16")
        if asked is Precision.BF16 and not self.have_bf16:
            raise NotReady(
                "this processor does not compute in bf16 (neither avx512_bf16 nor amx_bf16): use auto or fp32"
            )
        return asked

    def compile(
        self,
        model: Model,
        *,
        bf16: bool,
        threads: int,
        at_once: int = 1,
        cached_operations: int = CACHED_OPERATIONS,
    ) -> CompiledModel:
        """Compiles a model for them.

        Args:
            model: What to run.
            bf16: Whether to compute in bfloat16 instead of float32; inputs and outputs stay what they are.
            threads: To compute on, all calls together.
            at_once: How many calls may run at the same time, each on its share of the threads.
            cached_operations: How many are kept prepared, each for one shape, for each of the calls at once: bounds
                memory where shapes vary.
        """
        return self._core.compile_model(
            model,
            "CPU",
            {
                "INFERENCE_NUM_THREADS": threads,
                "NUM_STREAMS": at_once,
                "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
                "CPU_RUNTIME_CACHE_CAPACITY": str(cached_operations),
                "ENABLE_CPU_PINNING": False,  # neighbours on the machine would be pinned to the same processors
            },
        )

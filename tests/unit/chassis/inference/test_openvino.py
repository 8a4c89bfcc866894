"""OpenVINO is loaded quietly, and may be called from several threads at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

from services.chassis.errors import NotReady
from services.chassis.inference.openvino import Processors, import_openvino

FIRST_CALLS_AT_ONCE = """
import sys, threading
import numpy as np
from services.chassis.inference.openvino import Processors, import_openvino

ov = import_openvino()
source = ov.opset11.parameter([1, -1], ov.Type.u8)
model = ov.Model([ov.opset11.convert(source, ov.Type.f32)], [source])
compiled = Processors().compile(model, bf16=False, threads=2, at_once=2)
together = threading.Barrier(8)

def call():
    request = compiled.create_infer_request()
    together.wait()
    assert request.infer({0: np.ones((1, 5), np.uint8)})[0].sum() == 5

sys.setswitchinterval(1e-6)
threads = [threading.Thread(target=call) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_openvino_is_loaded_without_its_telemetry() -> None:
    script = (
        "import sys; from services.chassis.inference.openvino import import_openvino; import_openvino(); "
        "print([name for name, module in sys.modules.items() if name.startswith('openvino_telemetry') and module])"
    )

    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize("process", range(8))  # unprepared, one in five hangs
def test_first_calls_of_several_threads_do_not_wait_for_each_other(process: int) -> None:  # noqa: ARG001
    subprocess.run([sys.executable, "-c", FIRST_CALLS_AT_ONCE], check=True, timeout=30)


def test_absent_openvino_is_not_ready_and_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)

    with pytest.raises(NotReady, match="pip install openvino"):
        Processors()


def test_neighbours_on_the_machine_are_not_pinned_to_the_same_processors() -> None:
    ov = import_openvino()
    source = ov.opset11.parameter([1], ov.Type.f32)

    compiled = Processors().compile(ov.Model([source], [source]), bf16=False, threads=2, at_once=2)

    assert compiled.get_property("ENABLE_CPU_PINNING") is False
    assert compiled.get_property("NUM_STREAMS") == 2
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 2

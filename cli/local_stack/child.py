"""`python -m cli.local_stack.child PID MODULE`: runs a module as `python -m` does, and ends with its parent PID.

No function of the parent's may do this between fork and exec: with threads it could hang, and gRPC complains of it.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2)


def main() -> None:
    """Runs the module, unless the parent has ended already."""
    parent, module = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == int(parent):
        runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

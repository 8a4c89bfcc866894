"""Generates the protobuf stubs beside their contracts whenever the distribution is built or installed."""

from __future__ import annotations

import importlib.resources
import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

PROTOS = Path(__file__).parent / "protos"


def generate_stubs() -> None:
    """Writes `*_pb2.py`, `*_pb2_grpc.py` and their type stubs next to every `protos/facet/v1/*.proto`.

    Raises:
        SystemExit: protoc refused a contract; it has printed why.
    """
    from grpc_tools import protoc  # noqa: PLC0415  (a build requirement: absent when setuptools only asks for metadata)

    well_known = importlib.resources.files("grpc_tools") / "_proto"
    google_rpc = Path(str(importlib.resources.files("google.rpc") / "status.proto")).parents[2]
    sources = sorted(str(path) for path in PROTOS.glob("facet/v1/*.proto"))
    failed = protoc.main(
        [
            "protoc",
            f"--proto_path={PROTOS}",
            f"--proto_path={well_known}",
            f"--proto_path={google_rpc}",
            f"--python_out={PROTOS}",
            f"--grpc_python_out={PROTOS}",
            f"--mypy_out={PROTOS}",
            f"--mypy_grpc_out={PROTOS}",
            *sources,
        ]
    )
    if failed:
        sys.exit("setup.py: protoc could not generate the stubs")


class BuildWithStubs(build_py):
    """`build_py` that generates the stubs first, so that they are packaged like any other module."""

    def run(self) -> None:
        """Generates, then builds, without what an earlier build has left: it may hold modules that are gone."""
        shutil.rmtree(self.build_lib, ignore_errors=True)
        generate_stubs()
        super().run()


setup(cmdclass={"build_py": BuildWithStubs})

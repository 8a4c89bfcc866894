"""The contracts: buf's STANDARD style with every part commented, and the names and numbers others rely on."""

from __future__ import annotations

import importlib.resources
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, FileDescriptor, ServiceDescriptor

from facet.v1 import anonymizer_pb2, detector_pb2, embedder_pb2, geometry_pb2, image_pb2
from tests.support.processes import REPOSITORY

PROTOS = REPOSITORY / "protos"
FILES: tuple[FileDescriptor, ...] = (
    image_pb2.DESCRIPTOR,
    geometry_pb2.DESCRIPTOR,
    detector_pb2.DESCRIPTOR,
    embedder_pb2.DESCRIPTOR,
    anonymizer_pb2.DESCRIPTOR,
)

MESSAGES = {
    "Image": {"content": 1},
    "Point": {"x": 1, "y": 2},
    "BoundingBox": {"x_min": 1, "y_min": 2, "x_max": 3, "y_max": 4},
    "Landmark": {"type": 1, "position": 2},
    "AlignedFace": {"pixels": 1},
    "Face": {"box": 1, "confidence": 2, "landmarks": 3, "aligned": 4},
    "DetectFacesRequest": {"image": 1, "config": 2},
    "DetectionConfig": {
        "model": 1,
        "min_confidence": 2,
        "min_face_px": 3,
        "max_faces": 4,
        "include_aligned": 5,
        "recall": 6,
    },
    "DetectFacesResponse": {"width_px": 1, "height_px": 2, "faces": 3, "model_id": 4},
    "AlignFacesRequest": {"image": 1, "faces": 2},
    "AlignFacesResponse": {"aligned": 1},
    "EmbedFacesRequest": {"faces": 1},
    "EmbedFacesResponse": {"embeddings": 1, "model_id": 2},
    "Embedding": {"values": 1, "norm": 2},
    "GetModelResponse": {"model_id": 1, "dimension": 2, "threshold": 3, "curve": 7, "clear": 8},
    "MatchCurve": {"points": 1, "pairs": 2, "median_genuine": 3, "calibrated_on": 4},
    "MatchCurvePoint": {"similarity": 1, "false_match_rate": 2},
    "ClearFace": {"side_px": 1, "norm": 2},
    "AnonymizeImageRequest": {"image": 1, "regions": 2, "redaction": 3},
    "AnonymizeImageResponse": {"image": 1, "media_type": 2},
    "Region": {"box": 1, "landmarks": 2},
    "Redaction": {"style": 1, "shape": 2, "margin": 3, "strength": 4},
}
"""Fields that a client may rely on, with their numbers; a message may have more."""

OPTIONAL = {
    "DetectionConfig": {"min_confidence"},
    "GetModelResponse": {"threshold"},
    "Redaction": {"margin", "strength"},
}
"""Scalars whose absence means something else than zero."""

ENUMS = {
    "LandmarkType": (
        *("UNSPECIFIED", "LEFT_EYE", "RIGHT_EYE", "NOSE_TIP", "MOUTH_LEFT", "MOUTH_RIGHT", "MOUTH_CENTER"),
        *("LEFT_EAR", "RIGHT_EAR"),
    ),
    "Recall": ("UNSPECIFIED", "FAST", "BALANCED", "MAX"),
    "Style": ("UNSPECIFIED", "MOSAIC", "BLUR", "SOLID"),
    "Shape": ("UNSPECIFIED", "ELLIPSE", "BOX"),
}
"""Values without their enum's prefix, in the order of their numbers."""

SERVICES = {
    "DetectorService": {"DetectFaces", "StreamDetectFaces", "AlignFaces"},
    "EmbedderService": {"EmbedFaces", "StreamEmbedFaces", "GetModel"},
    "AnonymizerService": {"AnonymizeImage", "StreamAnonymizeImages"},
}


def message(name: str) -> Descriptor:
    return next(file.message_types_by_name[name] for file in FILES if name in file.message_types_by_name)


def enum(name: str) -> EnumDescriptor:
    return next(file.enum_types_by_name[name] for file in FILES if name in file.enum_types_by_name)


def service(name: str) -> ServiceDescriptor:
    return next(file.services_by_name[name] for file in FILES if name in file.services_by_name)


def type_of(field: FieldDescriptor) -> str:
    assert field.message_type is not None
    return field.message_type.full_name


@pytest.mark.parametrize("name", MESSAGES)
def test_fields_keep_their_names_and_numbers(name: str) -> None:
    numbers = {field.name: field.number for field in message(name).fields}
    assert numbers.items() >= MESSAGES[name].items()


@pytest.mark.parametrize("name", OPTIONAL)
def test_only_the_fields_that_need_it_tell_unset_from_zero(name: str) -> None:
    scalars = (field for field in message(name).fields if field.type != FieldDescriptor.TYPE_MESSAGE)
    assert {field.name for field in scalars if field.has_presence} == OPTIONAL[name]


@pytest.mark.parametrize("name", ENUMS)
def test_values_keep_their_names_and_numbers_and_zero_is_unspecified(name: str) -> None:
    prefix = {"LandmarkType": "LANDMARK_TYPE"}.get(name, name.upper())
    numbers = {value.name: value.number for value in enum(name).values}
    assert numbers == {f"{prefix}_{value}": number for number, value in enumerate(ENUMS[name])}


@pytest.mark.parametrize("name", SERVICES)
def test_services_keep_their_calls_each_with_messages_of_its_own(name: str) -> None:
    methods = service(name).methods
    assert {method.name for method in methods} >= SERVICES[name]
    for method in methods:
        assert method.input_type.name == f"{method.name}Request"
        assert method.output_type.name == f"{method.name}Response"
        assert method.client_streaming == method.server_streaming == method.name.startswith("Stream")


@pytest.mark.parametrize(
    ("stream", "unary"),
    [
        ("StreamDetectFaces", "DetectFaces"),
        ("StreamEmbedFaces", "EmbedFaces"),
        ("StreamAnonymizeImages", "AnonymizeImage"),
    ],
)
def test_item_of_a_stream_is_answered_with_a_response_or_a_status(stream: str, unary: str) -> None:
    assert type_of(message(f"{stream}Request").fields_by_name["request"]) == f"facet.v1.{unary}Request"
    [result] = message(f"{stream}Response").oneofs
    kinds = {field.name: type_of(field) for field in result.fields}
    assert kinds == {"response": f"facet.v1.{unary}Response", "error": "google.rpc.Status"}


@pytest.fixture(scope="module")
def buf() -> str:
    """The linter, which the package buf-bin installs beside the interpreter."""
    found = shutil.which("buf", path=str(Path(sys.executable).parent)) or shutil.which("buf")
    if found is None:
        pytest.fail("buf is missing: pip install buf-bin")
    return found


def lint(buf: str, protos: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Lints what lies under `protos`; its imports are compiled in, so that nothing is fetched."""
    image = folder / "image.binpb"
    subprocess.run(
        [
            *(sys.executable, "-m", "grpc_tools.protoc"),
            f"--proto_path={protos}",
            f"--proto_path={importlib.resources.files('grpc_tools') / '_proto'}",
            f"--proto_path={Path(str(importlib.resources.files('google.rpc') / 'status.proto')).parents[2]}",
            f"--descriptor_set_out={image}",
            "--include_imports",
            "--include_source_info",
            *sorted(str(path) for path in protos.glob("facet/v1/*.proto")),
        ],
        check=True,
    )
    command = [
        buf,
        "lint",
        str(image),
        "--path",
        "facet/v1",
        "--config",
        str(PROTOS / "buf.yaml"),
        "--error-format=json",
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


def test_contracts_keep_to_the_style_and_comment_every_part(buf: str, tmp_path: Path) -> None:
    done = lint(buf, PROTOS, tmp_path)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("file", "change", "rule"),
    [
        ("image.proto", ("bytes content = 1;", "bytes Content = 1;"), "FIELD_LOWER_SNAKE_CASE"),
        ("geometry.proto", ("// Pixels from the left border.", ""), "COMMENT_FIELD"),
        ("detector.proto", ("RECALL_UNSPECIFIED = 0;", "RECALL_NONE = 0;"), "ENUM_ZERO_VALUE_SUFFIX"),
        ("embedder.proto", ("(GetModelRequest)", "(EmbedFacesRequest)"), "RPC_REQUEST_STANDARD_NAME"),
    ],
)
def test_planted_breach_is_caught(buf: str, tmp_path: Path, file: str, change: tuple[str, str], rule: str) -> None:
    protos = tmp_path / "protos"
    shutil.copytree(PROTOS, protos)
    path = protos / "facet/v1" / file
    text = path.read_text()
    assert change[0] in text
    path.write_text(text.replace(*change, 1))
    done = lint(buf, protos, tmp_path)
    assert done.returncode != 0
    assert rule in {json.loads(line)["type"] for line in done.stdout.splitlines()}

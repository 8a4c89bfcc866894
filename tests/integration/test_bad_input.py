"""Whatever is sent, over REST and over gRPC: the right refusal, and servers that go on as before."""

from __future__ import annotations

import http.client
import math
import re
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import httpx
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from PIL import Image

from facet.v1 import anonymizer_pb2, detector_pb2, geometry_pb2, image_pb2
from tests.support.pictures import (
    FORMATS,
    animation,
    encode,
    huge_header,
    noise,
    png_chunk,
    smooth,
    tiff_with_pages,
    with_jpeg_segment,
    with_png_chunks,
    with_repeated_scan,
)
from tests.support.processes import QUICK_MODEL, RunningTier, Stack, start
from tests.support.usage import count_peak_from_here, memory_mib
from tests.support.ways import REFUSING, Refusal, Ways, refusal_of_call, refusal_of_response, region

MIB = 1024 * 1024
NAN, INF = math.nan, math.inf


@pytest.fixture(scope="module")
def ways(stack: Stack) -> Iterator[Ways]:
    opened = Ways(stack)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def narrow() -> Iterator[Stack]:
    """A stack that accepts little."""
    running = Stack(embedder=False, **QUICK_MODEL, FACET_MAX_IMAGE_BYTES="200000", FACET_MAX_PIXELS="1000000")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def narrow_ways(narrow: Stack) -> Iterator[Ways]:
    opened = Ways(narrow)
    yield opened
    opened.close()


def calls_in_progress(tier: RunningTier) -> float:
    """The gauge, from the tier's own metrics."""
    text = httpx.get(f"http://127.0.0.1:{tier.metrics_port}/metrics").text
    name = tier.module.rpartition(".")[2]
    found = re.search(rf"^facet_{name}_calls_in_progress (\S+)$", text, re.MULTILINE)
    assert found, text
    return float(found[1])


def wait_until(condition: Callable[[], bool], *, timeout_s: float = 10.0) -> None:
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.02)


# Content that is no picture, or none that can be treated

NO_PICTURES = {
    "nothing": (b"", "INVALID_PICTURE", "is empty; send the bytes of a picture file"),
    "text": (b"hello world\n" * 100, "UNSUPPORTED_FORMAT", "send one of JPEG, PNG, WEBP, BMP, TIFF"),
    "zeros": (bytes(5000), "UNSUPPORTED_FORMAT", "send one of JPEG, PNG, WEBP, BMP, TIFF"),
    "PDF": (b"%PDF-1.7\n" + b"%" * 500, "UNSUPPORTED_FORMAT", "send one of JPEG, PNG, WEBP, BMP, TIFF"),
    "first two bytes of a JPEG": (b"\xff\xd8", "UNSUPPORTED_FORMAT", "send one of JPEG"),
    "still GIF": (animation("GIF", 1), "UNSUPPORTED_FORMAT", "GIF is not accepted, animated or not; send each frame"),
    "animated GIF": (animation("GIF"), "UNSUPPORTED_FORMAT", "GIF is not accepted, animated or not; send each frame"),
    "animated PNG": (animation("PNG"), "INVALID_PICTURE", "send each as a picture of its own"),
    "animated WebP": (animation("WEBP"), "INVALID_PICTURE", "send each as a picture of its own"),
    "two pages of TIFF": (animation("TIFF"), "INVALID_PICTURE", "send each as a picture of its own"),
    "20,000 pages of TIFF": (tiff_with_pages(20_000), "INVALID_PICTURE", "send each as a picture of its own"),
    "floating point TIFF": (encode(noise(30, 20, "F"), "TIFF"), "INVALID_PICTURE", "save it as 8-bit RGB"),
    "5,000 scans of JPEG": (
        with_repeated_scan(encode(Image.new("L", (2000, 2000)), "JPEG", progressive=True), 5000),
        "INVALID_PICTURE",
        "save it without progression",
    ),
    **{
        f"{file_format} cut at {kept}": (
            encode(noise(200, 150), file_format)[
                : int(kept if kept > 1 else kept * len(encode(noise(200, 150), file_format)))
            ],
            "INVALID_PICTURE",
            "damaged, truncated",
        )
        for file_format in FORMATS
        for kept in (25, 0.1, 0.5, 0.98)
    },
    **{
        f"{file_format} bomb": (huge_header(file_format), "TOO_LARGE", "pixels; at most 100000000")
        for file_format in FORMATS
    },
}


@pytest.mark.parametrize("way", REFUSING)
@pytest.mark.parametrize("name", NO_PICTURES)
def test_what_cannot_be_treated_is_refused_with_what_to_do(ways: Ways, way: str, name: str) -> None:
    content, reason, what_to_do = NO_PICTURES[name]
    started = time.perf_counter()
    refusal = ways.refusal(way, content)
    assert refusal.reason == reason
    assert what_to_do in refusal.detail
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize("cut", [3, 4, 10, 20, 100, 200, 400, 630, 1000, 10_000])
def test_jpeg_cut_anywhere_is_called_damaged(ways: Ways, astronaut_jpeg: bytes, cut: int) -> None:
    refusal = ways.refusal("REST anonymize", astronaut_jpeg[:cut])
    assert refusal.reason == "INVALID_PICTURE"
    assert "damaged, truncated" in refusal.detail


STREAMED = (b"", encode(smooth(60, 40), "JPEG"), b"text", huge_header("PNG"), encode(smooth(60, 40), "PNG"))
ANSWERS = ["error", "response", "error", "error", "response"]


def test_bad_picture_of_a_detection_stream_is_answered_with_its_error_and_the_stream_goes_on(ways: Ways) -> None:
    requests = (
        detector_pb2.StreamDetectFacesRequest(
            request=detector_pb2.DetectFacesRequest(image=image_pb2.Image(content=content))
        )
        for content in STREAMED
    )
    answers = list(ways.detector.StreamDetectFaces(requests, timeout=30))
    assert [answer.WhichOneof("result") for answer in answers] == ANSWERS
    codes = {answer.error.code for answer in answers if answer.HasField("error")}
    assert codes == {grpc.StatusCode.INVALID_ARGUMENT.value[0]}


def test_bad_picture_of_an_anonymization_stream_is_answered_with_its_error_and_the_stream_goes_on(ways: Ways) -> None:
    requests = (
        anonymizer_pb2.StreamAnonymizeImagesRequest(
            request=anonymizer_pb2.AnonymizeImageRequest(image=image_pb2.Image(content=content))
        )
        for content in STREAMED
    )
    answers = list(ways.anonymizer.StreamAnonymizeImages(requests, timeout=30))
    assert [answer.WhichOneof("result") for answer in answers] == ANSWERS
    codes = {answer.error.code for answer in answers if answer.HasField("error")}
    assert codes == {grpc.StatusCode.INVALID_ARGUMENT.value[0]}


def test_memory_stays_flat_under_headers_that_promise_gigabytes(stack: Stack, ways: Ways) -> None:
    tiers = (stack.detector, stack.anonymizer, stack.gateway)
    for file_format in FORMATS:
        ways.refusal("REST anonymize", huge_header(file_format))
    before = [memory_mib(tier.process.pid) for tier in tiers]
    for _ in range(2):
        for file_format in FORMATS:
            for way in REFUSING:
                ways.refusal(way, huge_header(file_format))
    grown = [memory_mib(tier.process.pid) - was for tier, was in zip(tiers, before, strict=True)]
    assert max(grown) < 20, grown


@pytest.mark.parametrize(
    "media_type", ["image/jpeg", "image/tiff", "application/octet-stream", "text/html; charset=x", ""]
)
def test_content_decides_and_not_its_media_type(ways: Ways, astronaut: Image.Image, media_type: str) -> None:
    content = encode(astronaut, "PNG")
    answer = ways.http.post("/v1/anonymize", content=content, headers={"Content-Type": media_type})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    files = {"image": ("face.gif", content, media_type)}
    answer = ways.http.post("/v1/anonymize", files=files)
    assert (answer.status_code, answer.headers["content-type"], answer.headers["x-facet-faces"]) == (
        200,
        "image/png",
        "1",
    )


def test_damaged_exif_is_no_reason_to_refuse_and_leaves_the_log_alone(stack: Stack, ways: Ways) -> None:
    exif = b"II*\0\x08\0\0\0\xff\xff" + b"QUOTE-ME" * 10
    jpeg = with_jpeg_segment(encode(noise(60, 40), "JPEG"), 0xE1, b"Exif\0\0" + exif)
    png = with_png_chunks(encode(noise(60, 40), "PNG"), png_chunk(b"eXIf", exif))
    for content in (jpeg, png):
        assert ways.detect(content)["width"] == 60
        assert b"QUOTE-ME" not in ways.anonymize(content).content
    for tier in (stack.detector, stack.anonymizer, stack.gateway):
        assert not any("QUOTE-ME" in line or "EXIF" in line for line in tier.output)


# Too much


@pytest.mark.parametrize("way", REFUSING)
def test_one_byte_too_many_is_refused(narrow_ways: Ways, way: str) -> None:
    file = encode(smooth(100, 100), "JPEG")
    fitting = file + bytes(200_000 - len(file))
    assert narrow_ways.anonymize(fitting).status_code == 200
    refusal = narrow_ways.refusal(way, fitting + b"\0")
    assert refusal.reason == "TOO_LARGE"
    assert "at most 200000" in refusal.detail


@pytest.mark.parametrize("way", REFUSING)
@pytest.mark.parametrize("file_format", FORMATS)
def test_one_row_of_pixels_too_many_is_refused(narrow_ways: Ways, way: str, file_format: str) -> None:
    if file_format in ("BMP", "TIFF"):
        fitting, content = (encode(Image.new("1", (1000, height)), file_format) for height in (1000, 1001))
    else:
        fitting, content = (encode(Image.new("RGB", (1000, height)), file_format) for height in (1000, 1001))
    assert narrow_ways.detect(fitting)["height"] == 1000
    refusal = narrow_ways.refusal(way, content)
    assert refusal.reason == "TOO_LARGE"
    assert "1000 x 1001 pixels; at most 1000000" in refusal.detail


def test_chunked_body_without_an_end_is_refused_as_soon_as_it_is_too_large(narrow: Stack) -> None:
    connection = socket.create_connection(("127.0.0.1", narrow.gateway.port), timeout=10)
    with connection:
        connection.sendall(b"POST /v1/detect HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(5):
            connection.sendall(b"10000\r\n" + bytes(0x10000) + b"\r\n")
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == 413
        assert answer.headers["content-type"] == "application/problem+json"


def test_announced_length_is_refused_before_the_body_arrives(narrow: Stack) -> None:
    connection = socket.create_connection(("127.0.0.1", narrow.gateway.port), timeout=10)
    with connection:
        connection.sendall(b"POST /v1/anonymize HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\n\r\n")
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == 413


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunked"])
@pytest.mark.parametrize("multipart", [False, True], ids=["raw", "multipart"])
def test_connection_of_a_body_too_large_goes_on(narrow_ways: Ways, announced: bool, multipart: bool) -> None:  # noqa: FBT001
    body = bytes(2 * MIB)
    headers = {}
    if multipart:
        body = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n' + body + b"\r\n--x--\r\n"
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
    pieces = (body[at : at + 65_536] for at in range(0, len(body), 65_536))
    refusal = narrow_ways.refused_post("/v1/detect", content=body if announced else pieces, headers=headers)
    assert refusal.reason == "TOO_LARGE"
    assert narrow_ways.detect(encode(smooth(30, 20), "JPEG"))["width"] == 30


def test_answer_that_would_be_too_large_is_refused_with_what_to_do(narrow_ways: Ways) -> None:
    """A TIFF with lossy compression is written back without loss, many times as large."""
    content = encode(noise(900, 900), "TIFF", compression="jpeg", quality=5)
    assert len(content) < 200_000
    refusals = [narrow_ways.refusal(way, content) for way in ("REST anonymize", "gRPC anonymize")]
    for refusal in refusals:
        assert refusal.reason == "TOO_LARGE"
        assert "save it as" in refusal.detail


# Multipart

PART = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\nDATA\r\n--x--\r\n'
BAD_MULTIPART = {
    "no boundary": ("multipart/form-data", PART, "boundary"),
    "empty boundary": ("multipart/form-data; boundary=", PART, "malformed"),
    "endless boundary": ("multipart/form-data; boundary=" + "x" * 5000, PART, "malformed"),
    "other boundary": ("multipart/form-data; boundary=y", PART, "malformed"),
    "garbage": ("multipart/form-data; boundary=x", b"garbage", "malformed"),
    "no parts": ("multipart/form-data; boundary=x", b"--x--\r\n", "'image' is missing"),
    "nothing": ("multipart/form-data; boundary=x", b"", "'image' is missing"),
    "no disposition": ("multipart/form-data; boundary=x", PART.replace(b"Content-Disposition", b"X"), "malformed"),
    "no name": ("multipart/form-data; boundary=x", PART.replace(b'name="image"; ', b""), "malformed"),
    "other name": ("multipart/form-data; boundary=x", PART.replace(b"image", b"picture"), "'image' is missing"),
    "cut off": ("multipart/form-data; boundary=x", PART[: PART.index(b"DATA") + 2], "'image' is missing"),
    "many parts": (
        "multipart/form-data; boundary=x",
        PART.removesuffix(b"--x--\r\n") * 50 + b"--x--\r\n",
        "Too many files",
    ),
    "no charset": ("multipart/form-data; boundary=x; charset=undefined", PART, "charset"),
}


@pytest.mark.parametrize("name", BAD_MULTIPART)
@pytest.mark.parametrize("path", ["/v1/detect", "/v1/anonymize", "/v1/embed"])
def test_bad_multipart_is_refused_with_what_is_wrong(ways: Ways, path: str, name: str) -> None:
    content_type, body, wrong = BAD_MULTIPART[name]
    refusal = ways.refused_post(path, content=body, headers={"Content-Type": content_type})
    assert refusal.reason == "INVALID_REQUEST"
    assert wrong in refusal.detail


def test_compare_needs_both_pictures(ways: Ways, astronaut_jpeg: bytes) -> None:
    raw = ways.refused_post("/v1/compare", content=astronaut_jpeg)
    assert raw == Refusal("INVALID_REQUEST", "send multipart/form-data with the file field 'image_a' and 'image_b'")
    one = ways.refused_post("/v1/compare", files={"image_a": astronaut_jpeg})
    assert one.reason == "INVALID_REQUEST"
    assert "'image_b' is missing" in one.detail
    empty = ways.refused_post("/v1/compare", files={"image_a": b"", "image_b": astronaut_jpeg})
    assert empty.reason == "INVALID_PICTURE"


# Parameters

BAD_QUERIES = [
    *(("anonymize", f"style={value}") for value in ("pixelate", "MOSAIC", "", "0")),
    *(("anonymize", f"shape={value}") for value in ("circle", "")),
    *(("anonymize", f"strength={value}") for value in ("nan", "inf", "-inf", "-0.01", "1.01", "1e400", "much", "")),
    *(("anonymize", f"margin={value}") for value in ("nan", "inf", "-0.01", "2.01")),
    *(("anonymize", f"boxes={value}") for value in ("maybe", "2", "")),
    *(("detect", f"recall={value}") for value in ("most", "MAX", "")),
    *(("detect", f"min_confidence={value}") for value in ("nan", "inf", "0", "0.0199", "1.0001", "-1")),
    *(("detect", f"min_face_px={value}") for value in ("-1", "1.5", "nan", "2147483648", "9" * 5000)),
    *(("detect", f"max_faces={value}") for value in ("-1", "x", "2147483648")),
    *(("detect", f"model={value}") for value in ("nosuch", "../../etc/passwd", "%00%0a%ff", "curricularface-ir101")),
    *(("detect", f"{name}=1") for name in ("styel", "style", "minconfidence", "%00", "Model")),
    ("anonymize", "min_confidence=0.5&min_confidence=2"),
    ("embed", "recall=most"),
]


@pytest.mark.parametrize(("call", "query"), BAD_QUERIES)
def test_bad_parameter_is_refused_by_name(ways: Ways, astronaut_jpeg: bytes, call: str, query: str) -> None:
    refusal = ways.refused_post(f"/v1/{call}?{query}", content=astronaut_jpeg)
    assert refusal.reason == "INVALID_REQUEST"
    name = query.partition("=")[0]
    assert name.replace("%00", "\0") in refusal.detail


@pytest.mark.parametrize("length", [1000, 5000, 20_000, 60_000])
def test_model_name_of_any_length_is_an_unknown_model(ways: Ways, astronaut_jpeg: bytes, length: int) -> None:
    for name in ("m" * length, "\N{GRINNING FACE}" * (length // 12)):
        refusal = ways.refused_post("/v1/detect", params={"model": name}, content=astronaut_jpeg)
        assert refusal.reason == "INVALID_REQUEST"
        assert "there is no detection model" in refusal.detail
        assert "blazeface-full" in refusal.detail
        request = detector_pb2.DetectFacesRequest(
            image=image_pb2.Image(content=astronaut_jpeg), config=detector_pb2.DetectionConfig(model=name)
        )
        assert refusal_of_call(ways.detector.DetectFaces, request) == refusal


@pytest.mark.parametrize("min_confidence", [0.02, 0.3, 1])
def test_confidence_may_go_to_its_very_bounds(ways: Ways, astronaut_jpeg: bytes, min_confidence: float) -> None:
    assert ways.detect(astronaut_jpeg, min_confidence=min_confidence)["width"] == 512


@pytest.mark.parametrize(
    ("config", "wrong"),
    [
        *(({"min_confidence": value}, "min_confidence") for value in (NAN, INF, -INF, -1.0, 0.0, 0.0199, 1.0001)),
        ({"min_face_px": -1}, "min_face_px"),
        ({"max_faces": -1}, "max_faces"),
        ({"recall": 77}, "recall"),
        ({"recall": -1}, "recall"),
        ({"model": "nosuch"}, "no detection model 'nosuch'"),
    ],
    ids=str,
)
def test_bad_detection_config_is_refused_by_name(
    ways: Ways, astronaut_jpeg: bytes, config: dict[str, object], wrong: str
) -> None:
    request = detector_pb2.DetectFacesRequest(
        image=image_pb2.Image(content=astronaut_jpeg),
        config=detector_pb2.DetectionConfig(**config),  # type: ignore[arg-type]
    )
    refusal = refusal_of_call(ways.detector.DetectFaces, request)
    assert refusal.reason == "INVALID_REQUEST"
    assert wrong in refusal.detail


@pytest.mark.parametrize(
    ("redaction", "wrong"),
    [
        *(({"margin": value}, "margin") for value in (NAN, INF, -INF, -0.01, 2.01)),
        *(({"strength": value}, "strength") for value in (NAN, INF, -INF, -0.01, 1.01)),
        *(({"style": value}, "style") for value in (4, 77, -1)),
        *(({"shape": value}, "shape") for value in (3, 77, -1)),
    ],
    ids=str,
)
def test_bad_redaction_is_refused_by_name(
    ways: Ways, astronaut_jpeg: bytes, redaction: dict[str, float], wrong: str
) -> None:
    request = anonymizer_pb2.AnonymizeImageRequest(
        image=image_pb2.Image(content=astronaut_jpeg),
        redaction=anonymizer_pb2.Redaction(**redaction),  # type: ignore[arg-type]
    )
    refusal = refusal_of_call(ways.anonymizer.AnonymizeImage, request)
    assert refusal.reason == "INVALID_REQUEST"
    assert wrong in refusal.detail


@pytest.mark.parametrize(
    ("box", "wrong"),
    [
        *(((value, 0, 10, 10), "finite") for value in (NAN, INF, -INF)),
        ((0, 0, NAN, 10), "finite"),
        ((0, 0, 10, INF), "finite"),
        ((0, 0, 0, 0), "x_min must be below x_max"),
        ((5, 5, 5, 9), "x_min must be below x_max"),
        ((9, 9, 1, 1), "x_min must be below x_max"),
        ((-1e30, 0, 1e30, 10), "too far beyond the 512 x 512"),
        ((0, 0, 3.4e38, 3.4e38), "too far beyond the 512 x 512"),
        ((1e6, 1e6, 1e6 + 10, 1e6 + 10), "too far beyond the 512 x 512"),
    ],
    ids=str,
)
def test_bad_region_is_refused(
    ways: Ways, astronaut_jpeg: bytes, box: tuple[float, float, float, float], wrong: str
) -> None:
    request = anonymizer_pb2.AnonymizeImageRequest(
        image=image_pb2.Image(content=astronaut_jpeg), regions=[region(0, 0, 10, 10), region(*box)]
    )
    refusal = refusal_of_call(ways.anonymizer.AnonymizeImage, request)
    assert refusal.reason == "INVALID_REQUEST"
    assert wrong in refusal.detail


@pytest.mark.parametrize(
    "landmarks",
    [
        [(0, 1.0, 1.0)],
        [(99, 1.0, 1.0)],
        [(-1, 1.0, 1.0)],
        [(1, NAN, 1.0)],
        [(1, 1.0, INF)],
        [(1, 1.0, 1.0), (1, 2.0, 2.0)],
    ],
    ids=["unspecified", "unknown", "negative", "NaN", "infinite", "twice"],
)
def test_bad_landmark_is_refused(ways: Ways, astronaut_jpeg: bytes, landmarks: list[tuple[int, float, float]]) -> None:
    face = region(0, 0, 10, 10)
    for kind, x, y in landmarks:
        face.landmarks.add(type=kind, position=geometry_pb2.Point(x=x, y=y))
    request = anonymizer_pb2.AnonymizeImageRequest(image=image_pb2.Image(content=astronaut_jpeg), regions=[face])
    refusal = refusal_of_call(ways.anonymizer.AnonymizeImage, request)
    assert refusal.reason == "INVALID_REQUEST"
    assert "regions[0].landmarks" in refusal.detail


def test_region_beyond_the_border_is_hidden_as_far_as_the_picture_goes(ways: Ways, astronaut_jpeg: bytes) -> None:
    assert ways.hide(astronaut_jpeg, (-100, -100, 50, 50), (500, 500, 900, 900)).hidden_regions == 2
    assert ways.hide(astronaut_jpeg, (900, 900, 1000, 1000)).hidden_regions == 0


def test_many_regions_of_the_whole_picture_take_no_more_memory_than_one(stack: Stack, ways: Ways) -> None:
    content = encode(Image.new("L", (4000, 4000)), "PNG")
    whole = (0.0, 0.0, 4000.0, 4000.0)
    assert ways.hide(content, whole).hidden_regions == 1
    before_mib = memory_mib(stack.anonymizer.process.pid)
    count_peak_from_here(stack.anonymizer.process.pid)
    assert ways.hide(content, *[whole] * 16).hidden_regions == 16
    assert memory_mib(stack.anonymizer.process.pid, "VmHWM") - before_mib < 150


# Paths and methods


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/detect"), ("PUT", "/v1/anonymize"), ("DELETE", "/v1/compare"), ("POST", "/healthz"), ("POST", "/")],
)
def test_wrong_method_is_told_which_is_right(ways: Ways, method: str, path: str) -> None:
    response = ways.http.request(method, path, headers={"X-Request-Id": uuid.uuid4().hex})
    assert refusal_of_response(response).reason == "METHOD_NOT_ALLOWED"
    assert response.headers["allow"] in ("GET, HEAD", "POST")


@pytest.mark.parametrize(
    "path",
    [
        "/nope",
        "/v1",
        "/v1/nope",
        "/v2/detect",
        "/static/nope.js",
        "/static/../server.py",
        "/static/..%2fserver.py",
    ],
)
def test_unknown_path_is_not_found(ways: Ways, path: str) -> None:
    response = ways.http.get(path, headers={"X-Request-Id": uuid.uuid4().hex})
    assert refusal_of_response(response).reason == "NOT_FOUND"


@pytest.mark.parametrize("proposed", [b"a b", b"x" * 129, b"<script>", b"\xf0\x9f\x98\x80"])
def test_request_id_that_is_unfit_for_logs_is_replaced(ways: Ways, proposed: bytes) -> None:
    response = ways.http.post("/v1/detect", content=b"text", headers={b"X-Request-Id": proposed})
    assert response.status_code == 415
    assert re.fullmatch("[0-9a-f]{32}", response.headers["x-request-id"])
    assert response.json()["request_id"] == response.headers["x-request-id"]


# Faults of ours


def fault(request: bytes, context: grpc.ServicerContext) -> bytes:  # noqa: ARG001
    """A detector's, which no input should ever cause in the real one."""
    context.abort(grpc.StatusCode.INTERNAL, "words for the log alone")
    raise AssertionError


def test_fault_of_ours_is_a_problem_that_says_no_more_than_where_to_look(astronaut_jpeg: bytes) -> None:
    server = grpc.server(ThreadPoolExecutor(2))
    methods: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        "DetectFaces": grpc.unary_unary_rpc_method_handler(fault)
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("facet.v1.DetectorService", methods)])
    healthy = health.HealthServicer()
    healthy.set("facet.v1.DetectorService", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    gateway = start("gateway", FACET_DETECTOR_TARGET=f"127.0.0.1:{port}")
    try:
        response = httpx.post(f"{gateway.url}/v1/anonymize", content=astronaut_jpeg, headers={"X-Request-Id": "me"})
        assert refusal_of_response(response) == Refusal("INTERNAL", "The log has more.")
        assert response.headers["x-content-type-options"] == "nosniff"
        assert gateway.wait_for(lambda line: line.get("level") == "error")["request_id"] == "me"
    finally:
        gateway.stop()
        server.stop(None)


# Clients that leave


def test_client_that_leaves_amid_its_upload_leaves_nothing_behind(
    stack: Stack, ways: Ways, astronaut_jpeg: bytes
) -> None:
    seen = len(stack.gateway.log)
    for framing in (b"Content-Length: 5000000", b"Transfer-Encoding: chunked"):
        with socket.create_connection(("127.0.0.1", stack.gateway.port)) as connection:
            connection.sendall(b"POST /v1/anonymize HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n\r\n")
            body = astronaut_jpeg[:30_000]
            connection.sendall(body if b"Length" in framing else b"%x\r\n%b\r\n" % (len(body), body))
            wait_until(lambda: calls_in_progress(stack.gateway) == 1)
    wait_until(lambda: calls_in_progress(stack.gateway) == 0)
    left = [line for line in stack.gateway.log[seen:] if line.get("event") == "request"]
    assert [line["code"] for line in left] == [499, 499]
    assert not any(line["level"] == "error" for line in stack.gateway.log[seen:])
    assert ways.anonymize(astronaut_jpeg).headers["x-facet-faces"] == "1"


def test_client_that_leaves_while_it_waits_leaves_nothing_behind(
    stack: Stack, ways: Ways, astronaut: Image.Image
) -> None:
    large = encode(astronaut.resize((6000, 6000)), "JPEG", quality=90)
    seen = len(stack.gateway.log)
    with socket.create_connection(("127.0.0.1", stack.gateway.port)) as connection:
        head = b"POST /v1/anonymize?recall=max HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(large)
        connection.sendall(head + large)
        wait_until(lambda: calls_in_progress(stack.detector) == 1)
    for tier in (stack.gateway, stack.detector, stack.anonymizer):
        wait_until(lambda tier=tier: calls_in_progress(tier) == 0)  # type: ignore[misc]
    codes = [line["code"] for line in stack.gateway.log[seen:] if line.get("event") == "request"]
    assert codes == [499]
    assert ways.detect(encode(astronaut, "JPEG"))["faces"]


def test_after_all_of_this_no_tier_has_met_a_fault_of_its_own(stack: Stack, narrow: Stack) -> None:
    for tier in (*stack.started, *narrow.started):
        assert tier.process.poll() is None
        assert not [line for line in tier.log if line.get("level") == "error"]

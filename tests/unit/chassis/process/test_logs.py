"""Log lines: one JSON object each, with the request id, and no message of an exception."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from datetime import datetime, timedelta
from typing import Any

import pytest

from services.chassis.process.logs import JsonFormatter
from services.chassis.rpc.request_id import current_request_id
from tests.support.processes import REPOSITORY


def formatted(record: logging.LogRecord) -> dict[str, Any]:
    text = JsonFormatter("detector").format(record)
    assert "\n" not in text
    line: dict[str, Any] = json.loads(text)
    return line


def record(message: str = "call", *arguments: object, **attributes: object) -> logging.LogRecord:
    made = logging.LogRecord("facet", logging.INFO, "somewhere.py", 1, message, arguments, None)
    vars(made).update(attributes)
    return made


def test_line_tells_time_level_tier_and_event() -> None:
    line = formatted(record("not ready: %s", "no weights"))
    assert datetime.fromisoformat(line.pop("time")).utcoffset() == timedelta(0)
    assert line == {"level": "info", "tier": "detector", "event": "not ready: no weights"}


def test_fields_are_added() -> None:
    assert formatted(record(fields={"items": 3, "duration_s": 0.25}))["items"] == 3


def test_request_id_stands_in_the_lines_of_its_request_alone() -> None:
    assert "request_id" not in formatted(record())
    token = current_request_id.set("abc")
    try:
        assert formatted(record())["request_id"] == "abc"
    finally:
        current_request_id.reset(token)


def test_line_break_in_a_message_stays_inside_the_line() -> None:
    assert formatted(record("two\nlines\r\u2028"))["event"] == "two\nlines\r\u2028"


def test_exception_is_told_by_type_and_frames_without_its_message() -> None:
    try:
        raise ValueError("content of a picture")
    except ValueError:
        failed = record("unexpected error", exc_info=sys.exc_info())
    line = formatted(failed)
    assert line["exception"] == "ValueError"
    assert any("test_logs.py" in frame for frame in line["frames"])
    assert "content of a picture" not in json.dumps(line)


@pytest.mark.parametrize(("level", "logged"), [("INFO", ["second"]), ("DEBUG", ["first", "second"])])
def test_configured_log_goes_to_stderr_at_its_level_even_while_descriptor_2_is_silenced(
    level: str, logged: list[str]
) -> None:
    program = f"""
import logging, os
from services.chassis.process import logs
logs.configure("detector", {level!r})
os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
logging.getLogger("facet.x").debug("first")
logging.getLogger("facet.x").info("second")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert done.stdout == ""
    assert [json.loads(line)["event"] for line in done.stderr.splitlines()] == logged


def test_libraries_tell_what_is_wrong_alone_and_pillow_tells_nothing() -> None:
    """It logs the metadata of pictures at DEBUG, and numbers out of damaged ones as errors."""
    program = """
import logging
from PIL import Image
from services.chassis.pictures import decoding; from services.chassis.process import logs
from tests.support.pictures import encode
logs.configure("detector", "DEBUG")
logging.getLogger("library").info("chatter")
logging.getLogger("library").warning("news")
tiff = encode(Image.new("RGB", (4, 4)), "TIFF", artist="MRS EXAMPLE")
decoding.exif(decoding.open_file(tiff), tiff)
logging.getLogger("PIL.TiffImagePlugin").error("More samples per pixel than can be decoded: 43779")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert [json.loads(line)["event"] for line in done.stderr.splitlines()] == ["news"]

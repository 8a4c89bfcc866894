"""Structured logging: one JSON object a line on stderr, with the request id. Ids, sizes, counts and times only."""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import sys
import traceback
import warnings
from datetime import UTC, datetime

from services.chassis.rpc.request_id import current_request_id

_STDERR = 2
_NEVER = logging.CRITICAL + 1


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON; `extra={"fields": {…}}` adds fields.

    An exception is logged as its type and its frames. Its message is left out: messages of libraries may quote data.
    """

    def __init__(self, tier: str) -> None:
        super().__init__()
        self._tier = tier

    def format(self, record: logging.LogRecord) -> str:
        """One line, no line break inside."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "tier": self._tier,
            "event": record.getMessage(),
        }
        if request_id := current_request_id.get():
            line["request_id"] = request_id
        line.update(getattr(record, "fields", {}))
        if record.exc_info and record.exc_info[0] is not None:
            kind, _, frames = record.exc_info
            line["exception"] = kind.__name__
            line["frames"] = [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(frames)]
        return json.dumps(line, ensure_ascii=False, default=str)


def configure(tier: str, level: str) -> None:
    """Sends records at `level` and above to stderr as JSON lines; of libraries' loggers, warnings and errors alone.

    They go through a descriptor of their own, so that what native libraries write to stderr can be silenced.
    """
    handler = logging.StreamHandler(os.fdopen(os.dup(sys.stderr.fileno()), "w", buffering=1))
    handler.setFormatter(JsonFormatter(tier))
    warnings.simplefilter("ignore")  # Pillow's tell of damaged metadata, as plain text, and may quote it
    logging.basicConfig(level=max(logging.WARNING, logging.getLevelName(level)), handlers=[handler], force=True)
    logging.getLogger("facet").setLevel(level)
    logging.getLogger("PIL").setLevel(_NEVER)  # it quotes what it meets in a picture, tags and text, at any level
    # Of a line that cannot be written, as on a full disk, Python would tell in plain text in the same place.
    logging.raiseExceptions = False


def silence_native_libraries() -> None:
    """Sends to nowhere what native libraries write to stderr: it is no JSON, and nobody knows what it quotes.

    The log has a descriptor of its own; Python's last words, such as the traceback of a crash, get one here.
    """
    sys.stderr = os.fdopen(os.dup(sys.stderr.fileno()), "w", buffering=1)
    faulthandler.enable(sys.stderr)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _STDERR)
    os.close(nowhere)

"""Checks a receipt against pictures and a key, and says what it stands for."""

from __future__ import annotations

import hashlib
import re
import ssl
from datetime import UTC, datetime
from pathlib import Path

import httpx
from rich.table import Table

from cli.output import stdout
from gateway.anonymize.choosing import ChosenBy
from gateway.anonymize.receipts import Receipt, read_file, read_public_key, read_receipt
from services.chassis.errors import InvalidRequest, NotReady

KEY_TIMEOUT_S = 10.0
_HEADER = re.compile(r"^x-facet-receipt:(.*)$", re.IGNORECASE | re.MULTILINE)


def report(receipt: str, picture: Path, original: Path | None, key: str) -> None:
    """Checks, and prints what was hidden.

    Args:
        receipt: The compact JWS, a file with it, or a file of HTTP headers with it.
        picture: The answered picture.
        original: The picture that was sent; None = not checked.
        key: A PEM file, or the address of a gateway.

    Raises:
        FacetError: The receipt was changed, or belongs to other pictures or another key.
    """
    public_key = read_public_key(_key_from(key), key)
    found = read_receipt(_signed(receipt), public_key)
    _refuse_other(picture, found.output_sha256, "result")
    if original is not None:
        _refuse_other(original, found.input_sha256, "original")
    _print(found, original_checked=original is not None)


def _key_from(source: str) -> bytes:
    if not source.startswith(("http://", "https://")):
        return read_file(Path(source))
    address = source if source.endswith("/v1/receipt-key") else f"{source.rstrip('/')}/v1/receipt-key"
    try:
        answer = httpx.get(address, timeout=KEY_TIMEOUT_S, verify=ssl.create_default_context(), trust_env=False)
    except httpx.HTTPError as error:
        raise NotReady(f"{address} does not answer: {error}") from error
    if not answer.is_success:
        raise NotReady(f"{address} answers no key ({answer.status_code})")
    return answer.content


def _signed(receipt: str) -> str:
    try:
        is_file = Path(receipt).is_file()
    except (OSError, ValueError):  # longer than a name may be, or not one at all
        is_file = False
    text = read_file(Path(receipt)).decode(errors="replace") if is_file else receipt
    headers = _HEADER.findall(text)
    return str(headers[-1] if headers else text).strip()


def _refuse_other(picture: Path, sha256: str, which: str) -> None:
    if hashlib.sha256(read_file(picture)).hexdigest() != sha256:
        raise InvalidRequest(f"{picture} is not the {which} that the receipt is for, or was changed since")


def _choice(receipt: Receipt) -> str:
    """How the hidden faces were chosen, for people."""
    if not receipt.detection_model or receipt.chosen_by == ChosenBy.CALLER:
        return "given by the caller; the original was not searched"
    found = "" if receipt.faces_found is None else f"{receipt.faces_found} "
    people = {ChosenBy.KEEP.value: ", but people to keep", ChosenBy.ONLY.value: ", of them people to hide"}
    return f"{found}found by {receipt.detection_model}{people.get(receipt.chosen_by, '')}"


def _visible(receipt: Receipt) -> str:
    if receipt.faces_visible is None:
        return "not known: neither the original nor the result was searched"
    return f"{receipt.faces_visible} found faces stay visible"


def _print(receipt: Receipt, *, original_checked: bool) -> None:
    console = stdout()
    console.print("[green]The receipt is genuine and belongs to this picture.[/]")
    weak = ", weak styles allowed" if receipt.allow_weak else ""
    rows = {
        "signed": f"{datetime.fromtimestamp(receipt.iat, UTC):%Y-%m-%d %H:%M:%S} UTC, Facet {receipt.facet_version}",
        "original": f"sha256 {receipt.input_sha256}" + (" (checked)" if original_checked else ""),
        "style": f"{receipt.style}, {receipt.shape}, strength {receipt.strength:g}, margin {receipt.margin:g}{weak}",
        "faces": _choice(receipt),
        "visible": _visible(receipt),
        "compared by": receipt.embedding_model or "nobody",
        "check": f"{receipt.check}, searched by {receipt.check_model}"
        if receipt.check_model
        else receipt.check or "none",
        "request": receipt.request_id,
        "hidden": f"{len(receipt.regions)} regions (x_min, y_min, x_max, y_max)",
    }
    table = Table.grid(padding=(0, 2))
    for name, value in rows.items():
        table.add_row(name, value)
    for region in receipt.regions:
        table.add_row("", ", ".join(map(str, region)))
    console.print(table, markup=False)

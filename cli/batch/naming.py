"""What an output is called: as its source, with a suffix behind where the format becomes another."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from cli.batch.outcomes import NameTaken
from facet_client.names import FormatName
from services.chassis.errors import InvalidRequest

OWN_FOLDER = ".facet"
"""In a destination: the journals, and what is being written."""
_SUFFIXES = {
    "image/jpeg": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "image/png": (".png",),
    "image/webp": (".webp",),
    "image/bmp": (".bmp", ".dib"),
    "image/tiff": (".tif", ".tiff"),
    "image/heif": (".heic", ".heif", ".hif"),
}
"""By media type; the first is the one that is given."""
_OTHER_PICTURES = re.compile(
    r"\.(gif|apng|avif|jxl|jp2|j2k|jpf|jxr|ico|psd|xcf|svg|tga|pcx|ppm|pgm|pbm|exr|hdr"
    r"|dng|raw|cr2|cr3|crw|nef|nrw|arw|orf|raf|rw2|pef|srw|x3f)\Z",
    re.IGNORECASE,
)
"""Suffixes of pictures that are not accepted: a folder with one of them is not done."""
_HEADS_OF_OTHER_PICTURES = (b"GIF8", b"8BPS", b"\xff\x0a", b"\0\0\0\x0cJXL ", b"\0\0\0\x0cjP  ", b"FUJIFILMCCD-RAW")
_HEIF_ANSWERS = ("image/jpeg", "image/png")
_LONGEST_LIST = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The names of one run's outputs: what each may be called, and that no two are called the same."""

    format: FormatName | None
    """That all answers are asked for in; None = each as it came."""
    receipts: bool = False
    """Whether a receipt lies beside each."""

    def possible(self, path: str) -> tuple[str, ...]:
        """What the output of a source may be called, as far as the source's name tells."""
        if self.format:
            return (_with_suffix(path, f"image/{self.format}"),)
        if told_type(path) == "image/heif":
            return tuple(_with_suffix(path, media_type) for media_type in _HEIF_ANSWERS)
        return (path,)

    def all_possible(self, path: str) -> tuple[str, ...]:
        """The same, with the receipts."""
        return tuple(name for output in self.possible(path) for name in self.with_receipt(output))

    def with_receipt(self, output: str) -> tuple[str, ...]:
        """An output and what lies beside it."""
        return (output, receipt_name(output)) if self.receipts else (output,)

    def actual(self, path: str, content: bytes, media_type: str) -> str:
        """What the output of a source is called, now that its content and its answer's type are known."""
        heif = content[4:8] == b"ftyp"  # never written, so its answer is of another format
        return _with_suffix(path, media_type) if self.format or heif else path

    def planned(self, paths: Iterable[str], is_one_name: Callable[[str, str], bool]) -> dict[str, str]:
        """Every name that may be written, with its source's path.

        Args:
            paths: All sources, of all shards.
            is_one_name: Whether the destination takes two different names, alike but for case, for one.

        Raises:
            InvalidRequest: Two sources would be written to one name, or one into the other.
        """
        owners: dict[str, str] = {}
        folded: dict[str, str] = {}
        for path in paths:
            for name in self.all_possible(path):
                other = folded.setdefault(_folded(name), name)
                if name in owners or (other != name and is_one_name(other, name)):
                    raise _clash(owners[other], path, name)
                owners[name] = path
        for name, path in owners.items():
            for folder in PurePosixPath(name).parents:
                if str(folder) in owners:
                    raise _clash(owners[str(folder)], path, str(folder))
        return owners


def safe(path: str) -> None:
    """Refuses a path that would lead out of the destination, or into Facet's own folder there.

    Raises:
        NameTaken: It would.
    """
    parts = path.split("/")
    if _as_file_systems_take_it(parts[0]) == OWN_FOLDER or any(
        part in {"", ".", ".."} or "\0" in part for part in parts
    ):
        raise NameTaken("a file cannot be called so")


def told_type(name: str) -> str | None:
    """The media type that a name's suffix tells."""
    suffix = PurePosixPath(name).suffix.lower()
    return next((media_type for media_type, suffixes in _SUFFIXES.items() if suffix in suffixes), None)


def hidden_name(path: str, media_type: str) -> str:
    """What one file's result is called that lies beside it: `photo.jpg` becomes `photo-hidden.jpg`."""
    told = told_type(path)
    suffix = PurePosixPath(path).suffix
    stem = path.removesuffix(suffix) if told else path
    return f"{stem}-hidden{suffix if told == media_type else _SUFFIXES[media_type][0]}"


def receipt_name(output: str) -> str:
    """What the receipt of a result is called."""
    return f"{output}.receipt"


def receipt_file(signed: str) -> bytes:
    """What it holds, as `facet verify-receipt` takes it."""
    return f"{signed}\n".encode()


def may_be_picture(path: str, content: bytes) -> bool:
    """Whether a file of no accepted format is a picture after all, by its name or its first bytes.

    An empty or damaged file that is called a picture is one.
    """
    return (
        told_type(path) is not None
        or _OTHER_PICTURES.search(path) is not None
        or content.startswith(_HEADS_OF_OTHER_PICTURES)
    )


def some(names: Iterable[str]) -> str:
    """The first few of many names, for a message."""
    listed = [shown(name) for name in names]
    more = len(listed) - _LONGEST_LIST
    return ", ".join(listed[:_LONGEST_LIST]) + (f" and {more} more" if more > 0 else "")


def shown(name: str) -> str:
    """A name that can be printed: nothing in it moves the cursor, and undecodable bytes are escaped."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in name)


def _with_suffix(path: str, media_type: str) -> str:
    return path if told_type(path) == media_type else path + _SUFFIXES[media_type][0]


def _as_file_systems_take_it(name: str) -> str:
    """What some take it for, which ignore case, invisible characters, or dots and spaces at the end."""
    visible = "".join(character for character in name if unicodedata.category(character) != "Cf")
    return _folded(visible).rstrip(". ")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _clash(one: str, other: str, name: str) -> InvalidRequest:
    if one == other:
        return InvalidRequest(
            f"two files called {shown(one)} would become one; give the folder above them, or a pattern in quotes, "
            "so that their folders stay"
        )
    return InvalidRequest(f"{shown(one)} and {shown(other)} would both become {shown(name)}; rename one of them")

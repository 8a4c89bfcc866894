"""Nested folders of pictures with odd names among files that are none, and what must become of each."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from tests.support.pictures import animation, encode

FOLDERS = (
    "",
    "holiday",
    "holiday/day two",
    "日本/写真",
    "a/b/c/d/e",
    "Ünïcödé & co",
    "-dash",
    "quo'te\"s",
    "new\nline",
)
NAMES = (
    "{}.jpg",
    "{} with spaces.JPG",
    "{}-été.jpeg",
    "{}.tar.gz",
    "{}",
    "-{}.png",
    "{}[1].webp",
    "{}.PNG",
    "{}%20#?.jpg",
)
SIZES_PX = (128, 160, 208, 256, 320)
TOO_LARGE_BYTES = 80 * 1024 * 1024


@dataclass(slots=True, kw_only=True)
class Tree:
    """What a folder holds, by path below it."""

    good: set[str] = field(default_factory=set)
    bad: dict[str, str] = field(default_factory=dict)
    """With the reason that must be told."""
    skipped: set[str] = field(default_factory=set)


def make_tree(root: Path, pictures: Sequence[Image.Image], count: int) -> Tree:
    """Fills a folder with `count` good pictures, all different, and one of each bad kind."""
    tree = Tree()
    chosen = random.Random(3)  # noqa: S311  (the same tree every time)
    places = itertools.cycle(itertools.product(NAMES, FOLDERS))
    for index, (name, folder) in enumerate(itertools.islice(places, count)):
        picture = pictures[index % len(pictures)]
        path = _below(folder, name.format(index))
        _write(root, path, _encoded(picture, chosen.choice(SIZES_PX), index))
        tree.good.add(path)
    undecodable = os.fsdecode(b"\xff\xfe bytes.jpg")
    _write(root, undecodable, encode(pictures[0].resize((200, 200)), "JPEG"))
    tree.good.add(undecodable)
    linked = min(tree.good)
    (root / "link.jpg").symlink_to(root / linked)
    tree.good.add("link.jpg")
    _add_bad(root, tree, encode(pictures[0], "JPEG"))
    return tree


def _add_bad(root: Path, tree: Tree, jpeg: bytes) -> None:
    bad = {
        "bad/empty.jpg": (b"", "INVALID_PICTURE"),
        "bad/notes.jpg": (b"no picture at all\n" * 10, "UNSUPPORTED_FORMAT"),
        "bad/cut off.jpg": (jpeg[: len(jpeg) // 3], "INVALID_PICTURE"),
        "bad/moving.gif": (animation("GIF"), "UNSUPPORTED_FORMAT"),
        "bad/moving.png": (animation("PNG"), "INVALID_PICTURE"),
    }
    for path, (content, reason) in bad.items():
        _write(root, path, content)
        tree.bad[path] = reason
    for path, content in {"bad/Thumbs.db": b"\xd0\xcf\x11\xe0" * 99, "bad/notes.txt": b"a\n", "bad/empty": b""}.items():
        _write(root, path, content)
        tree.skipped.add(path)
    with (root / "bad" / "film.jpg").open("wb") as film:
        film.truncate(TOO_LARGE_BYTES)  # takes no room, and must not be read
    tree.bad["bad/film.jpg"] = "TOO_LARGE"
    (root / "bad" / "broken link.jpg").symlink_to("nowhere")
    tree.bad["bad/broken link.jpg"] = "INPUT_OUTPUT"
    os.mkfifo(root / "bad" / "pipe.jpg")
    (root / "bad" / "loop").symlink_to(root)
    _write(root, "bad/.hidden.jpg", jpeg)
    tree.skipped |= {"bad/pipe.jpg", "bad/loop", "bad/.hidden.jpg"}


def _encoded(picture: Image.Image, size_px: int, index: int) -> bytes:
    small = picture.resize((size_px, size_px + index % 16))
    small.putpixel((0, 0), (index % 256, index // 256 % 256, 7))
    file_format, options = (
        ("JPEG", {"quality": 90}),
        ("JPEG", {"quality": 80, "progressive": True}),
        ("PNG", {"compress_level": 1}),
        ("WEBP", {"quality": 80}),
    )[index % 4]
    return encode(small, file_format, **options)


def _below(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _write(root: Path, path: str, content: bytes) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(content)


def contents(root: Path) -> dict[str, bytes]:
    """Every file below a folder, but for Facet's own."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".facet" not in path.parts
    }

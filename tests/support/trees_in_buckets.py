"""The same tree of pictures in a folder and in a bucket, and what comes of it from folder to folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from tests.support.buckets import S3, running_s3
from tests.support.facet_command import facet
from tests.support.trees import Tree, contents, make_tree

NOT_IN_A_BUCKET = {"bad/broken link.jpg", "bad/pipe.jpg", "bad/loop"}


@dataclass(frozen=True, slots=True, kw_only=True)
class InBoth:
    """A folder, and the bucket's `in/` with the same."""

    s3: S3
    folder: Path
    tree: Tree
    hidden: dict[str, bytes]
    """What a run from folder to folder writes, of the pictures that are in the bucket too."""


@contextmanager
def in_both(place: Path, picture: Image.Image, count: int, gateway_url: str) -> Iterator[InBoth]:
    """So many good pictures, and bad ones."""
    folder, out = place / "in", place / "out"
    folder.mkdir()
    tree = make_tree(folder, [picture], count)
    with running_s3() as s3:
        for path in tree.good | tree.bad.keys() | tree.skipped:
            if path.isprintable() and path not in NOT_IN_A_BUCKET:
                s3.put(f"in/{path}", (folder / path).read_bytes())
        facet("anonymize", folder, "-o", out, "--target", gateway_url)
        hidden = {path: content for path, content in contents(out).items() if path.isprintable()}
        yield InBoth(s3=s3, folder=folder, tree=tree, hidden=hidden)

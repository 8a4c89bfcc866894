"""kubectl's own typed decoding: what the API server would refuse to read."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.k8s.manifests import Finding, Manifests, title
from tests.k8s.rendering import kubectl
from tests.k8s.validation import CUSTOM_KINDS

_known: dict[str, str | None] = {}
"""Per object, as text, what kubectl says of it: many renderings share most of their objects."""


def objects_decode(manifests: Manifests) -> Iterator[Finding]:
    """Every object fits the Go types of its kind: numbers are numbers, quantities are quantities.

    kubectl knows the types of Kubernetes alone; CUSTOM_KINDS are left out.

    Raises:
        RuntimeError: `kubectl` failed otherwise; its own words.
    """
    texts = {
        json.dumps(resource, sort_keys=True): title(resource)
        for resource in manifests.resources
        if (resource["apiVersion"], resource["kind"]) not in CUSTOM_KINDS
    }
    _decode([text for text in texts if text not in _known])
    for text, name in texts.items():
        if _known[text]:
            yield Finding(where=name, problem=f"kubectl cannot decode it: {_known[text]}")


def _decode(texts: list[str]) -> None:
    if not texts:
        return
    _known.update(dict.fromkeys(texts))
    with tempfile.TemporaryDirectory() as folder:
        # A file for each: kubectl's message names the file and not the object.
        files = {str(Path(folder) / f"{number}.json"): text for number, text in enumerate(texts)}
        for file, text in files.items():
            Path(file).write_text(text)
        # The command decodes all it reads before it changes anything, and asks no cluster.
        done = kubectl("set", "image", "--local", "--filename", folder, "*=any", "--output", "name")
    for line in done.stderr.replace("\n ", " ").splitlines():  # it wraps long lines
        message = line.removeprefix("error: ")  # there where it is the only one
        if message.startswith("unable to decode "):
            _, file, problem = message.split('"', 2)
            _known[files[file]] = problem.removeprefix(": ")
        elif message and "does not have a pod template" not in message:  # so it says where no image can be set
            raise RuntimeError(f"kubectl: {message}")

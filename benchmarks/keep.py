"""Who stays visible by `keep` and `only`: strangers, who never should, and the person asked for.

    python -m benchmarks.keep PICTURES [--montages N]

PICTURES holds any of `crowd` (strangers), `group` (with `labels.json`), `people` and `portraits` (one folder a person).
The weights of RetinaFace mobilenet0.25 and MobileFaceNet must be installed. Every picture goes through the tiers, and
every decision through the gateway's own code; only the drawing is left out. Nothing is written.

Also prints which faces can be told from other people's, by size and norm: what `clear` in the models' manifest rests
on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.keep_pictures import DEADLINE_S, Shot, crops, crowds_in, group_in, montages, people_in
from facet.v1 import embedder_pb2
from gateway.anonymize.clarity import Clarity, side_px
from gateway.anonymize.deciding import decide, keep, only
from gateway.anonymize.references import embed_references
from gateway.anonymize.selection import Reference
from gateway.anonymize.thresholds import MatchCurve
from gateway.settings import TargetSettings
from gateway.tiers.channels import Tiers
from gateway.tiers.deadline import Deadline
from gateway.tiers.pipeline import Pipeline
from services.chassis.errors import InvalidRequest
from services.chassis.process.settings import SharedSettings
from tests.support.processes import Stack

DETECTOR, EMBEDDER = "retinaface-mobilenet025", "mobilefacenet"
CLEAR_PX = 80.0
"""From this size on, the person asked for is expected to stay visible."""
MANY = 64
SIMILARITIES = (0.29, 0.33, 0.37, 0.42)


@dataclass(slots=True)
class Tally:
    """What came of one kind of reference."""

    refused: int = 0
    pictures: int = 0
    strangers: int = 0
    asked_for: int = 0
    """How often the person was in the picture, at CLEAR_PX and more."""
    visible: int = 0
    """Of these."""


class Results(NamedTuple):
    """By the kind of reference."""

    kept: dict[str, Tally]
    hidden: dict[str, Tally]


class Bench:
    """The tiers and the model, and how one picture is decided."""

    def __init__(self, pipeline: Pipeline, model: embedder_pb2.GetModelResponse) -> None:
        self.pipeline = pipeline
        self.model = model

    async def references(self, contents: Sequence[bytes]) -> list[Reference]:
        """As a request's; those that are refused are left out."""
        found: list[Reference] = []
        for index, content in enumerate(contents):
            try:
                found += await embed_references(
                    {f"keep[{index}]": content},
                    detection_model="",
                    embedding_model=self.model,
                    pipeline=self.pipeline,
                    deadline=Deadline(DEADLINE_S),
                )
            except InvalidRequest:
                continue
        return found

    def own(self, embedding: embedder_pb2.Embedding) -> bytes:
        """A face's embedding as `/v1/embed` answers it, alone."""
        document = {"embedding_model": self.model.model_id, "embedding": list(embedding.values)}
        return json.dumps(document).encode()

    def keeps(self, references: Sequence[Reference], picture: Shot, wanted: Iterable[int], into: Tally) -> None:
        """Decides one picture by `keep`; `wanted` are the faces that may stay visible."""
        shown = set(np.flatnonzero(decide(keep(self.model, references), picture.embedded, self.model).shown).tolist())
        wanted = set(wanted)
        into.pictures += 1
        into.strangers += len(shown - wanted)
        large = {face for face in wanted if picture.side_px(face) >= CLEAR_PX}
        into.asked_for += len(large)
        into.visible += len(large & shown)

    def hides(self, references: Sequence[Reference], picture: Shot, wanted: Iterable[int], into: Tally) -> None:
        """Decides one picture by `only`; `wanted` are the faces that must not stay visible."""
        shown = set(np.flatnonzero(decide(only(self.model, references), picture.embedded, self.model).shown).tolist())
        wanted = set(wanted)
        into.pictures += 1
        into.asked_for += len(wanted)
        into.visible += len(wanted & shown)


async def own_faces(bench: Bench, crowd: Sequence[Shot], into: Results) -> None:
    """Each face of a picture by its own embedding: in that picture, and in the others, where it is absent."""
    kept, hidden = into
    here, elsewhere, only_here = Tally(), Tally(), Tally()
    for number, picture in enumerate(track(crowd, "faces", console=Console(stderr=True))):
        for face, embedding in enumerate(picture.embedded.embeddings):
            if embedding is None:
                continue
            references = await bench.references([bench.own(embedding)])
            bench.keeps(references, picture, [face], here)
            bench.hides(references, picture, [face], only_here)
            for step in (1, 7, 23):
                bench.keeps(references, crowd[(number + step) % len(crowd)], [], elsewhere)
    kept |= {"own face of the picture": here, "the same in other pictures": elsewhere}
    hidden["own face of the picture"] = only_here


async def cut_out_faces(bench: Bench, crowd: Sequence[Shot], into: Results) -> None:
    """Faces cut out of a picture and enlarged, as a picture of the person."""
    kept, hidden = into
    tally, only_tally = Tally(), Tally()
    for picture in crowd:
        for face, content in crops(picture, CLEAR_PX / 4):
            references = await bench.references([content])
            if references:
                bench.keeps(references, picture, [face], tally)
                bench.hides(references, picture, [face], only_tally)
            else:
                tally.refused += 1
    kept["face cut out and enlarged"] = tally
    hidden["face cut out and enlarged"] = only_tally


async def pictures_of_people(
    bench: Bench, people: dict[str, list[Shot]], strangers: Sequence[Shot], into: Results, name: str
) -> None:
    """Each picture of a person as a reference for their others, for those of other people and for strangers."""
    kept, hidden = into
    tally, absent, only_tally = Tally(), Tally(), Tally()
    everyone = [(person, picture) for person, pictures in people.items() for picture in pictures]
    step = max(1, len(everyone) // 60)
    for number, (person, picture) in enumerate(everyone):
        references = await bench.references([picture.content])
        if not references:
            tally.refused += 1
            continue
        for other in people[person]:
            if other is not picture and person in other.whose:
                bench.keeps(references, other, [other.whose[person]], tally)
                bench.hides(references, other, [other.whose[person]], only_tally)
        others = [each for whose, each in everyone[number % step :: step] if whose != person]
        for other in [*others, *strangers]:
            bench.keeps(references, other, [], absent)
    kept |= {f"{name}: another picture": tally, f"{name}: pictures without them": absent}
    hidden[f"{name}: another picture"] = only_tally


async def groups_of_portraits(bench: Bench, people: dict[str, list[Shot]], count: int, into: Results) -> None:
    """Group photographs of nine people: one of them, all of them, and five of them among many references."""
    kept, hidden = into
    one, absent, nine, many, only_one = Tally(), Tally(), Tally(), Tally(), Tally()
    known = {name: await bench.references([pictures[0].content]) for name, pictures in people.items()}
    for picture, missing in await montages(bench.pipeline, people, count):
        present = [name for name in picture.whose if known[name]]
        for name in present:
            bench.keeps(known[name], picture, [picture.whose[name]], one)
            bench.hides(known[name], picture, [picture.whose[name]], only_one)
        outside = [name for name in missing if known[name]]
        for name in outside[:9]:
            bench.keeps(known[name], picture, [], absent)
        all_of_them = [reference for name in present for reference in known[name]]
        bench.keeps(all_of_them, picture, [picture.whose[name] for name in present], nine)
        five = present[:5]
        crowd = [reference for name in [*five, *outside][:MANY] for reference in known[name]]
        bench.keeps(crowd, picture, [picture.whose[name] for name in five], many)
    kept |= {
        "group of nine: one of them": one,
        "group of nine: someone else": absent,
        "group of nine: all of them": nine,
        f"group of nine: five among {MANY}": many,
    }
    hidden["group of nine: one of them"] = only_one


def clear_faces(console: Console, crowd: Sequence[Shot], people: dict[str, list[Shot]], curve: MatchCurve) -> None:
    """How often faces of crowds match other people's, by size and norm, beside the curve."""
    rows = [
        (str(number), np.array(embedding.values), side_px(face), embedding.norm, 1)
        for number, picture in enumerate(crowd)
        for face, embedding in zip(picture.faces, picture.embedded.embeddings, strict=True)
        if embedding is not None
    ]
    for person, pictures in people.items():
        for picture in pictures:
            embedding = picture.embedded.embeddings[picture.whose[person]] if person in picture.whose else None
            if embedding is not None:
                size = picture.side_px(picture.whose[person])
                rows.append((person, np.array(embedding.values), size, embedding.norm, 0))
    if not crowd:
        return
    whose, vectors = np.array([row[0] for row in rows]), np.stack([row[1] for row in rows])
    sizes, norms, in_crowd = (np.array([row[column] for row in rows]) for column in (2, 3, 4))
    first, second = np.triu_indices(len(rows), 1)
    counted = (whose[first] != whose[second]) & ((in_crowd[first] + in_crowd[second]) > 0)
    first, second = first[counted], second[counted]
    similar = np.einsum("ij,ij->i", vectors[first], vectors[second])
    table = Table(title="Share of pairs of two people as alike as that, one or both in a crowd, both faces at least so")
    for heading in ("side, px", "norm", "pairs", *map(str, SIMILARITIES)):
        table.add_column(heading, justify="right")
    for size, norm in ((0, 0), (24, 11), (32, 11), (40, 11), (40, 14), (64, 0), (64, 11), (80, 0), (80, 11)):
        clear = (sizes >= size) & (norms >= norm)
        both = similar[clear[first] & clear[second]]
        shares = [f"{(both >= similarity).mean():.5f}" for similarity in SIMILARITIES]
        table.add_row(str(size), str(norm), str(len(both)), *shares)
    table.add_section()
    measured = dict(curve.points)
    points = np.array(list(measured))
    near = [float(points[np.abs(points - similarity).argmin()]) for similarity in SIMILARITIES]
    table.add_row("curve", "", str(curve.pairs), *(f"{measured[point]:.5f} ({point:g})" for point in near))
    console.print(table)


def print_out(console: Console, title: str, tallies: dict[str, Tally], visible: str) -> None:
    """One row a kind of reference."""
    table = Table(title=title)
    table.add_column("reference")
    for heading in ("refused", "pictures", "strangers visible", visible):
        table.add_column(heading, justify="right")
    for name, tally in tallies.items():
        share = f"{tally.visible} of {tally.asked_for}" if tally.asked_for else ""
        if share:
            share += f" ({100 * tally.visible / tally.asked_for:.1f} %)"
        table.add_row(name, str(tally.refused), str(tally.pictures), str(tally.strangers), share)
    console.print(table)


async def measure(stack: Stack, folder: Path, count: int) -> None:
    """All kinds of references, one after another."""
    targets = {name.removeprefix("FACET_").lower(): value for name, value in stack.targets().items()}
    tiers = Tiers(TargetSettings.model_validate(targets), SharedSettings())
    try:
        pipeline = Pipeline(tiers)
        bench = Bench(pipeline, await pipeline.deciding_model(Deadline(DEADLINE_S)))
        console = Console(width=140)
        crowd = await crowds_in(pipeline, folder / "crowd")
        group, groups = await group_in(pipeline, folder / "group")
        people = await people_in(pipeline, folder / "people")
        portraits = await people_in(pipeline, folder / "portraits")
        clear_faces(console, crowd, portraits, MatchCurve.from_wire(bench.model.curve))
        kept, hidden = results = Results({}, {})
        await own_faces(bench, [*crowd, *groups], results)
        await cut_out_faces(bench, [*crowd, *groups], results)
        await pictures_of_people(bench, group, [*groups, *crowd], results, "group")
        await pictures_of_people(bench, people, crowd, results, "people")
        await pictures_of_people(bench, portraits, [], results, "portraits")
        await groups_of_portraits(bench, portraits, count, results)
    finally:
        await tiers.close()
    print_out(console, f"keep ({bench.model.model_id})", kept, f"asked for, {CLEAR_PX:.0f} px and more: visible")
    print_out(console, "only", hidden, "asked for: visible")
    clarity = Clarity.of(bench.model)
    console.print("clear: " + " or ".join(f"{step.side_px:g} px and norm {step.norm:g}" for step in clarity.steps))


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--montages", type=int, default=60, help="group photographs made of portraits (default 60)")
    arguments = parser.parse_args()
    stack = Stack(embedder=True, FACET_DETECTOR_MODEL=DETECTOR, FACET_EMBEDDER_MODEL=EMBEDDER)
    try:
        asyncio.run(measure(stack, arguments.pictures, arguments.montages))
    finally:
        stack.stop()


if __name__ == "__main__":
    main()

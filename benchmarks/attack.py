"""What a good face recogniser learns from anonymized pictures, for every style and as far as it depends on the style.

    python -m benchmarks.attack PORTRAITS [--people FOLDER] [--plot attack.png] [--quick]

PORTRAITS and FOLDER hold one folder a person with at least two pictures each. The weights of RetinaFace mobilenet0.25
and MobileFaceNet must be installed. Nothing is written but the plot.

The attacker knows the style, has MobileFaceNet, and is given the landmarks of the clear pictures. He is to name the
person of a picture in a gallery, which has another picture of each person: clear photographs, or pictures hidden in the
same way. Trained attacks learn from half of the people, hidden in the same way, and are tried on the other half, then
the other way round; every attack's gallery is one half. Of several attacks of a kind the strongest is reported.

Solid shows nothing of a face, and yet hair, clothes, background and the outline tell something: its rates are the
floor. A style that is drawn from these alone cannot tell more, and one above the interval of Solid's rate is marked.
Intervals are Wilson's; each picture is a probe once, and two pictures of one person count as independent.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.attack_pictures import (
    People,
    Tools,
    enlarged,
    found_again,
    hidden,
    load_people,
    psnr_outside_db,
    see,
)
from benchmarks.attack_recognition import KINDS, all_at_once, strongest, two_halves
from benchmarks.attack_results import SOLID, Rate, Result, Results
from benchmarks.attack_yardsticks import FixedMosaic, Nothing
from services.anonymizer.redaction import Redaction
from services.anonymizer.styles import AveragingMosaic, Blur, GaussianBlur, Mosaic, Solid, Style
from services.chassis.inference.precision import Precision
from services.chassis.models.store import ModelStore
from services.chassis.process.processors import available_processors
from services.chassis.process.settings import ModelSettings, SharedSettings
from services.detector.models import DetectorModels, DetectorOptions
from services.embedder.engine import open_engine
from services.embedder.options import Device, EngineOptions

DETECTOR, EMBEDDER = "retinaface-mobilenet025", "mobilefacenet"
TIMES = 4
QUICK_PEOPLE = 100
FEWEST_TO_LEARN_FROM = 50
TABLE_WIDTH = 160
EXAMINED, EXAMINED_ENLARGED = 150, 50
"""Pictures of a style in which the detector looks again, and what surrounds the faces is compared."""

STYLES: Mapping[str, Style] = {
    SOLID: Solid(),
    **{f"Mosaic {strength:g}": Mosaic(strength=strength) for strength in (0, 0.5, 1)},
    **{f"Blur {strength:g}": Blur(strength=strength) for strength in (0, 0.5, 1)},
    **{f"AveragingMosaic {strength:g}": AveragingMosaic(strength=strength) for strength in (0, 0.5, 1)},
    **{f"GaussianBlur {strength:g}": GaussianBlur(strength=strength) for strength in (0, 0.5, 1)},
    "cells of 20 px": FixedMosaic(cell_px=20),
    "nothing hidden": Nothing(),
}
ENLARGED = (SOLID, "Mosaic 0.5", "Blur 0.5", "AveragingMosaic 0.5", "GaussianBlur 0.5", "cells of 20 px")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Pictures, and what is tried on them."""

    title: str
    people: People
    styles: Mapping[str, Style]
    examined: int


def main() -> None:
    """Prints a table for each set of pictures, and writes the plot where one is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("portraits", type=Path)
    parser.add_argument("--people", type=Path, help="more people, attacked without training where they are few")
    parser.add_argument("--plot", type=Path, help="a PNG of the rates")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_PEOPLE} people, at the size in the file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # pictures are worked on side by side
    started = time.perf_counter()
    tools = _tools()
    console, measured = Console(width=TABLE_WIDTH), []
    for trial in _trials(arguments.portraits, arguments.people, tools, quick=arguments.quick):
        measured.append(_measure(trial, tools))
        console.print(_table(measured[-1]))
    tools.detector.close()
    print(f"95 % intervals in brackets; ▲ above that of {SOLID}; {time.perf_counter() - started:.0f} s in all")
    if arguments.plot is not None:
        from benchmarks.attack_plot import write_plot  # noqa: PLC0415  (matplotlib is slow to import)

        write_plot(measured, arguments.plot)


def _tools() -> Tools:
    store = ModelStore(ModelSettings())
    options = EngineOptions(
        device=Device.CPU, precision=Precision.FP32, threads=available_processors(), max_batch=32, flip_test=True
    )
    return Tools(
        detector=DetectorModels(store, DetectorOptions(default=DETECTOR)),
        embedder=open_engine(store.require(EMBEDDER), options),
        limits=SharedSettings().picture_limits,
    )


def _trials(portraits: Path, people: Path | None, tools: Tools, *, quick: bool) -> Iterator[Trial]:
    known = load_people(portraits, tools, most=QUICK_PEOPLE if quick else None)
    yield Trial(title=portraits.name, people=known, styles=STYLES, examined=EXAMINED)
    if not quick:
        yield Trial(
            title=f"{portraits.name}, {TIMES} times enlarged",
            people=enlarged(known, times=TIMES),
            styles={name: STYLES[name] for name in ENLARGED},
            examined=EXAMINED_ENLARGED,
        )
    if people is not None:
        known = load_people(people, tools, most=None)
        yield Trial(title=people.name, people=known, styles=STYLES, examined=EXAMINED)


def _measure(trial: Trial, tools: Tools) -> Results:
    trained = len(trial.people) >= FEWEST_TO_LEARN_FROM
    divide = two_halves if trained else all_at_once
    clear = see(trial.people, tools)
    examined = [portrait for pictures in zip(*trial.people, strict=True) for portrait in pictures][: trial.examined]
    chance = 1 / len(divide(clear, clear)[0].attacked.close)
    results = {}
    for name, style in track(trial.styles.items(), trial.title, console=Console(stderr=True), transient=True):
        redaction = Redaction(style=style)
        treated = hidden(trial.people, redaction, tools)
        cases = divide(see(treated, tools), clear)
        outside = [portrait for pictures in zip(*treated, strict=True) for portrait in pictures][: trial.examined]
        results[name] = Result(
            weak=style.weak,
            found_again=Rate(hits=found_again(outside, tools), trials=len(outside)),
            recognised={kind.title: strongest(kind, cases) for kind in KINDS if trained or not kind.trained},
            psnr_outside_db=psnr_outside_db(examined, outside, redaction, tools),
        )
    return Results(
        title=f"{trial.title}: {len(trial.people)} people, {len(trial.people[0])} pictures of each",
        chance=chance,
        styles=results,
    )


def _table(results: Results) -> Table:
    table = Table(title=f"{results.title}; chance is {100 * results.chance:.2g} %")
    kinds = results.styles[SOLID].recognised
    for heading in ("", "face found again %", *(f"{kind} %" for kind in kinds), "PSNR outside, dB"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, result in results.styles.items():
        table.add_row(
            name,
            _percent(result.found_again),
            *(
                f"{_percent(outcome.rate)} {'▲' if results.above_floor(name, kind) else ' '}\n{outcome.attack}  "
                for kind, outcome in result.recognised.items()
            ),
            f"{result.psnr_outside_db:.1f}",
        )
    return table


def _percent(rate: Rate) -> str:
    low, high = rate.interval
    return f"{100 * rate.value:.1f} ({100 * low:.1f} to {100 * high:.1f})"


if __name__ == "__main__":
    main()

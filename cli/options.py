"""What `facet anonymize`, `detect` and `embed` share: their common options and exit codes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facet_client.names import RecallName
from services.chassis.errors import InvalidRequest

STANDARD = "-"
"""Standard input as a source, standard output as a destination."""
SOME_FAILED = 3
INTERRUPTED = 130
TERMINATED = 143

FACES = "Which faces"
LOOK = "How they are hidden"
RUN = "How it runs"

Paths = Annotated[
    list[str],
    typer.Argument(metavar="PATHS...", help="Files, folders, patterns in quotes, s3://, gs:// or az:// addresses."),
]
Model = Annotated[
    str | None, typer.Option(help="Detection model, as `facet models list` names them.", rich_help_panel=FACES)
]
Recall = Annotated[
    RecallName | None, typer.Option(help="How hard to look for faces: more takes more time.", rich_help_panel=FACES)
]
MinConfidence = Annotated[
    float | None, typer.Option(min=0.02, max=1, help="Leave out faces scored below.", rich_help_panel=FACES)
]
MinFacePx = Annotated[
    int | None, typer.Option(min=0, help="Leave out faces whose longer side is shorter.", rich_help_panel=FACES)
]
MaxFaces = Annotated[
    int | None, typer.Option(min=0, help="Only the so many most confident faces of a picture.", rich_help_panel=FACES)
]
Key = Annotated[
    str | None, typer.Option(envvar="FACET_KEY", help="API key for --target.", show_envvar=True, rich_help_panel=RUN)
]
Ca = Annotated[
    Path | None, typer.Option(help="PEM file of the authority to trust for an https target.", rich_help_panel=RUN)
]
Jobs = Annotated[
    int | None,
    typer.Option(min=1, max=256, help="Pictures under way at once; default: 4 a processor.", rich_help_panel=RUN),
]
Hidden = Annotated[bool, typer.Option("--hidden", help="Also files and folders whose names begin with a dot.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what stands in the way at the destination.")]
Shards = Annotated[
    int, typer.Option(envvar="FACET_SHARDS", min=1, help="Workers that share the pictures.", rich_help_panel=RUN)
]
ShardIndex = Annotated[
    int,
    typer.Option(
        envvar="JOB_COMPLETION_INDEX", min=0, help="Which of them this is, counted from 0.", rich_help_panel=RUN
    ),
]
Report = Annotated[Path | None, typer.Option(help="Write what became of each file to this .csv or .json file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the figures and what failed as JSON.")]


def read_picture(path: Path) -> bytes:
    """A file that is sent as it is, beside the pictures to be treated or by itself.

    Raises:
        InvalidRequest: It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror}") from error


EXIT_CODES = """
[bold]Exit codes[/]: 0 everything done; 1 nothing could start, or the service went away; 2 wrong use; 3 some pictures \
were refused or failed (the report says which, and the same command tries them again; other files in a folder are \
skipped); 130 Ctrl-C, 143 SIGTERM (the \
same command goes on).
"""

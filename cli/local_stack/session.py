"""A gateway for the time of one command: the one that is named, or one that is started with the tiers it needs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Annotated

import typer

from cli.output import stderr

Target = Annotated[
    str | None,
    typer.Option(
        envvar="FACET_TARGET",
        metavar="URL",
        help="A gateway that runs already (its key: FACET_KEY); default: one is started for this command alone.",
        show_default=False,
    ),
]


@contextlib.contextmanager
def running(target: str | None, *, anonymizer: bool = True, embedder: bool = False) -> Iterator[str]:
    """The address of a gateway that is ready; what was started for it ends with the context, however that ends.

    Of the tiers, those that FACET_<TIER>_TARGET names are used, and the others started on free loopback ports.

    Args:
        target: A gateway that runs already; None = start one.
        anonymizer: Pictures will be anonymized.
        embedder: Faces will be embedded.

    Raises:
        NotReady: A part cannot start, or what it needs is missing; the message says what to do.
    """
    if target:
        yield target
        return
    from cli.local_stack.stack import OwnGateway  # noqa: PLC0415  (the help of a command needs none of it)

    wanted = {"detector": True, "anonymizer": anonymizer, "embedder": embedder}
    own = OwnGateway([name for name, is_wanted in wanted.items() if is_wanted])
    try:
        with stderr().status("Starting the parts that this takes…"):
            address = own.start()
        yield address
    finally:
        own.stop()

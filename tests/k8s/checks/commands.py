"""Commands that containers run exist, with the options they are given."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from typer.core import TyperGroup
from typer.main import get_command

from cli.app import app
from tests.k8s.manifests import Container, Finding, Manifests, strings_in

_EXPANSION = re.compile(r"\$[({]?(FACET_\w+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """What one command of `facet` takes."""

    options: frozenset[str]
    variables: frozenset[str]
    """The variables it reads where an option is not given."""


@cache
def commands() -> dict[tuple[str, ...], Command]:
    """Every command of `facet`, by its words."""
    root: tuple[str, ...] = ()
    waiting = [(root, get_command(app))]
    found = {}
    while waiting:
        words, command = waiting.pop()
        if isinstance(command, TyperGroup):
            waiting += [((*words, name), part) for name, part in command.commands.items()]
            continue
        variables = [p.envvar for p in command.params if p.envvar is not None]
        found[words] = Command(
            options=frozenset(option for parameter in command.params for option in parameter.opts),
            variables=frozenset(strings_in(variables)),
        )
    return found


def commands_exist(manifests: Manifests) -> Iterator[Finding]:
    """Every `facet …` is a command of Facet, and has the options that it is given."""
    for container in manifests.containers:
        for words in _facet_commands(container):
            command = commands().get(words[:1]) or commands().get(words[:2])
            if command is None:
                yield Finding(where=container.title, problem=f"there is no command `facet {' '.join(words)}`")
                continue
            for word in words:
                if word.startswith("--") and word.partition("=")[0] not in command.options:
                    yield Finding(where=container.title, problem=f"`facet {words[0]}` has no option {word}")


def commands_use_variables_that_are_set(manifests: Manifests) -> Iterator[Finding]:
    """What a command expands is set in its container."""
    for container in manifests.containers:
        given = manifests.environment(container).keys() | {entry["name"] for entry in container.spec.get("env", [])}
        for text in strings_in([container.spec.get("command", []), container.spec.get("args", [])]):
            for name in sorted(set(_EXPANSION.findall(text)) - given):
                yield Finding(where=container.title, problem=f"its command expands {name}, which is not set")


def _facet_commands(container: Container) -> Iterator[tuple[str, ...]]:
    """The words after `facet` of each call in a container's command, be it in a line for the shell or not."""
    words = [*container.spec.get("command", []), *container.spec.get("args", [])]
    calls = re.split(r"[;\n]|&&", words[-1]) if words[:1] == ["sh"] else [shlex.join(words)]
    for call in calls:
        program, *rest = shlex.split(call) or [""]
        if program == "facet":
            yield tuple(rest)

"""Anonymizing many pictures: planned as a whole, refused before any work where names clash, then run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from cli.batch.destinations import Destination
from cli.batch.journal import Written
from cli.batch.naming import Names, receipt_file, receipt_name, some
from cli.batch.outcomes import NameTaken, Outcome
from cli.batch.shards import Shard
from cli.batch.sources import Findings, Source, identities
from facet_client import AsyncFacet, DetectionOptions, RedactionOptions
from facet_client.api import AnonymizeAnswer
from services.chassis.errors import InvalidRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked for, for every picture."""

    redaction: RedactionOptions
    detection: DetectionOptions
    verify: bool
    keep: Sequence[bytes] = field(default=(), repr=False)
    """Everyone but these people is hidden: each a picture, or the JSON of an embedding."""
    only: Sequence[bytes] = field(default=(), repr=False)
    """These people alone are hidden, likewise."""
    receipt: bool = False
    """A signed receipt of each picture is wanted."""

    def digest(self) -> str:
        """The same for the same options and people; what is not asked for tells nothing, so that digests stay."""
        options = {"redaction": asdict(self.redaction), "detection": asdict(self.detection), "verify": self.verify}
        people = (("keep", self.keep), ("only", self.only))
        named = {name: sorted(hashlib.sha256(each).hexdigest() for each in given) for name, given in people if given}
        return _digest({**options, **named, **({"receipt": True} if self.receipt else {})})

    async def of(self, facet: AsyncFacet, content: bytes) -> AnonymizeAnswer:
        """Asks it of one picture."""
        return await facet.anonymize(
            content,
            redaction=self.redaction,
            detection=self.detection,
            verify=self.verify,
            keep=self.keep,
            only=self.only,
            receipt=self.receipt,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one worker has to do, and what it need not do any more."""

    remaining: Sequence[Source]
    settled: Sequence[Outcome]
    """What earlier runs did, and what is passed over."""
    earlier: int
    """How many earlier runs did."""


def digest_of(options: Any) -> str:  # noqa: ANN401  (any dataclass)
    """The same for two dataclasses with the same values."""
    return _digest(asdict(options))


def _digest(options: Mapping[str, object]) -> str:
    text = json.dumps(options, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Anonymizing:
    """The job of one run."""

    def __init__(self, destination: Destination, asked: Asked, *, overwrite: bool) -> None:
        """`overwrite`: whether what stands in the way at the destination may be replaced."""
        self._destination = destination
        self._asked = asked
        self._digest = asked.digest()
        self._overwrite = overwrite
        self._names = Names(format=asked.redaction.format, receipts=asked.receipt)
        self._owners: dict[str, str] = {}

    def check(self, findings: Findings) -> None:
        """Makes sure that no two results and no original would be written over.

        Raises:
            InvalidRequest: They would.
        """
        paths = [source.path for source in findings.sources]
        self._owners = self._names.planned(paths, self._destination.is_one_name)
        self._destination.refuse_inputs(self._owners, identities(findings.sources))

    def plan(self, findings: Findings, shard: Shard) -> Plan:
        """Finds out what is left to do, at a destination that is open.

        Raises:
            InvalidRequest: Something that no earlier run has written stands in the way.
        """
        destination = self._destination
        own = [source for source in findings.sources if source.path in shard]
        done = {source.path: destination.finished(source, self._digest) for source in own}
        remaining = [source for source in own if not done[source.path]]
        outputs = [name for source in remaining for name in self._names.all_possible(source.path)]
        if not self._overwrite and (taken := [name for name in outputs if destination.is_taken(name)]):
            raise InvalidRequest(
                f"no earlier run has written this, and it is in the way: {some(taken)}; "
                "move it, choose another folder, or give --overwrite to replace it "
                "(runs with another key count as nobody's: FACET_JOURNAL_KEY)"
            )
        destination.begin(outputs)
        finished = [entry.outcome for entry in done.values() if entry]
        passed_over = [outcome for outcome in findings.passed_over if outcome.path in shard]
        return Plan(remaining=remaining, settled=[*finished, *passed_over], earlier=len(finished))

    def by(self, facet: AsyncFacet) -> _Job:
        """What is done to each picture, with this client."""
        return _Job(facet, self)

    async def ask(self, facet: AsyncFacet, content: bytes) -> AnonymizeAnswer:
        """One picture."""
        return await self._asked.of(facet, content)

    def keep(self, source: Source, content: bytes, answer: AnonymizeAnswer) -> Outcome:
        """Writes the answer; never anything else of the picture."""
        output = self._names.actual(source.path, content, answer.media_type)
        told_by_content_alone = output not in self._names.possible(source.path)
        if told_by_content_alone and any(map(self._belongs_to_another, self._names.with_receipt(output))):
            raise NameTaken(f"its result would be called {some([output])}, and that is taken")
        result = Written(
            path=source.path,
            source=source.version,
            options=self._digest,
            output=output,
            size_bytes=len(answer.content),
            mtime_ns=0,
            sha256=hashlib.sha256(answer.content).hexdigest(),
            faces=answer.faces,
            model=answer.model or "",
            notice=answer.notice or "",
        )
        if answer.receipt:  # first, so that no picture counts as done without it
            self._destination.write(*_receipt(result, answer.receipt))
        self._destination.write(result, answer.content)
        return result.outcome

    def _belongs_to_another(self, name: str) -> bool:
        return name in self._owners or (not self._overwrite and self._destination.is_taken(name))


def _receipt(result: Written, signed: str) -> tuple[Written, bytes]:
    """A picture's receipt as a result of its own, beside the picture."""
    content = receipt_file(signed)
    of_receipt = replace(
        result,
        path=receipt_name(result.path),
        output=receipt_name(result.output),
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    return of_receipt, content


class _Job:
    """As running.Job says."""

    def __init__(self, facet: AsyncFacet, anonymizing: Anonymizing) -> None:
        self._facet = facet
        self._anonymizing = anonymizing

    async def ask(self, content: bytes) -> AnonymizeAnswer:
        return await self._anonymizing.ask(self._facet, content)

    def keep(self, source: Source, content: bytes, answer: AnonymizeAnswer) -> Outcome:
        return self._anonymizing.keep(source, content, answer)

"""The answer: what is known of each output's curvature, and the proof of it."""

from __future__ import annotations

import enum
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from splinegraph.analyses.convexity.witness import Witness
from splinegraph.core.graph import SplineGraph
from splinegraph.core.notebook import card
from splinegraph.errors import ShapeError

__all__ = ["Certificate", "Finding", "Proof", "Status", "Verdict", "Verdicts", "Witness", "entries"]


class Status(enum.StrEnum):
    """What is proved of one output."""

    AFFINE = "affine"
    CONVEX = "convex"
    CONCAVE = "concave"
    NEITHER = "neither"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Certificate:
    """Why an output is convex, or concave, on the whole domain.

    Parameters
    ----------
    method : str
        'curvature', 'backward', 'facets' or the like.
    text : str
        The reason, in a line.
    """

    method: str
    text: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"method": self.method, "text": self.text}


Proof = Certificate | Witness | None
"""A certificate that something holds, a witness that it does not, or None: it is not known."""


@dataclass(frozen=True, eq=False)
class Finding:
    """What one method says of one output.

    Parameters
    ----------
    convex, concave : Certificate, Witness or None
    note : str
        Why it says nothing, or not all.
    """

    convex: Proof = None
    concave: Proof = None
    note: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class Verdict:
    """What is known of one entry of the output.

    Parameters
    ----------
    index : tuple of int
        The entry, as ``graph.output(*index)`` takes it.
    convex, concave : Certificate, Witness or None
        The proof that it is so, the witness that it is not, or None.
    seconds : float
        Spent until it was decided, on all outputs together.
    notes : tuple of str
        What stands in the way of an answer.

    Notes
    -----
    CONVEX says that no more than that is proved: the output may be affine, unless `concave` is a witness.
    UNDECIDED may still hold one witness.
    """

    index: tuple[int, ...]
    convex: Proof = None
    concave: Proof = None
    seconds: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def status(self) -> Status:
        """What is proved."""
        convex, concave = (isinstance(proof, Certificate) for proof in (self.convex, self.concave))
        if convex or concave:
            return Status.AFFINE if convex and concave else Status.CONVEX if convex else Status.CONCAVE
        both = isinstance(self.convex, Witness) and isinstance(self.concave, Witness)
        return Status.NEITHER if both else Status.UNDECIDED

    @property
    def decided(self) -> bool:
        """Whether the status is any but UNDECIDED."""
        return self.status is not Status.UNDECIDED

    @property
    def settled(self) -> bool:
        """Whether both questions are answered, so that nothing is left to find out."""
        return self.convex is not None and self.concave is not None

    @property
    def proof(self) -> Certificate | tuple[Witness, ...] | None:
        """The certificate, or all witnesses; None if there is nothing."""
        for proof in (self.convex, self.concave):
            if isinstance(proof, Certificate):
                return proof
        return self.witnesses or None

    @property
    def witnesses(self) -> tuple[Witness, ...]:
        """The witnesses against convexity and against concavity, as far as there are."""
        return tuple(proof for proof in (self.convex, self.concave) if isinstance(proof, Witness))

    @property
    def method(self) -> str:
        """What decided it, '' if nothing did."""
        if not self.decided:
            return ""
        certificates = [p.method for p in (self.convex, self.concave) if isinstance(p, Certificate)]
        return " and ".join(dict.fromkeys(certificates or [w.method for w in self.witnesses]))

    def __repr__(self) -> str:
        by = f", by {self.method}" if self.decided else ""
        return f"<Verdict on output {list(self.index)}: {self.status}{by}>"

    def _repr_html_(self) -> str:
        return card(self)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        certificates = [p for p in (self.convex, self.concave) if isinstance(p, Certificate)]
        return {
            "index": list(self.index), "status": str(self.status), "method": self.method,
            "certificates": [c.to_dict() for c in certificates],
            "witnesses": [w.to_dict() for w in self.witnesses],
            "seconds": self.seconds, "notes": list(self.notes),
        }  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class Verdicts(Sequence[Verdict]):
    """One verdict per entry of the output, in order; made by `splinegraph.convexity`.

    Parameters
    ----------
    graph : SplineGraph
    domain : object or None
        Where they hold; None for all of space.
    verdicts : tuple of Verdict
    seconds : float
    """

    graph: SplineGraph
    domain: Any
    verdicts: tuple[Verdict, ...] = field(default=())
    seconds: float = 0.0

    @overload
    def __getitem__(self, i: int) -> Verdict: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[Verdict]: ...
    def __getitem__(self, i: int | slice) -> Verdict | Sequence[Verdict]:
        return self.verdicts[i]

    def __len__(self) -> int:
        return len(self.verdicts)

    def __iter__(self) -> Iterator[Verdict]:
        return iter(self.verdicts)

    def of(self, *index: int) -> Verdict:
        """Return the verdict on one entry; the index is as ``graph.output(*index)`` takes it."""
        found = next((v for v in self.verdicts if v.index == index), None)
        if found is None:
            raise ShapeError(f"no output {list(index)}", remedy=f"the indices are {[list(v.index) for v in self[:9]]}")
        return found

    @property
    def complete(self) -> bool:
        """Whether every output is decided."""
        return all(verdict.decided for verdict in self.verdicts)

    @property
    def counts(self) -> dict[str, int]:
        """How many outputs have each status."""
        found = Counter(str(verdict.status) for verdict in self.verdicts)
        return {str(status): found[str(status)] for status in Status if found[str(status)]}

    def __repr__(self) -> str:
        parts = ", ".join(f"{count} {status}" for status, count in self.counts.items())
        return f"<Verdicts on {len(self)} outputs: {parts}>"

    def _repr_html_(self) -> str:
        return card(self)

    def __str__(self) -> str:
        lines = [f"{'output':<12}{'status':<12}{'method':<24}proof"]
        for v in self.verdicts[:LINES]:
            shown = "; ".join(_told(proof) for proof in (v.convex, v.concave) if proof is not None)
            text = shown if v.decided else "; ".join(filter(None, [shown, *v.notes]))
            lines.append(f"{list(v.index)!s:<12}{v.status:<12}{v.method:<24}{text}".rstrip())
        left = len(self) - LINES
        return "\n".join(lines + ([f"... and {left} more"] if left > 0 else []))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        from splinegraph.analyses.lipschitz.bound import domain_text

        return {
            "domain": domain_text(self.domain), "complete": self.complete, "counts": self.counts,
            "verdicts": [verdict.to_dict() for verdict in self.verdicts], "seconds": self.seconds,
        }  # fmt: skip


LINES = 20
"""Outputs that a table shows."""


def _told(proof: Certificate | Witness) -> str:
    return proof.text if isinstance(proof, Certificate) else f"not {proof.against}: gap {abs(proof.gap):.3g}"


def entries(graph: SplineGraph) -> list[tuple[int, ...]]:
    """Return the index of every output entry, outputs one behind the other, as ``graph.output(*index)`` takes it."""
    found: list[tuple[int, ...]] = []
    for i, shape in enumerate(graph.output_shapes):
        first = (i,) if len(graph.outputs) > 1 else ()
        found += [(*first, *index) for index in itertools.product(*map(range, shape))]
    return found

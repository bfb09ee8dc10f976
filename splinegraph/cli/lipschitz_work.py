"""What `splinegraph lipschitz` does: bound a constant, or check a certificate."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor

from splinegraph.analyses.lipschitz.bound import LipschitzBound, domain_text
from splinegraph.analyses.lipschitz.certificate import Certificate, load_certificate
from splinegraph.analyses.lipschitz.jumps import Jump, jump
from splinegraph.analyses.lipschitz.lipschitz import lipschitz
from splinegraph.analyses.provenance import Provenance
from splinegraph.cli.domains import BOUNDED, domain_of
from splinegraph.cli.opening import open_graph
from splinegraph.cli.progress import stages
from splinegraph.cli.request import REQUESTED, Request
from splinegraph.core.graph import SplineGraph
from splinegraph.data.source import DataSource

__all__ = ["FORMAT", "Bounded", "Checked", "Work"]

FORMAT = "splinegraph lipschitz 1"
"""Name and version of what is written as JSON."""

STARTS = 256
"""Samples of the data that the search for large norms starts from."""

OWN = (*BOUNDED, "norm", "tol", "budget")
"""Options of this command alone, as its JSON keeps them."""


@dataclass(frozen=True, eq=False)
class Bounded:
    """A constant between two ends.

    Parameters
    ----------
    found : LipschitzBound
    graph : SplineGraph
    domain : str
        Where it holds, in words.
    notes : tuple of str
        Where model and data come from.
    request, provenance : mapping
        What was asked for, and the versions and weights that the numbers belong to.
    proved : bool or None
        What the certificate said when it was asked again; None if it was not.
    seconds : float
        How long that took.
    jump : Jump or None
        Two points on both sides of a jump, of a network that is not continuous.
    """

    found: LipschitzBound
    graph: SplineGraph
    domain: str
    notes: tuple[str, ...]
    request: Mapping[str, Any]
    provenance: Mapping[str, Any]
    proved: bool | None = None
    seconds: float = 0.0
    jump: Jump | None = None

    @property
    def ok(self) -> bool:
        """Whether both ends were found and nothing failed."""
        return math.isfinite(self.found.upper) and self.proved is not False and not self.found.interrupted

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "format": FORMAT,
            "name": self.graph.name,
            **self.found.to_dict(),
            "domain": self.domain,
            "verified": self.proved,
            "jump": None if self.jump is None else self.jump.to_dict(),
            "notes": list(self.notes),
            "request": dict(self.request),
            "provenance": dict(self.provenance),
        }


@dataclass(frozen=True, eq=False)
class Checked:
    """A certificate that was asked again.

    Parameters
    ----------
    certificate : Certificate
    path : Path
    ok : bool
        Whether it proves its bound.
    seconds : float
    """

    certificate: Certificate
    path: Path
    ok: bool
    seconds: float

    @property
    def domain(self) -> str:
        """Where the bound holds, in words."""
        held = self.certificate.domain
        return domain_text(held.ball or held.boxes)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "file": str(self.path),
            "verified": self.ok,
            "domain": self.domain,
            "certificate": self.certificate.to_dict(),
            "seconds": self.seconds,
        }


class Work:
    """One run of the command."""

    def __init__(self, command: str, asked: Mapping[str, Any], *, quiet: bool, trust: bool) -> None:
        self.command, self.asked, self.quiet, self.trust = command, asked, quiet, trust
        self.model = Request(**{name: value for name, value in asked.items() if name in REQUESTED})

    def bound(self, *, certify: bool) -> Bounded:
        """Open the model and bound its constant."""
        asked = self.asked
        norm = math.inf if asked["norm"] == "inf" else int(asked["norm"])
        with stages(shown=not self.quiet) as progress:
            opened = open_graph(self.model, trust=self.trust, command=self.command, progress=progress)
            graph, data = opened.graph, opened.samples()
            limited = any(asked[kind] for kind in BOUNDED)
            on = domain_of(asked, graph, opened.samples, BOUNDED).on if limited else None
            starts = None if data is None else _starts(data)
            progress("bounding")
            try:
                found = lipschitz(
                    graph, norm, on, tol=asked["tol"], budget=asked["budget"], starts=starts, seed=self.model.seed
                )
            except KeyboardInterrupt:
                raise click.ClickException("interrupted before anything was known") from None
            witness = None
            if math.isinf(found.upper) and not graph.continuous:
                progress("looking for a jump")
                witness = jump(graph, on, seed=self.model.seed)
            proved, seconds = None, 0.0
            if certify:
                progress("checking the certificate")
                proved, seconds = _asked_again(found.certificate)
        request = {**self.model.to_dict(), **{name: asked[name] for name in OWN}}
        provenance = Provenance.of(graph, dtype=torch.float64, seed=self.model.seed).to_dict()
        return Bounded(found, graph, domain_text(on), opened.notes, request, provenance, proved, seconds, witness)

    def verify(self, path: Path) -> Checked:
        """Open the model, and ask a certificate from disk again."""
        with stages(shown=not self.quiet) as progress:
            opened = open_graph(self.model, trust=self.trust, command=self.command, progress=progress)
            certificate = load_certificate(path, opened.graph)
            progress("checking the certificate")
            proved, seconds = _asked_again(certificate)
        return Checked(certificate, path, bool(proved), seconds)


def _asked_again(certificate: Certificate | None) -> tuple[bool, float]:
    """Return whether a certificate proves its bound, and how long the check took; none proves nothing."""
    started = time.perf_counter()
    return certificate is not None and certificate.verify(), time.perf_counter() - started


def _starts(data: DataSource) -> tuple[Tensor, ...]:
    """Return the first samples, one tensor per input."""
    parts = [inputs for inputs, _, _ in data.take(STARTS).batches(STARTS)]
    return tuple(torch.cat(side) for side in zip(*parts, strict=True))

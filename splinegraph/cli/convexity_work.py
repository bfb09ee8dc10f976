"""What `splinegraph convexity` does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click
import torch

from splinegraph.analyses.convexity.inference import Inference, inference
from splinegraph.analyses.convexity.verdict import entries
from splinegraph.analyses.lipschitz.bound import domain_text
from splinegraph.analyses.provenance import Provenance
from splinegraph.cli.domains import EVERY, domain_of
from splinegraph.cli.opening import open_graph
from splinegraph.cli.progress import stages
from splinegraph.cli.request import REQUESTED, Request
from splinegraph.core.graph import SplineGraph

__all__ = ["FORMAT", "Judged", "work"]

FORMAT = "splinegraph convexity 1"
"""Name and version of what is written as JSON."""

OWN = (*EVERY, "only", "limit", "budget")
"""Options of this command alone, as its JSON keeps them."""


@dataclass(frozen=True, eq=False)
class Judged:
    """Verdicts, and where they come from.

    Parameters
    ----------
    found : Inference
    domain : str
        Where they hold, in words.
    notes : tuple of str
        Where model and data come from.
    request, provenance : mapping
        What was asked for, and the versions and weights that the answer belongs to.
    """

    found: Inference
    domain: str
    notes: tuple[str, ...]
    request: Mapping[str, Any]
    provenance: Mapping[str, Any]

    @property
    def ok(self) -> bool:
        """Whether every output is decided."""
        return self.found.verdicts.complete

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "format": FORMAT, "name": self.found.graph.name, "domain": self.domain, "complete": self.ok,
            **self.found.to_dict(), "model": list(self.notes), "request": dict(self.request),
            "provenance": dict(self.provenance),
        }  # fmt: skip


def work(command: str, asked: Mapping[str, Any], *, quiet: bool, trust: bool) -> Judged:
    """Open the model and judge its outputs."""
    model = Request(**{name: value for name, value in asked.items() if name in REQUESTED})
    with stages(shown=not quiet) as progress:
        opened = open_graph(model, trust=trust, command=command, progress=progress)
        whole = opened.graph
        limited = any(asked[kind] for kind in EVERY)
        domain = domain_of(asked, whole, opened.samples, EVERY) if limited else None
        graph = whole if asked["only"] is None else _one(whole, asked["only"])
        progress("judging")
        try:
            found = inference(
                graph, None if domain is None else domain.on, limit=asked["limit"], budget=asked["budget"],
                seed=model.seed,
            )  # fmt: skip
        except KeyboardInterrupt:
            raise click.ClickException("interrupted before anything was known") from None
    request = {**model.to_dict(), **{name: asked[name] for name in OWN}}
    provenance = Provenance.of(whole, dtype=torch.float64, seed=model.seed).to_dict()
    text = domain_text(None) if domain is None else domain.text
    return Judged(found, text, opened.notes, request, provenance)


def _one(graph: SplineGraph, text: str) -> SplineGraph:
    """Return the graph of the entry of the output that was asked for."""
    try:
        index = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise click.UsageError(f"--only {text}: give an index, such as 3 or 0,1,2") from None
    if index not in entries(graph):
        shapes = " and ".join(str(list(shape)) for shape in graph.output_shapes)
        raise click.UsageError(f"--only {text}: there is no such entry; one sample's output has shape {shapes}")
    return graph.output(*index)

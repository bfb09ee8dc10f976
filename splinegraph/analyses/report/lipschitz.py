"""The section on the Lipschitz constant: both ends that little work gives, and which operators add most."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from splinegraph.analyses.lipschitz.bound import LipschitzBound
from splinegraph.analyses.lipschitz.lipschitz import lipschitz
from splinegraph.analyses.lipschitz.sdp.inequality import Inequality
from splinegraph.analyses.lipschitz.sdp.interior import solve, start
from splinegraph.analyses.lipschitz.taking_apart import units
from splinegraph.analyses.report.names import shown_names
from splinegraph.analyses.report.regions import Few
from splinegraph.analyses.report.registry import section
from splinegraph.analyses.report.study import Study
from splinegraph.analyses.report.values import LISTED, Section
from splinegraph.core.graph import SplineGraph
from splinegraph.core.values import Box
from splinegraph.errors import one_line

__all__ = ["LayerConstant", "LipschitzSection", "lipschitz_section"]

PARAMETERS = 5_000_000
ENTRIES = 200_000
"""Parameters, and entries of a value, up to which norms are worked out: those of larger layers take minutes."""

UNITS = 120
"""Units up to which the semidefinite bound is worked out: it takes a second."""

NAMED = 3
"""Operators that the headline names."""


@dataclass(frozen=True)
class LayerConstant:
    """One operator whose own constant is not 1.

    Parameters
    ----------
    node, operator, module : str
    constant : float or None
        Its own, in the argument in which it is largest; None if there is none.
    total : float or None
        Of its value as a function of the network's inputs.
    """

    node: str
    operator: str
    module: str
    constant: float | None
    total: float | None


@dataclass(frozen=True, eq=False, repr=False)
class LipschitzSection(Section):
    """Both ends of the Lipschitz constant in l2, by work that does not depend on the clock.

    Parameters
    ----------
    norm : str
    domain : {'space', 'box'} or None
        All of space; the box around the samples, where there is no constant on all of space; None if not worked out.
    lower, upper : float or None
        None for an upper end that is infinite, and if not worked out.
    method : str
        What gave the upper end.
    product : float or None
        Of the operators' constants, along the graph.
    layers : tuple of LayerConstant
        In topological order, those whose constant is not 1.
    why : str
        Why there is no upper end, or nothing at all; '' if there is.
    """

    norm: str
    domain: str | None
    lower: float | None
    upper: float | None
    method: str
    product: float | None
    layers: tuple[LayerConstant, ...]
    why: str

    @property
    def headline(self) -> str:
        if self.domain is None:
            return self.why
        where = "" if self.domain == "space" else " in the box around the samples"
        if self.upper is None:
            return f"{self.lower:.4g} or more in l{self.norm}{where}, no upper bound: {self.why}"
        found = f"{self.lower:.4g} to {self.upper:.4g} in l{self.norm}{where}, by {self.method}"
        largest = sorted((row for row in self.layers if row.constant), key=lambda row: -(row.constant or 0))[:NAMED]
        most = ", ".join(f"{row.node} {row.constant:.3g}" for row in largest)
        return f"{found}; largest constants: {most}" if most else found


@section("lipschitz", needs=(Few,), order=70)
def lipschitz_section(study: Study) -> LipschitzSection:
    """Bound the Lipschitz constant in l2 by products and, of few units, by the semidefinite bound.

    No budget in seconds: the same request has to give the same report.
    """
    few, graph = study[Few], study.graph
    size = sum(tensor.numel() for tensor in graph.parameters())
    if size > PARAMETERS or max(math.prod(node.shape) for node in graph.nodes) > ENTRIES:
        why = f"not worked out: {size:,} parameters; see `splinegraph lipschitz`"
        return LipschitzSection("2", None, None, None, "", None, (), why)
    starts = [torch.stack(side).double() for side in zip(*few.first.values(), strict=True)]
    found = lipschitz(graph, 2, budget=0, starts=starts, seed=study.seed)
    domain = "space"
    if math.isinf(found.upper) and graph.continuous:
        boxes = tuple(Box(low.double(), high.double()) for low, high in few.range)
        local = lipschitz(graph, 2, boxes, budget=0, starts=starts, seed=study.seed)
        if math.isfinite(local.upper):
            domain, found = "box", local
    upper, method = found.upper, found.method
    if domain == "space":
        better = _semidefinite(graph)
        upper, method = min((upper, method), (better, "semidefinite"))
    product = math.inf if found.product is None else found.product.upper
    known = math.isfinite(upper)
    return LipschitzSection(
        "2", domain, min(found.lower, upper), upper if known else None, method, _plain(product), _layers(graph, found),
        "" if known else "; ".join(found.remarks),
    )  # fmt: skip


def _semidefinite(graph: SplineGraph) -> float:
    """Return the semidefinite bound of a small network; infinite of others."""
    if sum(math.prod(node.shape) for node in graph.operators if node.op.family != "affine") > UNITS:
        return math.inf
    found = units(graph)
    if found is None or not found.count:
        return math.inf
    inequality = Inequality(found.reduced())
    T = start(inequality)
    return math.inf if T is None else math.sqrt(inequality.certified(solve(inequality, T).T))


def _layers(graph: SplineGraph, found: LipschitzBound) -> tuple[LayerConstant, ...]:
    names = shown_names(graph)
    nodes = () if found.product is None else found.product.nodes
    rows = [entry for entry in nodes if any(k != 1 for k in entry.own)]
    return tuple(
        LayerConstant(
            names[row.node.name], one_line(row.node.op.label), one_line(row.node.module), _plain(max(row.own)),
            _plain(row.total),
        )
        for row in rows[:LISTED]
    )  # fmt: skip


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None

"""The section on the Lipschitz constant: both ends that little work gives, and which operators add most."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from splinegraph.analyses.lipschitz.domain import Domain
from splinegraph.analyses.report.ladders import Climbed, RungRow, climbed, climbed_rows, farthest, locally
from splinegraph.analyses.report.names import shown_names
from splinegraph.analyses.report.regions import Few
from splinegraph.analyses.report.registry import section
from splinegraph.analyses.report.study import Study
from splinegraph.analyses.report.values import LISTED, Section
from splinegraph.core.graph import SplineGraph
from splinegraph.core.values import Box
from splinegraph.errors import one_line

__all__ = ["LayerConstant", "LipschitzSection", "LocalBound", "lipschitz_section"]

PARAMETERS = 5_000_000
ENTRIES = 200_000
"""Parameters, and entries of a value, up to which there are bounds in l2: spectral norms of larger layers take
minutes."""

SMALL = 200_000
"""Parameters up to which all is worked out once more: in the box around the samples, and from the certificate."""

LARGE_PARAMETERS = 100_000_000
LARGE_ENTRIES = 4_000_000
"""The same for bounds in the maximum norm, whose constants are sums of rows."""

CLOSE = 1e-9
"""How far rounding may put one end of a bound past another, relative to it."""

LOOSE = 1e6
"""How many times the lower end an upper one is that says little of the network."""

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


@dataclass(frozen=True)
class LocalBound:
    """Both ends in the box around the samples.

    Parameters
    ----------
    lower, upper : float or None
        None for an upper end that is infinite.
    method : str
        What gave the upper end.
    rungs : tuple of RungRow
        All methods that ran, in order.
    """

    lower: float
    upper: float | None
    method: str
    rungs: tuple[RungRow, ...]


@dataclass(frozen=True, eq=False, repr=False)
class LipschitzSection(Section):
    """Both ends of the Lipschitz constant, by work that does not depend on the clock.

    Parameters
    ----------
    norm : {'2', 'inf'}
        Of inputs and of outputs; 'inf' of networks whose spectral norms would take minutes.
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
    constants : mapping from node name to (float or None, float or None), or None
        Of every node its own constant, in the argument in which it is largest, and that of its value as a function
        of the network's inputs: upper bounds on the domain, None where there is none.
    rungs : tuple of RungRow, or None
        All methods that ran on the domain, in order.
    local : LocalBound or None
        The ends in the box around the samples, where `domain` is all of space and the network is small.
    """

    norm: str
    domain: str | None
    lower: float | None
    upper: float | None
    method: str
    product: float | None
    layers: tuple[LayerConstant, ...]
    why: str
    constants: dict[str, tuple[float | None, float | None]] | None = None
    rungs: tuple[RungRow, ...] | None = None
    local: LocalBound | None = None

    @property
    def headline(self) -> str:
        if self.domain is None:
            return self.why
        where = "" if self.domain == "space" else " in the box around the samples"
        if self.upper is None:
            return f"{self.lower:.4g} or more in l{self.norm}{where}, no upper bound: {self.why}"
        found = f"{self.lower:.4g} to {self.upper:.4g} in l{self.norm}{where}, by {self.method}"
        near = self.local
        if near is not None and near.upper is not None and near.upper < 0.99 * self.upper:
            found += f"; {near.lower:.4g} to {near.upper:.4g} in the box around the samples, by {near.method}"
        largest = sorted((row for row in self.layers if row.constant), key=lambda row: -(row.constant or 0))[:NAMED]
        most = ", ".join(f"{row.node} {row.constant:.3g}" for row in largest)
        if self.lower and self.upper > LOOSE * self.lower:
            found += ", which says little"
        return f"{found}; largest constants: {most}" if most else found


@section("lipschitz", needs=(Few,), order=70)
def lipschitz_section(study: Study) -> LipschitzSection:
    """Bound the Lipschitz constant by products and points; of few units also by the semidefinite bound and by cells.

    No budget in seconds: the same request has to give the same report.
    """
    few, graph = study[Few], study.graph
    size = sum(tensor.numel() for tensor in graph.parameters())
    widest = max(math.prod(node.shape) for node in graph.nodes)
    starts = [torch.stack(side).double() for side in zip(*few.first.values(), strict=True)]
    if size > LARGE_PARAMETERS or widest > LARGE_ENTRIES:
        why = f"not worked out: {size:,} parameters; see `splinegraph lipschitz`"
        return LipschitzSection("2", None, None, None, "", None, (), why)
    if size > PARAMETERS or widest > ENTRIES:
        found, near, domain, norm = climbed_rows(graph, starts), None, "space", "inf"
    else:
        found, near, domain = _bounded(study, few, starts, small=size <= SMALL)
        norm = "2"
    _check(study, found if size <= SMALL else replace(found, certificate=None), norm, starts)
    names = shown_names(graph)
    known = math.isfinite(found.upper)
    return LipschitzSection(
        norm, domain, min(found.lower, found.upper), found.upper if known else None, found.method,
        _plain(math.inf if found.product is None else found.product.upper), _layers(names, found),
        "" if known else "; ".join(found.remarks) or "an operator has no constant",
        constants=_constants(graph, names, found), rungs=found.rungs, local=_local(near),
    )  # fmt: skip


def _bounded(
    study: Study, few: Few, starts: Sequence[Tensor], *, small: bool
) -> tuple[Climbed, Climbed | None, str]:  # fmt: skip
    """Return the bounds in l2, those in the box around the samples if they are others, and where the first hold."""
    graph = study.graph
    found = climbed(graph, Domain(), starts, study.seed)
    boxes = tuple(Box(low.double(), high.double()) for low, high in few.range)
    near_too = graph.continuous and (small or math.isinf(found.upper))
    if not near_too or all(torch.equal(box.lower, box.upper) for box in boxes):
        return found, None, "space"
    near = locally(graph, boxes, starts, study.seed)
    if math.isinf(found.upper) and math.isfinite(near.upper):
        return near, None, "box"
    inside = RungRow("points in the box around the samples", "lower", near.lower, None, "")
    return found.joined(inside), near, "space"


def _check(study: Study, found: Climbed, norm: str, starts: Sequence[Tensor]) -> None:
    """Check the ends against each other, against the samples, and the proof of the upper one."""
    if not math.isfinite(found.upper):
        return study.checked("lipschitz", "the lower end is below the upper end", None, "there is no upper end")

    def below(name: str, low: float | None, what: str) -> None:
        if low is not None:
            share = low / found.upper if found.upper else (math.inf if low else 0.0)
            detail = f"{what} is {low:.6g}, the upper end {found.upper:.6g}"
            study.checked("lipschitz", name, share <= 1 + CLOSE, detail, CLOSE, max(share - 1, 0.0))

    below("the lower end is below the upper end", found.lower, "the lower end")
    far = farthest(study.graph, starts, math.inf if norm == "inf" else 2)
    below("no two samples are mapped further apart than that", far, "the largest quotient of two samples")
    name = f"the upper end, by {found.method}, worked out anew from its certificate"
    if found.certificate is None:
        study.checked("lipschitz", name, None, "of a network of this size it is worked out once")
    else:
        held = found.certificate.verify()
        said = "holds" if held else "does not hold"
        study.checked("lipschitz", name, held, f"{found.upper:.6g} in l{norm} {said}")
    return None


def _layers(names: Mapping[str, str], found: Climbed) -> tuple[LayerConstant, ...]:
    nodes = () if found.product is None else found.product.nodes
    rows = [entry for entry in nodes if any(k != 1 for k in entry.own)]
    return tuple(
        LayerConstant(
            names[row.node.name], one_line(row.node.op.label), one_line(row.node.module), _plain(max(row.own)),
            _plain(row.total),
        )
        for row in rows[:LISTED]
    )  # fmt: skip


def _constants(
    graph: SplineGraph, names: Mapping[str, str], found: Climbed
) -> dict[str, tuple[float | None, float | None]] | None:
    """Return the two constants of every node; those of an input are 1."""
    if found.product is None:
        return None
    constants: dict[str, tuple[float | None, float | None]] = {names[name]: (1.0, 1.0) for name in graph.inputs}
    for entry in found.product.nodes:
        constants[names[entry.node.name]] = (_plain(max(entry.own, default=0.0)), _plain(entry.total))
    return constants


def _local(near: Climbed | None) -> LocalBound | None:
    if near is None:
        return None
    return LocalBound(min(near.lower, near.upper), _plain(near.upper), near.method, near.rungs)


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None

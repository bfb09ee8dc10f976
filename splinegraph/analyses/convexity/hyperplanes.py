"""The exact decision on all of space for one hidden layer: every hyperplane on which units bend is weighed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import torch

from splinegraph.analyses.convexity.verdict import Certificate, Finding, Proof, Witness, entries
from splinegraph.analyses.regions.cells import Floats, code_layers
from splinegraph.core.exact import ExactGraph
from splinegraph.core.exact.dyadic import Dyadic
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.operator import Operator, SplineOperator
from splinegraph.core.switching import Breaks
from splinegraph.errors import SplineGraphError

__all__ = ["by_hyperplanes"]

MOST_ENTRIES = 2**22
"""Entries of exact tables up to which they are made: some seconds."""

TRIED = 8
"""Random points of a hyperplane from which a witness is tried."""

Row = tuple[Fraction, ...]


def by_hyperplanes(graph: SplineGraph, outputs: Iterable[int] | None = None) -> dict[int, Finding]:
    r"""Decide for each output of a network of one hidden layer whether it is convex, and concave, on all of space.

    Such a network is affine but for :math:`\sum_k v_k \sigma_k(w_k x + c_k)`. Across a hyperplane its slope jumps by
    the sum of :math:`v_k \lVert w_k \rVert` times the jump of :math:`\sigma_k'`, over all units k that bend there; it
    is convex if and only if that is >= 0 for every distinct hyperplane.

    Parameters
    ----------
    graph : SplineGraph
        Of elementwise piecewise affine activations, none behind another; skips and several branches are free.
    outputs : iterable of int, optional
        Entries, counted through all outputs one behind the other; default: all.

    Returns
    -------
    dict from entry to Finding

    Raises
    ------
    SplineGraphError
        If the network is another one; a bounded domain decides it by its cells.

    Notes
    -----
    In exact rationals of the parameters, so that units that bend on the same hyperplane are found as such. No linear
    program: one product per weight, and a pass over the units.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> net = torch.nn.Sequential(torch.nn.Linear(1, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1)).eval()
    >>> for value, numbers in zip(net.parameters(), ([[1.0], [-2.0]], [0.0, 0.0], [[-1.0, 1.0]], [0.0])):
    ...     value.data = torch.tensor(numbers)
    >>> by_hyperplanes(sg.trace(net, torch.zeros(1, 1)))[0].convex  # -1 + 2, both bend at 0
    Certificate(method='hyperplanes', text='the slope falls on none of 1 hyperplanes')
    """
    layers = _layers(graph)
    forms, values = _forms(graph, layers)
    bends = _bends(layers, forms, sum(math.prod(shape) for shape in graph.input_shapes))
    names = entries(graph)
    asked = range(len(names)) if outputs is None else [int(i) for i in outputs]
    found = {}
    for i in asked:
        jumps = {plane: sum((step * values[i][k] for k, step in units), Fraction(0)) for plane, units in bends.items()}
        found[i] = _finding(graph, names[i], jumps)
    return found


class _Bent(NamedTuple):
    """A layer that switches: its node, its breakpoints, and the number of its first unit."""

    node: Node
    breaks: Breaks
    start: int


def _layers(graph: SplineGraph) -> list[_Bent]:
    found: list[_Bent] = []
    start = 0
    for layer in code_layers(graph) if graph.exact and graph.continuous else ():
        node = graph[layer.name]
        assert isinstance(node.op, SplineOperator)
        switching = node.op.switching([graph[arg].shape for arg in node.args])
        if not isinstance(switching, Breaks):
            raise _refusal(node.where, f"{node.op.label} is no elementwise function")
        found.append(_Bent(node, switching, start))
        start += layer.units
    if not graph.exact or not graph.continuous:
        raise _refusal("", "the network is not continuous and piecewise affine")
    return found


def _refusal(where: str, why: str) -> SplineGraphError:
    remedy = "give a bounded domain (a Box, Plane, Segment or Polytope)"
    return SplineGraphError("facets cannot be decided on all of space", where=where, why=why, remedy=remedy)


def _forms(graph: SplineGraph, layers: list[_Bent]) -> tuple[list[Row], list[Row]]:
    """Return what each unit sees as (constant, coefficients of x), and each output's weights of all units."""
    sizes = [math.prod(shape) for shape in graph.input_shapes]
    n, units = sum(sizes), sum(layer.breaks.units for layer in layers)
    width, count = 1 + n + units, sum(math.prod(shape) for shape in graph.output_shapes)
    if width * (units + count) > MOST_ENTRIES:
        raise _refusal("", f"{units} units of {n} inputs are too many for exact rationals")
    bent = {layer.node.name: layer for layer in layers}
    forms: list[Row] = []
    network, unit = ExactGraph(graph), _basis(width, [0])[0]

    def visit(node: Node, operator: Operator, args: tuple[Dyadic, ...]) -> Dyadic:
        if node.name not in bent:
            return network.piece(node, operator, None).apply(args, unit)
        (form,), layer = args, bent[node.name]
        if form.numbers[:, 1 + n :].any():
            raise _refusal(node.where, "it sees what another activation gives: there are several hidden layers")
        forms.extend(tuple(row) for row in Dyadic(form.numbers[:, : 1 + n], form.shift).fractions())
        return Dyadic(_basis(width, range(1 + n + layer.start, 1 + n + layer.start + layer.breaks.units)), 0)

    ends = np.cumsum([0, *sizes]).tolist()
    starts = [Dyadic(_basis(width, range(1 + a, 1 + b)), 0) for a, b in itertools.pairwise(ends)]
    rows = [tuple(row[1 + n :]) for table in network.walk(starts, visit) for row in table.fractions()]
    return forms, rows


def _basis(width: int, places: Iterable[int]) -> np.ndarray[tuple[int, ...], np.dtype[np.object_]]:
    """Return one row per place, 1 there and 0 elsewhere."""
    where = list(places)
    rows = np.zeros((len(where), width), dtype=object)
    rows[np.arange(len(where)), where] = 1
    return rows


def _bends(layers: list[_Bent], forms: list[Row], n: int) -> dict[Row, list[tuple[int, Fraction]]]:
    """Return for each hyperplane, as (constant, normal), the units that bend there and how much along the normal.

    Of the normal the first entry that is not 0 is 1. A unit bends by the jump of its slope times its speed along the
    normal, whichever way it is passed.
    """
    found: dict[Row, list[tuple[int, Fraction]]] = {}
    for layer in layers:
        steps = layer.breaks.slopes.tolist()
        for b, at in enumerate(layer.breaks.breakpoints.tolist()):
            for k in range(layer.breaks.units):
                step = Fraction(steps[b + 1][k]) - Fraction(steps[b][k])
                constant, *weights = forms[layer.start + k]
                speed = next((w for w in weights if w), None)
                if speed is None or not step:
                    continue
                plane = ((constant - Fraction(at)) / speed, *(w / speed for w in weights))
                found.setdefault(plane, []).append((layer.start + k, step * abs(speed)))
    return found


def _finding(graph: SplineGraph, index: tuple[int, ...], jumps: dict[Row, Fraction]) -> Finding:
    proofs: list[Proof] = []
    for sign, verb in ((-1, "falls"), (1, "rises")):
        wrong = [plane for plane, jump in jumps.items() if jump * sign > 0]
        if not wrong:
            proofs.append(Certificate("hyperplanes", f"the slope {verb} on none of {len(jumps)} hyperplanes"))
            continue
        worst = max(wrong, key=lambda plane: abs(float(jumps[plane])) * _length(plane))
        others = np.array([[float(v) for v in plane] for plane in jumps if plane != worst])
        witness = _witness(graph, index, worst, float(jumps[worst]), others.reshape(-1, len(worst)))
        proofs.append(witness)
    note = "" if None not in proofs else "a slope jumps the wrong way, where no witness was found"
    return Finding(proofs[0], proofs[1], note)


def _length(plane: Row) -> float:
    return math.sqrt(sum(float(w) ** 2 for w in plane[1:]))


def _witness(graph: SplineGraph, index: tuple[int, ...], plane: Row, jump: float, others: Floats) -> Witness | None:
    """Return two points on both sides of a hyperplane, with no other one between them."""
    draw = np.random.default_rng(0)
    constant, normal = float(plane[0]), np.array([float(w) for w in plane[1:]])
    size = float(np.linalg.norm(normal))
    sizes = [math.prod(shape) for shape in graph.input_shapes]
    for _ in range(TRIED):
        at = draw.standard_normal(len(normal)) * (1 + abs(constant) / size)
        at = at - (at @ normal + constant) / size**2 * normal
        speeds = np.abs(others[:, 1:] @ normal) / size
        away = np.abs(others[:, 0] + others[:, 1:] @ at)
        met = speeds > 0
        room = min(1.0, 0.9 * float((away[met] / speeds[met]).min(initial=math.inf)))
        sides = [torch.from_numpy(at + sign * room / size * normal).split(sizes) for sign in (-1, 1)]
        x, y = (
            tuple(part.reshape(shape) for part, shape in zip(side, graph.input_shapes, strict=True)) for side in sides
        )
        found = Witness(graph, index, x, y, 0.5, -room * jump * size / 2, "hyperplanes")
        if room > 0 and found.verify():
            return found
    return None

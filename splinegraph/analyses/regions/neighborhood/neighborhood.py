"""Breadth-first over facets: the cells around a point."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from splinegraph.analyses.codes import codes
from splinegraph.analyses.provenance import Provenance
from splinegraph.analyses.regions.cells import Cells, Floats, code_layers
from splinegraph.analyses.regions.neighborhood.growth import Growth, Request
from splinegraph.analyses.regions.neighborhood.result import Neighborhood
from splinegraph.core.domains.chart import Chart, chart_of
from splinegraph.core.graph import SplineGraph, require_graph
from splinegraph.core.values import Box
from splinegraph.errors import DomainError, SplineGraphError, UnsupportedOperatorError

__all__ = ["neighborhood"]


def neighborhood(
    graph: SplineGraph,
    x: Tensor | Sequence[Tensor],
    *,
    hops: int | None = None,
    radius: float | None = None,
    norm: float = 2,
    on: Any = None,
    limit: int = 10_000,
    budget: float | None = None,
) -> Neighborhood:
    """Return the activation cells around a point, breadth-first over the facets that they share.

    Parameters
    ----------
    graph : SplineGraph
        Of piecewise affine operators.
    x : Tensor of shape (*in), or (1, *in); a tuple of them for several inputs
        The point, inside the domain.
    hops : int, optional
        Facets to cross at most. Default: no bound.
    radius : float, optional
        Keep only cells that meet the ball of this radius around x. A cell is left out if its distance is proved to
        be larger; one that touches the ball to rounding is kept.
    norm : {2, inf}
        Of the ball, in the space of the inputs.
    on : domain, or tuple of domains, optional
        One per input. Default: the whole space. It may be unbounded.
    limit : int
        Most cells.
    budget : float, optional
        Seconds to work for; the cell under way is finished first, and there is always one.

    Returns
    -------
    Neighborhood
        In an order that depends on neither limit nor budget.

    Raises
    ------
    DomainError
        If x lies outside of the domain or does not fit it.
    UnsupportedOperatorError
        If a node is not piecewise affine; it is named.

    Notes
    -----
    Per cell: one pass of D + 1 columns for its inequalities, about as many small linear programs as it has facets,
    and a forward pass with one derivative per facet, which decides the code an infinitely small step behind it, so
    that thin neighbors are not stepped over. With `hops` and `radius` unbounded this finds all cells of the domain:
    cells of a convex set are connected over facets. The cells that meet a ball are, too. Beyond 24 dimensions the
    programs go to HiGHS, and a cell takes seconds rather than milliseconds; where there are fewer conditions than
    coordinates and no domain is given, their number counts in place of the dimension.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> from splinegraph.analyses.regions.neighborhood.neighborhood import neighborhood
    >>> graph = sg.trace(torch.nn.ReLU().eval(), torch.zeros(1, 3))
    >>> near = neighborhood(graph, torch.tensor([0.1, 0.5, 0.5]), hops=1)
    >>> len(near), near.hops.tolist(), near.edges.tolist()
    (4, [0, 1, 1, 1], [[0, 1], [0, 2], [0, 3]])
    >>> len(neighborhood(graph, torch.tensor([0.1, 0.5, 0.5]), radius=0.2))
    2
    """
    started = time.monotonic()
    _check(graph, hops, radius, norm, limit, budget)
    chart, t = _place(graph, x, on, norm if radius is not None else 2)
    deadline = None if budget is None else started + budget
    growth = Growth(Request(graph, chart, code_layers(graph), t, hops, radius, norm, limit, deadline))
    growth.run()
    settings = {"hops": hops, "radius": radius, "norm": norm, "limit": limit}
    return Neighborhood(
        graph, chart, growth.request.layers, growth.cells(), np.array(growth.hops, dtype=np.int64), growth.edges(),
        np.array(growth.expanded, dtype=np.bool_), np.array(growth.distances).reshape(-1, 2), growth.complete,
        growth.left, np.array(growth.unsure, dtype=np.int64), _doubtful(graph, chart, growth.cells()), growth.thin,
        time.monotonic() - started, Provenance.of(graph, dtype=torch.float64, seed=0, **settings),
    )  # fmt: skip


def _check(
    graph: SplineGraph, hops: int | None, radius: float | None, norm: float, limit: int, budget: float | None
) -> None:
    require_graph(graph)
    for node in graph.obstacles:
        raise UnsupportedOperatorError(
            f"{node.op.label} is not piecewise affine", where=node.where, remedy="replace such operators with sg.spline"
        )
    if hops is not None and hops < 0:
        raise SplineGraphError(f"hops is {hops}", remedy="give 0 or more")
    if radius is not None and not radius >= 0:
        raise SplineGraphError(f"radius is {radius}", remedy="give 0 or more")
    if norm not in (2, np.inf):
        raise SplineGraphError(f"norm is {norm}", remedy="choose 2 or inf")
    if limit < 1:
        raise SplineGraphError(f"limit is {limit}", remedy="give at least 1")
    if budget is not None and not budget > 0:
        raise SplineGraphError(f"budget is {budget} seconds", remedy="give more than 0")


def _place(graph: SplineGraph, x: Tensor | Sequence[Tensor], on: Any, norm: float) -> tuple[Chart, Floats]:
    """Return the domain's chart and the point's coordinates in it."""
    given = (x,) if isinstance(x, Tensor) else tuple(x)
    shapes = graph.input_shapes
    xs = tuple(v[None] if tuple(v.shape) == tuple(s) else v for v, s in zip(given, shapes, strict=False))
    if graph.check_inputs(xs if len(given) == len(shapes) else given) != 1:
        raise DomainError(f"{len(xs[0])} points", remedy="give one point; its neighborhood is a result of its own")
    everything = tuple(Box.everything(tuple(shape)) for shape in shapes)
    chart = chart_of(graph, everything if on is None else on)
    if not chart.dim:
        raise DomainError("the domain is a point", remedy="give one with a free coordinate")
    if norm != 2 and chart.index is None:
        raise DomainError("the inf-norm needs a domain along the axes", remedy="use norm=2, or a Box")
    doubles = [v.detach().double().cpu() for v in xs]
    if not all(bool(v.isfinite().all()) for v in doubles):
        raise DomainError("the point holds NaN or infinite values", remedy="give finite numbers")
    t = chart.coordinates(doubles)
    off = max(float((a - b).abs().max()) for a, b in zip(chart.lift(t), doubles, strict=True))
    scale = max(1.0, *(float(v.abs().max()) for v in doubles))
    if off > 1e-9 * scale or not bool(chart.contains(t, slack=1e-9 * scale)):
        raise DomainError("the point lies outside of the domain", remedy="give a point of it")
    return chart, t[0].numpy()


def _doubtful(graph: SplineGraph, chart: Chart, cells: Cells) -> Any:
    """Return the cells at whose point the network has another code."""
    wrong = []
    for start in range(0, len(cells), 4096):
        points = torch.from_numpy(cells.points[start : start + 4096])
        packed = codes(graph, *chart.lift(points)).packed
        wrong.append(start + np.flatnonzero((packed != cells.packed[start : start + 4096]).any(axis=1)))
    return np.concatenate(wrong).astype(np.int64)

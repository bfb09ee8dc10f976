"""`splinegraph.paths`: a network's affine map as a sum over families of paths."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from splinegraph.analyses import batches
from splinegraph.analyses.affine_map import affine_map
from splinegraph.analyses.paths.branches import Branch, find_branches, marked_branches
from splinegraph.analyses.paths.cells import Sources, find_cells
from splinegraph.analyses.paths.decomposition import PathDecomposition, View, class_indices, exactly
from splinegraph.analyses.paths.families import Blocks, Lengths, counted
from splinegraph.analyses.provenance import Provenance
from splinegraph.core.graph import SplineGraph, require_graph
from splinegraph.errors import ShapeError, SplineGraphError

__all__ = ["By", "paths"]

By = Literal["length", "block", "subset", "time", "layer", "source"]

MOST_BRANCHES = 10
"""Branches of which all subsets are made; of more, name those wanted, or go through `.subsets()`."""


@dataclass(frozen=True)
class _Plan:
    views: tuple[View, ...]
    names: tuple[str, ...]
    counts: tuple[int | None, ...]
    branches: tuple[Branch, ...] = ()


def paths(
    graph: SplineGraph,
    X: Tensor | Sequence[Tensor],
    *,
    by: By = "length",
    classes: Sequence[int] | Tensor | None = None,
    branches: str | Sequence[str] | None = None,
    subsets: Iterable[Sequence[str]] | None = None,
    dtype: torch.dtype = torch.float64,
    batch_size: int | None = None,
) -> PathDecomposition:
    r"""Decompose f(x) = A[x] x + b[x] by families of paths through the network.

    With blocks :math:`z \mapsto S_l z + M_l z` scaled by s on their branches,
    :math:`\prod_l (S_l + s M_l) = \sum_j s^j V_j`, where :math:`V_j` is the sum of the :math:`\binom{L}{j}` paths
    through j branches. Gates are those of the network at x.

    Parameters
    ----------
    graph : SplineGraph
        With one output.
    X : Tensor of shape (B, *in), or one per input
    by : {'length', 'block', 'subset', 'time', 'layer', 'source'}
        'length': by the number of residual branches on a path. 'block': the paths through branch l, which is
        the derivative of f by the scale of that branch; these families overlap. 'subset': the paths through
        exactly a set of branches. 'time', 'layer', 'source': by the step, the layer, or both, of the first
        recurrent cell that a path enters; 'outside' is what meets no cell, such as the bias of the last layer.
    classes : sequence of K int, or Tensor of shape (B, K), optional
        Outputs to show, as flat indices. Default: the largest one of each sample.
    branches : str or sequence of str, optional
        Modules or nodes whose values are the branches. Default: those that are found, see `find_branches`.
    subsets : iterable of sequences of branch names, optional
        With by='subset'. Default: all, of at most 10 branches.
    dtype : torch.dtype, default torch.float64
        Arithmetic.
    batch_size : int, optional
        Samples per pass.

    Returns
    -------
    PathDecomposition

    Raises
    ------
    SplineGraphError
        If the network has no residual branches, or no recurrent cells, or there are too many subsets.
    ShapeError
        If inputs or classes do not fit, or the graph has several outputs.
    UnsupportedOperatorError
        If an operator has no tangent.

    Notes
    -----
    O(L) forward passes for L branches, in one walk with a leading axis of families; 2^L paths are never
    enumerated. Operators that are not piecewise affine (attention, the gates of an LSTM) are replaced by their
    tangents at x: `.kind` is then 'tangent'. Sums are exact up to rounding: see `.error`.

    By length sum_j j V_j is the sum over l of the families by block. A hand-written loop over RNN cells
    has no steps to tell, but its cells are branches: by='length' then tells how many of them a path passes.
    An initial state that is an input enters at the first step, as `.by_input` tells; a constant one is in the
    biases of that step.

    References
    ----------
    .. [1] R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Learning", 2017, Eq 44-50, corrected.
    .. [2] A. Veit, M. Wilber, S. Belongie, "Residual Networks Behave Like Ensembles of Relatively Shallow
       Networks", NeurIPS 2016.

    See Also
    --------
    affine_map : A[x] and b[x] as a whole.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> class Twice(torch.nn.Module):
    ...     def forward(self, x):
    ...         for _ in range(3):
    ...             x = x + torch.relu(x)
    ...         return x
    >>> graph = sg.trace(Twice().eval(), torch.zeros(1, 1))
    >>> found = sg.paths(graph, torch.tensor([[1.0]]))
    >>> found.counts, found.contributions.flatten().tolist()
    ((1, 3, 3, 1), [1.0, 3.0, 3.0, 1.0])
    """
    require_graph(graph)
    branches = (branches,) if isinstance(branches, str) else branches
    if len(graph.outputs) > 1:
        raise ShapeError("paths needs a graph with one output", remedy="choose one with graph.output(i)")
    given = tuple(X) if isinstance(X, tuple | list) else (X,)
    if (branches is not None or subsets is not None) and by not in ("length", "block", "subset"):
        raise SplineGraphError(f"there are no branches by {by!r}", remedy="leave `branches` and `subsets` out")
    if subsets is not None and by != "subset":
        raise SplineGraphError(f"`subsets` goes with by='subset', not {by!r}", remedy="leave it out, or by='subset'")
    given = batches.promote(given, dtype)
    graph.check_inputs(given)
    plan = _plan(graph, given, by, branches, subsets)
    width = (len(given) + 1) * max(view.count for view in plan.views)
    fits = batches.ENTRIES // (batches.widest(graph) * width)
    with torch.no_grad():
        local = affine_map(graph, *given, dtype=dtype, batch_size=batches.part_size("batch_size", batch_size, fits))
        found = torch.cat([view.contributions(local) for view in plan.views], 1)
        value = local.value
    return PathDecomposition(
        graph, by, plan.names, plan.counts, found[:-1], found[-1], value, class_indices(value, classes),
        plan.branches, Provenance.of(graph, dtype=dtype, seed=0, by=by), local, plan.views,
    )  # fmt: skip


def _plan(
    graph: SplineGraph,
    given: tuple[Tensor, ...],
    by: By,
    branches: Sequence[str] | None,
    subsets: Iterable[Sequence[str]] | None,
) -> _Plan:
    if by not in get_args(By):
        raise SplineGraphError(f"there are no families by {by!r}", remedy=f"choose of {', '.join(get_args(By))}")
    if by in ("time", "layer", "source"):
        return _by_cell(graph, given, by)
    if branches is not None and not len(branches):
        raise SplineGraphError("no branch is named", remedy="name some, or leave `branches` out: those found are taken")
    known = find_branches(graph) if branches is None else marked_branches(graph, branches)
    if not known:
        raise SplineGraphError(
            f"{graph.name} has no residual branches", why="no value is joined with what a branch makes of it",
            remedy="mark modules: branches=['block1.conv', ...]" + ", or by='time'" * bool(find_cells(graph)),
        )  # fmt: skip
    if by == "subset":
        return _by_subset(graph, known, subsets)
    if by == "block":
        blocks = Blocks(known)
        counts = counted(graph, blocks, known)
        kept = tuple(range(1, len(known) + 1))
        return _Plan((View(blocks, len(counts), kept),), tuple(b.name for b in known), tuple(counts[1:]), known)
    lengths = Lengths(known)
    counts = counted(graph, lengths, known)
    names = tuple(f"length {j}" for j in range(len(counts)))
    return _Plan((View(lengths, len(counts), tuple(range(len(counts)))),), names, tuple(counts), known)


def _by_cell(graph: SplineGraph, given: tuple[Tensor, ...], by: Literal["time", "layer", "source"]) -> _Plan:
    cells = find_cells(graph)
    if not cells:
        raise SplineGraphError(
            f"{graph.name} has no time steps", why="it holds no torch.nn.RNN, GRU or LSTM",
            remedy="by='length' follows residual branches, which the cells of a hand-written loop are",
        )  # fmt: skip
    sources = Sources(cells, by)
    counts = sources.counts(graph, tuple(x[:1] for x in given))
    count = len(sources.names)
    return _Plan((View(sources, count, tuple(range(count))),), sources.names, tuple(counts))


def _by_subset(graph: SplineGraph, branches: tuple[Branch, ...], subsets: Iterable[Sequence[str]] | None) -> _Plan:
    names = [branch.name for branch in branches]
    if subsets is None:
        if len(names) > MOST_BRANCHES:
            raise SplineGraphError(
                f"{len(names)} branches have {2 ** len(names):,} subsets", remedy="name those wanted by `subsets`"
            )
        subsets = itertools.chain(*(itertools.combinations(names, size) for size in range(len(names) + 1)))
    wanted = [frozenset((one,) if isinstance(one, str) else one) for one in subsets]
    if unknown := sorted(frozenset().union(*wanted) - set(names)):
        raise SplineGraphError(f"there is no branch {unknown[0]!r}", remedy=f"choose of {', '.join(names)}")
    if not wanted or len(set(wanted)) < len(wanted):
        raise SplineGraphError("no subset is given" if not wanted else "a subset comes twice", remedy="name each once")
    views = tuple(exactly(branches, tuple(one)) for one in wanted)
    labels = tuple(" + ".join(name for name in names if name in one) or "skips only" for one in wanted)
    counts = [counted(graph, view.families, branches) for view in views]
    number = tuple(c[v.kept[0]] if v.kept[0] < len(c) else 0 for c, v in zip(counts, views, strict=True))
    return _Plan(views, labels, number, branches)

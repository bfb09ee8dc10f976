"""The factors of A[x]: one sparse matrix and one vector per operator (paper Eq 3-13, 31-50).

A chain of factors multiplies to the network's map (Eq 39-43); a residual block is a sum of two such
chains (Eq 44-47, with the parentheses and the W^(L) that the paper leaves out of its bias sum); a
recurrent module appears unrolled in time (Eq 48-50).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinegraph.analyses.batches import promote
from splinegraph.core.graph import SplineGraph, require_graph
from splinegraph.core.linearization import Linearization
from splinegraph.core.operator import Piece
from splinegraph.errors import ShapeError, SplineGraphError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["Factor", "Factors", "conv_matrix", "factors"]

ENTRIES = 2**24
"""Entries of the dense blocks from which the sparse rows are read."""


@dataclass(frozen=True, eq=False)
class Factor:
    """z = sum_i matrices[i] z_i + bias, for one node at one input.

    Parameters
    ----------
    name : str
        Node of the graph.
    args : tuple of str
        The nodes z_i that it reads.
    matrices : tuple of csr_array of shape (units, units of z_i)
        A_sigma of an activation is diagonal, A_rho of a pooling selects or averages, that of a
        convolution is block Toeplitz.
    bias : array of shape (units,)
    exact : bool
        False for a tangent.
    """

    name: str
    args: tuple[str, ...]
    matrices: tuple[csr_array, ...]
    bias: NDArray[np.float64]
    exact: bool

    @property
    def matrix(self) -> csr_array:
        """The matrix of a node with one argument."""
        if len(self.matrices) != 1:
            raise ShapeError(f"node {self.name!r} has {len(self.matrices)} arguments", remedy="use .matrices")
        return self.matrices[0]


@dataclass(frozen=True, eq=False)
class Factors(Mapping[str, Factor]):
    """The factors of all nodes at one input, by node name; made by `splinegraph.factors`."""

    graph: SplineGraph
    table: Mapping[str, Factor]
    units: Mapping[str, int]

    def __getitem__(self, name: str) -> Factor:
        return self.table[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.table)

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        entries = sum(m.nnz for factor in self.table.values() for m in factor.matrices)
        return f"<Factors of {self.graph.name}: {len(self)} nodes, {entries} nonzeros>"

    def product(self, end: str | None = None, start: str | None = None) -> tuple[csr_array, NDArray[np.float64]]:
        """Return (A, b) with z_end = A z_start + b: the factors multiplied along all paths.

        Parameters
        ----------
        end, start : str, optional
            Node names; default the output and the input of a graph that has one of each. Where paths lead
            around `start`, what they carry is counted with `start` held at zero, which is refused.
        """
        first = start or _only(self.graph.inputs, "inputs")
        last = end or _only(self.graph.outputs, "outputs")
        import scipy.sparse as sp

        maps: dict[str, tuple[Any, NDArray[np.float64]]] = {
            first: (sp.eye_array(self.units[first], format="csr"), np.zeros(self.units[first]))
        }
        for node in self._between(first, last):
            factor = self.table[node]
            maps[node] = (
                sum(m @ maps[arg][0] for m, arg in zip(factor.matrices, factor.args, strict=True)),
                sum((m @ maps[arg][1] for m, arg in zip(factor.matrices, factor.args, strict=True)), factor.bias),
            )
        matrix, bias = maps[last]
        return matrix, bias

    def _between(self, first: str, last: str) -> list[str]:
        """Return the nodes that `last` needs, in order, up to `first`."""
        needed, order = {last}, []
        for node in reversed(self.graph.nodes):
            if node.name not in needed or node.name == first:
                continue
            if node.is_input:
                raise SplineGraphError(
                    f"{last!r} is no function of {first!r} alone", why=f"a path from {node.name!r} leads around it",
                    remedy="start at a node that every path passes",
                )  # fmt: skip
            needed.update(node.args)
            order.append(node.name)
        return order[::-1]


def _only(names: Sequence[str], what: str) -> str:
    if len(names) != 1:
        raise ShapeError(f"the graph has {len(names)} {what}", remedy=f"name one of {', '.join(names)}")
    return names[0]


def factors(graph: SplineGraph, *inputs: Tensor) -> Factors:
    """Return the factor of every operator at one input.

    Parameters
    ----------
    graph : SplineGraph
    *inputs : Tensor of shape (1, *in)
        One sample.

    Returns
    -------
    Factors
        ``factors["relu"].matrix`` is A_sigma, ``factors["max_pool2d"].matrix`` is A_rho;
        ``factors.product()`` is (A[x], b[x]).

    Notes
    -----
    In float64. Every matrix is read off its operator's adjoint, in dense blocks of bounded size:
    O(units out x units in) time per operator. Meant for inspection of small layers; `affine_map` never
    forms these matrices.

    References
    ----------
    .. [1] R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Learning", 2017, Eq 3-13 and 31-50.
    """
    require_graph(graph)
    inputs = promote(inputs, torch.float64)
    if graph.check_inputs(inputs) != 1:
        raise ShapeError("factors are of one sample", remedy="give a batch of one, such as x[:1]")
    with torch.no_grad():
        pieces = Linearization(graph, inputs).pieces
        shapes = {node.name: node.shape for node in graph.nodes}
        table = {}
        for node in graph.operators:
            args = [shapes[arg] for arg in node.args]
            table[node.name] = _factor(node.name, node.args, pieces[node.name], node.shape, args)
    return Factors(graph, table, {name: math.prod(shape) for name, shape in shapes.items()})


def _factor(
    name: str, names: tuple[str, ...], piece: Piece, shape: tuple[int, ...], args: Sequence[tuple[int, ...]]
) -> Factor:
    import scipy.sparse as sp

    units = math.prod(shape)
    step = max(1, ENTRIES // max(units, *(math.prod(a) for a in args)))
    blocks: list[list[Any]] = [[] for _ in args]
    for start in range(0, units, step):
        seeds = torch.zeros(min(step, units - start), units, dtype=torch.float64)
        seeds[torch.arange(len(seeds)), torch.arange(start, start + len(seeds))] = 1.0
        for rows, g, arg in zip(blocks, piece.adjoint(seeds.reshape(-1, *shape)), args, strict=True):
            empty = sp.csr_array((len(seeds), math.prod(arg)))
            rows.append(empty if g is None else sp.csr_array(g.reshape(len(seeds), -1).numpy()))
    zeros = [torch.zeros(a, dtype=torch.float64) for a in args]
    bias = piece.apply(*zeros).to(torch.float64).reshape(-1).numpy()
    return Factor(name, names, tuple(sp.vstack(rows, format="csr") for rows in blocks), bias, piece.exact)


def conv_matrix(
    weight: Tensor,
    in_shape: Sequence[int],
    *,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> csr_array:
    """Return a convolution as a sparse matrix (paper Eq 4-8, as frameworks compute it: cross-correlation).

    Parameters
    ----------
    weight : Tensor of shape (out, in / groups, *kernel)
    in_shape : sequence of int
        (channels, *spatial) of one sample; outside of it there are zeros.
    stride, padding, dilation : int or one per spatial axis
    groups : int

    Returns
    -------
    csr_array of shape (out * prod(spatial out), channels * prod(spatial))
        Rows and columns in the order of a flattened sample. With stride s it holds every s-th row of the
        matrix for stride 1; groups are zero blocks. At most out * prod(spatial out) * in / groups *
        prod(kernel) nonzeros.

    Raises
    ------
    ShapeError
        If the weight does not fit the input.

    Examples
    --------
    >>> conv_matrix(torch.tensor([[[1.0, 2.0]]]), (1, 3)).toarray().tolist()
    [[1.0, 2.0, 0.0], [0.0, 1.0, 2.0]]
    """
    import scipy.sparse as sp

    out_channels, per_group, *kernel = weight.shape
    channels, *sizes = in_shape
    d = len(kernel)
    if len(sizes) != d or channels != per_group * groups or out_channels % groups:
        raise ShapeError(f"a weight of shape {tuple(weight.shape)} in {groups} group(s) does not fit {tuple(in_shape)}")
    strides, pads, steps = (([v] * d if isinstance(v, int) else list(v)) for v in (stride, padding, dilation))
    axes = zip(sizes, kernel, strides, pads, steps, strict=True)
    outs = [(n + 2 * p - a * (k - 1) - 1) // s + 1 for n, k, s, p, a in axes]
    if min(outs) < 1:
        raise ShapeError(f"the kernel {tuple(kernel)} is larger than the padded input {tuple(sizes)}")
    # spatial positions: window w (one of prod(outs)) sees, through tap t, place[w, t] or nothing
    windows = np.indices(outs).reshape(d, -1, 1)
    taps = np.indices(kernel).reshape(d, 1, -1)
    place = np.zeros((math.prod(outs), math.prod(kernel)), dtype=np.int64)
    inside = np.ones_like(place, dtype=bool)
    for axis in range(d):
        position = windows[axis] * strides[axis] - pads[axis] + taps[axis] * steps[axis]
        inside &= (position >= 0) & (position < sizes[axis])
        place = place * sizes[axis] + position
    window, tap = np.nonzero(inside)
    o, i = (g.reshape(-1, 1) for g in np.indices((out_channels, per_group)).reshape(2, -1))
    channel = o // (out_channels // groups) * per_group + i
    rows = o * math.prod(outs) + window
    columns = channel * math.prod(sizes) + place[window, tap]
    values = weight.detach().to(torch.float64).reshape(out_channels * per_group, -1).numpy()[:, tap]
    shape = (out_channels * math.prod(outs), channels * math.prod(sizes))
    return sp.csr_array((values.ravel(), (rows.ravel(), columns.ravel())), shape=shape)

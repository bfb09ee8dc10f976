"""The cells of recurrent modules that are unrolled in time, and the paths through them (paper Eq 48-50, corrected)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Literal

import torch
from torch import Tensor

from splinegraph.analyses.paths.families import Families, Moves
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.linearization import Linearization
from splinegraph.core.operator import Operator
from splinegraph.core.walk import walk

__all__ = ["Cell", "Sources", "find_cells", "lattice_counts"]

ENTRIES = 2**26
"""Numbers up to which paths are counted: half a GiB. They grow with the square of the number of cells."""


@dataclass(frozen=True, order=True)
class Cell:
    """One step of one layer.

    Parameters
    ----------
    layer : int
        From 1 on, counted through all recurrent modules of the network.
    step : int
        From 1 on, in the order of the sequence.
    strand : str
        Tells the directions of a layer apart: the node that holds what enters at each step.
    """

    layer: int
    step: int
    strand: str


def find_cells(graph: SplineGraph) -> dict[str, Cell]:
    """Return for each node inside an unrolled step which cell it belongs to; empty without recurrent modules."""
    found: dict[str, Cell] = {}
    depth: dict[str, int] = {}
    for node in graph.nodes:
        before = max((depth[arg] for arg in node.args), default=0)
        if node.step is None:
            depth[node.name] = before
            continue
        known = next((found[arg] for arg in node.args if arg in found), None)
        layer, strand = (before + 1, node.args[0]) if known is None else (known.layer, known.strand)
        found[node.name], depth[node.name] = Cell(layer, node.step + 1, strand), layer
    return found


class Sources(Families):
    """Family of a path: the cell that it enters first, or that its bias enters or is in; 0 if it meets none.

    What a layer multiplies for all steps at once (W_in x^t + b) enters with the slice of its step.

    Parameters
    ----------
    cells : mapping from node name to Cell
    by : {'time', 'layer', 'source'}
        Whether the cells of a step, of a layer, or of both are one family.
    """

    def __init__(self, cells: Mapping[str, Cell], by: Literal["time", "layer", "source"]) -> None:
        def key(cell: Cell) -> tuple[int, int]:
            return (0 if by == "time" else cell.layer, 0 if by == "layer" else cell.step)

        kinds = sorted({key(cell) for cell in cells.values()})
        self._family = {name: 1 + kinds.index(key(cell)) for name, cell in cells.items()}
        self._cells = cells
        parts = [[f"layer {layer}"] * bool(layer) + [f"step {step}"] * bool(step) for layer, step in kinds]
        self.names = ("outside", *(" ".join(part) for part in parts))

    def carried(self, node: Node, position: int, width: int) -> Moves | None:
        """Return the move of what is in no cell yet into that which it enters."""
        mine = self._entered(node, position)
        if mine is None:
            return None
        stay: list[list[int]] = [[j] * (0 < j < width) for j in range(max(width, mine + 1))]
        stay[mine].append(0)
        return stay

    def carried_back(self, node: Node, position: int, width: int) -> Moves | None:
        """Return the move of everything: seen from the outputs, the cell entered last is the first one."""
        mine = self._entered(node, position)
        return None if mine is None else [range(width) if j == mine else () for j in range(mine + 1)]

    def home(self, node: Node) -> int:
        """Return the family of the node's cell."""
        return self._family.get(node.name, 0)

    def counts(self, graph: SplineGraph, x: tuple[Tensor, ...]) -> list[int | None]:
        """Return how many paths each family has, one per way through the cells; None where that is not known."""
        known = lattice_counts(graph, x, self._cells)
        if known is None:
            return [None] * len(self.names)
        family = {cell: self._family[name] for name, cell in self._cells.items()}
        return [None, *(sum(n for c, n in known.items() if family[c] == i) for i in range(1, len(self.names)))]

    def _entered(self, node: Node, position: int) -> int | None:
        """Return the family of the cell into which an edge leads from outside of all cells."""
        outside = node.name in self._cells and node.args[position] not in self._cells
        return self._family[node.name] if outside else None


def lattice_counts(graph: SplineGraph, x: tuple[Tensor, ...], cells: Mapping[str, Cell]) -> dict[Cell, int] | None:
    """Return how many ways lead from each cell to the output, from cell to cell.

    In a stack of L layers over T steps, read at its end, C(T - t + L - l, L - l) from (l, t): in all
    C(T + L, L) - 1.

    Parameters
    ----------
    graph : SplineGraph
        With one output.
    x : tuple of Tensor of shape (1, *in)
    cells : mapping from node name to Cell

    Returns
    -------
    dict from Cell to int, or None
        None if there are too many cells.

    Notes
    -----
    What all steps share (a product for all of them at once) does not connect them: which cell reaches which
    is found with random directions, so that weights that are zero make no way, and gates are left out.
    """
    order = list(dict.fromkeys(cells.values()))
    index = {cell: i for i, cell in enumerate(order)}
    sizes = sum(math.prod(graph[name].shape) for name in cells)
    if len(order) * sizes > ENTRIES:
        return None
    pieces = Linearization(graph, x).pieces
    generator = torch.Generator().manual_seed(0)
    before: dict[int, set[int]] = {i: set() for i in range(len(order))}

    def reached(args: tuple[Tensor, ...]) -> Tensor:
        """Return which cells are felt, shape (cells,)."""
        return torch.stack([(arg != 0).flatten(1).any(1) for arg in args]).any(0)

    def rule(node: Node, op: Operator, args: tuple[Tensor, ...]) -> Tensor:
        felt = reached((pieces[node.name].tangent(*args),) if op.family == "affine" else args)
        if node.name in cells:
            mine = index[cells[node.name]]
            before[mine].update(i for i in felt.nonzero()[:, 0].tolist() if i != mine)
            felt = torch.zeros_like(felt)
            felt[mine] = True
        elif op.family == "affine":
            return pieces[node.name].tangent(*args)
        return felt.reshape(-1, *[1] * len(node.shape)) * torch.randn(node.shape, generator=generator).to(x[0])

    starts = [given.new_zeros(len(order), *given.shape) for given in x]
    (end,), _ = walk(graph, starts, rule)
    ways = reached((end,)).long().tolist()
    for late in reversed(list(TopologicalSorter(before).static_order())):
        for early in before[late]:
            ways[early] += ways[late]
    return {cell: ways[i] for cell, i in index.items()}

"""What a network computes on some faces: every value as an affine function of two coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinegraph.analyses.packing import pack, unpack
from splinegraph.analyses.regions.stream.plan import Plan
from splinegraph.core.domains.chart import Chart
from splinegraph.core.graph import Node
from splinegraph.core.layout import BatchLayout
from splinegraph.core.operator import Operator, Piece, SplineOperator
from splinegraph.errors import SplineGraphError

__all__ = ["Frame", "State", "advance", "replay", "root"]

Forms = tuple[Tensor, Tensor]
"""A value in the middle of the frame, shape (..., B, ...), and its two derivatives, shape (2, ..., B, ...)."""


@dataclass(frozen=True, eq=False)
class Frame:
    """Coordinates (s, t) in [-1, 1]^2 of a chart's bounding box."""

    chart: Chart
    center: NDArray[np.float64]
    half: NDArray[np.float64]

    @classmethod
    def of(cls, chart: Chart) -> Frame:
        """Return the frame of a bounded chart."""
        lower, upper = chart.lower.double().numpy(), chart.upper.double().numpy()
        return cls(chart, (lower + upper) / 2, (upper - lower) / 2)

    def outside(self, corners: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return points of the frame in the chart's coordinates."""
        return self.center + corners * self.half


@dataclass(frozen=True, eq=False)
class State:
    """The values that later nodes need, on B faces, and the codes of the nodes before.

    Parameters
    ----------
    values : dict from name to Forms
    packed : array of uint8, shape (B, bytes so far)
    """

    values: dict[str, Forms]
    packed: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.packed)

    def rows(self, plan: Plan, names: Sequence[str]) -> NDArray[np.float64]:
        """Return the forms of some values, flattened and put one behind the other: (B, 3, entries)."""
        parts = []
        for name in names:
            value, slope = self.values[name]
            layout, count = plan.graph[name].layout, len(self)
            if layout is not None and count > 1:
                value, slope = layout.samples_first(value), _behind(layout).samples_first(slope)
            middle, slopes = value.reshape(count, 1, -1), slope.reshape(count, 2, -1)
            parts.append(torch.cat([middle.double(), slopes.double()], 1))
        return (parts[0] if len(parts) == 1 else torch.cat(parts, 2)).numpy()

    def take(self, plan: Plan, index: Sequence[int]) -> State:
        """Return the state on chosen faces."""
        if list(index) == list(range(len(self))):
            return self
        chosen, values = torch.tensor(index), {}
        for name, (value, slope) in self.values.items():
            layout = plan.graph[name].layout
            assert layout is not None  # else faces go one at a time
            values[name] = (_rows(layout, value, chosen), _rows(_behind(layout), slope, chosen))
        return State(values, self.packed[np.asarray(index)])


def _behind(layout: BatchLayout) -> BatchLayout:
    """Return the layout behind one leading axis."""
    return replace(layout, axis=layout.axis + 1)


def _rows(layout: BatchLayout, value: Tensor, chosen: Tensor) -> Tensor:
    return layout.samples_back(layout.samples_first(value).index_select(0, chosen)).contiguous()


def _shaped(node: Node, units: Tensor) -> Tensor:
    """Return codes of shape (B, *units) as the node has them."""
    return units[0] if node.layout is None else node.layout.samples_back(units).contiguous()


def root(plan: Plan, frame: Frame) -> State:
    """Return the state behind the inputs, on one face: the whole domain."""
    middle = frame.chart.lift(torch.from_numpy(frame.center)[None])
    slopes = frame.chart.basis()
    half = torch.from_numpy(frame.half)
    values = {
        name: (x, v.double().reshape(2, 1, *v.shape[1:]) * half.reshape(2, *(1,) * v.dim()))
        for name, x, v in zip(plan.graph.inputs, middle, slopes, strict=True)
    }
    return State(values, np.zeros((1, 0), dtype=np.uint8))


def advance(plan: Plan, stage: int, state: State, codes: NDArray[np.int32] | None) -> State:
    """Run a stage on all faces, whose codes of the stage's node are given, shape (B, units)."""
    here = plan.stages[stage]
    operators, values = plan.operators(len(state)), dict(state.values)
    packed = state.packed
    nodes: list[Node] = list(here.stretch)
    with torch.no_grad():
        if here.node is not None and here.layer is not None and codes is not None:
            layer = here.layer
            code = torch.from_numpy(codes).to(layer.dtype)
            packed = np.concatenate([packed, pack(code, layer.bits)], axis=1)
            code = _shaped(here.node, code.reshape(len(state), *layer.shape))
            values[here.node.name] = _apply(plan, here.node, operators[here.node.name], values, code)
        for name in here.drop[0]:
            values.pop(name, None)
        for node, drop in zip(nodes, here.drop[1:], strict=True):
            values[node.name] = _apply(plan, node, operators[node.name], values, None)
            for name in drop:
                del values[name]
    return State(values, packed)


def _apply(plan: Plan, node: Node, operator: Operator, values: dict[str, Forms], code: Tensor | None) -> Forms:
    """Return a node's value and derivatives, on the pieces that the code names."""
    args = [values[arg] for arg in node.args]
    xs = [x for x, _ in args]
    assert isinstance(operator, SplineOperator)
    try:
        shapes = [x.shape for x in xs]
        piece: Piece = operator.linearize(*xs) if code is None else operator.piece(code, shapes)
        return piece.apply(*xs), piece.tangent(*(v for _, v in args))
    except SplineGraphError:
        raise
    except Exception as error:
        error.add_note(f"in {node.where} ({operator.label})")
        raise


def replay(plan: Plan, frame: Frame, stage: int, prefix: NDArray[np.uint8]) -> State:
    """Return the state in front of a stage where the codes so far are those of a packed prefix."""
    state = advance(plan, 0, root(plan, frame), None)
    for i in range(1, stage):
        layer = plan.stages[i].layer
        assert layer is not None
        codes = unpack(prefix[None, layer.start : layer.stop], layer.units, layer.bits, layer.dtype)
        state = advance(plan, i, state, codes.int().numpy())
    return state

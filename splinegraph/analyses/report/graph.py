"""The sections on the graph and on the inputs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from splinegraph.analyses.report.labels import Labels
from splinegraph.analyses.report.names import shown_names
from splinegraph.analyses.report.registry import section
from splinegraph.analyses.report.study import Collector, Part, Study
from splinegraph.analyses.report.values import Section, plural
from splinegraph.core.describe import kind, shape_text
from splinegraph.core.graph import Input, Node, SplineGraph
from splinegraph.core.parameters import leaves
from splinegraph.core.values import Curvature
from splinegraph.errors import one_line

__all__ = ["GraphSection", "InputsSection", "NodeRow", "describe_graph", "graph_section", "inputs_section"]


KNOWN = ("spline", "smooth", "bilinear", "discontinuous")
"""Families whose operators know their curvature wholly: where they claim none on all of space, there is none."""

EVERYWHERE = (-math.inf, math.inf)

KINDS = 4
"""How many kinds of operators a headline names."""


@dataclass(frozen=True)
class NodeRow:
    """One node of the graph, as plain values.

    Parameters
    ----------
    name, operator, family : str
    kind : str
        'exact', or why it is not.
    exact, continuous : bool
    shape : str
    reads : tuple of str
        Names of the nodes that it reads.
    module, source : str
        Path in the model, and 'file:line' in the code.
    step : int or None
        Of a loop.
    curvature : {'affine', 'convex', 'concave', 'neither', ''}
        Of the operator itself, entry by entry as a function of its arguments on all of space; '' of inputs and of
        operators that nothing is known of.
    parameters : int
        Entries of the trainable tensors that it reads; one that is shared counts at each node.
    """

    name: str
    operator: str
    family: str
    kind: str
    exact: bool
    continuous: bool
    shape: str
    reads: tuple[str, ...]
    module: str
    source: str
    step: int | None
    curvature: str
    parameters: int

    @property
    def place(self) -> str:
        """Module path, time step and source line."""
        step = "" if self.step is None else f"t={self.step}"
        return " ".join(part for part in (self.module, step, self.source) if part)


@dataclass(frozen=True, eq=False, repr=False)
class GraphSection(Section):
    """The operators, and whether the network is exactly piecewise affine.

    Parameters
    ----------
    name : str
    exact, continuous : bool
        Whether every operator is piecewise affine, and whether every one is continuous.
    obstacles : tuple of str
        Names of the nodes because of which it is not piecewise affine.
    jumps : tuple of str
        Names of the nodes that are not continuous.
    inputs, outputs : mapping from name to shape of one sample
    operators, parameters, buffers : int
        Numbers of operators, and of entries of trainable and other tensors.
    batched : bool
        False if the graph runs one sample at a time.
    notes : tuple of str
        Remarks of the trace.
    nodes : tuple of NodeRow
    """

    name: str
    exact: bool
    continuous: bool
    obstacles: tuple[str, ...]
    jumps: tuple[str, ...]
    inputs: dict[str, tuple[int, ...]]
    outputs: dict[str, tuple[int, ...]]
    operators: int
    parameters: int
    buffers: int
    batched: bool
    notes: tuple[str, ...]
    nodes: tuple[NodeRow, ...]

    @property
    def headline(self) -> str:
        if self.obstacles:
            return f"not piecewise affine, because of {self._named(self.obstacles)}"
        if self.jumps:
            return f"exactly piecewise affine, but not continuous because of {self._named(self.jumps)}"
        return "exactly piecewise affine: continuous, and affine on each cell"

    def _named(self, names: tuple[str, ...]) -> str:
        """Return the operators of some nodes, each once, with how often and where first."""
        first: dict[str, NodeRow] = {}
        times: dict[str, int] = {}
        by_name = {row.name: row for row in self.nodes}
        for row in map(by_name.__getitem__, names):
            what = f"{row.operator} ({row.family})" if row.family != row.operator.lower() else row.operator
            first.setdefault(what, row)
            times[what] = times.get(what, 0) + 1
        found = [_once(what, times[what], row) for what, row in first.items()]
        more = [f"{len(found) - KINDS} more kinds"] if len(found) > KINDS + 1 else []
        return ", ".join([*found[:KINDS], *more] if more else found)


def _once(what: str, times: int, row: NodeRow) -> str:
    where = row.module or row.source or row.name
    return f"{times} {what}, first at {where}" if times > 1 else f"{what} at {where}"


@section("graph", order=0)
def graph_section(study: Study) -> GraphSection:
    """Describe the graph."""
    return describe_graph(study.graph)


def describe_graph(graph: SplineGraph) -> GraphSection:
    """Return the operators of a graph, and whether it is exactly piecewise affine, as plain values.

    Names and texts are on one line and free of control characters.
    """
    names = shown_names(graph)
    tensors = list(graph.parameters())
    trainable = [t for t in tensors if isinstance(t, nn.Parameter)]
    entries = sum(t.numel() for t in trainable)
    return GraphSection(
        name=one_line(graph.name),
        exact=graph.exact,
        continuous=graph.continuous,
        obstacles=tuple(names[node.name] for node in graph.obstacles),
        jumps=tuple(names[node.name] for node in graph.operators if not node.op.continuous),
        inputs=dict(zip(map(names.__getitem__, graph.inputs), graph.input_shapes, strict=True)),
        outputs=dict(zip(map(names.__getitem__, graph.outputs), graph.output_shapes, strict=True)),
        operators=len(graph.operators),
        parameters=entries,
        buffers=sum(t.numel() for t in tensors) - entries,
        batched=graph.batched,
        notes=tuple(map(one_line, graph.notes)),
        nodes=tuple(_row(node, names) for node in graph.nodes),
    )


def _row(node: Node, names: Mapping[str, str]) -> NodeRow:
    held = node.operator
    is_input = isinstance(held, Input)
    return NodeRow(
        name=names[node.name],
        operator=one_line(held.label),
        family="input" if isinstance(held, Input) else one_line(held.family),
        kind=one_line(kind(node)),
        exact=is_input or node.op.piecewise_affine,
        continuous=is_input or node.op.continuous,
        shape=shape_text(node),
        reads=tuple(map(names.__getitem__, node.args)),
        module=one_line(node.module),
        source=one_line(node.source),
        step=node.step,
        curvature="" if is_input else _curvature(node),
        parameters=sum(t.numel() for t in leaves(node.operator) if isinstance(t, nn.Parameter)),
    )


def _curvature(node: Node) -> str:
    """Return what an operator declares of its curvature on all of space; '' if it may not know."""
    try:
        flags = node.op.curvature()
    except Exception:  # noqa: BLE001  # an operator of the user's, or one that has to know its arguments
        return ""
    if flags.numel() and bool(flags.all()):
        for name in ("AFFINE", "CONVEX", "CONCAVE"):
            if bool(Curvature[name].held_by(flags).all()):
                return name.lower()
        return "neither"  # some entries are convex, others concave
    whole = getattr(getattr(node.op, "profile", None), "domain", EVERYWHERE) == EVERYWHERE
    return "neither" if node.op.family in KNOWN and whole else ""


@dataclass(frozen=True, eq=False, repr=False)
class InputsSection(Section):
    """What the network was looked at on.

    Parameters
    ----------
    samples : int
    random : bool
        Whether they are random and no data.
    token_orders : bool
        Whether these are random orders of the embeddings of the example's tokens; else they are standard normal.
    lowest, highest : float
        Range of the inputs.
    finite : int
        How many samples have a finite output.
    labels : bool
        Whether classes are known.
    classes : tuple of str or None
        Their names, by number, where they have any.
    accuracy : float or None
        Share of the samples whose largest output is that of their label; None if this has no meaning.
    no_accuracy : str or None
        Why there is none although labels are known; else None.
    """

    samples: int
    random: bool
    token_orders: bool
    lowest: float
    highest: float
    finite: int
    labels: bool
    classes: tuple[str, ...] | None
    accuracy: float | None
    no_accuracy: str | None

    @property
    def headline(self) -> str:
        random = "orders of the example's token embeddings" if self.token_orders else "standard normal inputs"
        what = (
            f"{self.samples} random {random}, not data" if self.random else f"{plural(self.samples, 'sample')} of data"
        )
        parts = [f"{what}, values from {self.lowest:.4g} to {self.highest:.4g}"]
        if self.accuracy is not None:
            parts.append(f"accuracy {100 * self.accuracy:.2f} %")
        elif self.no_accuracy:
            parts.append(f"no accuracy: {self.no_accuracy}")
        if self.finite < self.samples:
            parts.append(f"{plural(self.samples - self.finite, 'output')} NaN or infinite")
        return ", ".join(parts)


class Seen(Collector):
    """The range of the inputs, and what the network says to them."""

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        self.lowest, self.highest = math.inf, -math.inf
        self.finite, self.right = 0, 0
        shapes = study.graph.output_shapes
        self._scores = len(shapes) == 1 and len(shapes[0]) == 1

    def add(self, part: Part) -> None:
        for x in part.inputs:
            low, high = torch.aminmax(x)
            self.lowest, self.highest = min(self.lowest, float(low)), max(self.highest, float(high))
        outputs = self.study.graph(*part.inputs, dtype=self.study.dtype)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        self.finite += int(torch.stack([y.isfinite().reshape(len(y), -1).all(1) for y in outputs]).all(0).sum())
        if self._scores and part.labels is not None:
            self.right += int((outputs[0].argmax(1).cpu() == part.labels.cpu()).sum())


@section("inputs", needs=(Seen, Labels), order=10)
def inputs_section(study: Study) -> InputsSection:
    """Describe the inputs, and what the network says to them."""
    seen, labels = study[Seen], study[Labels]
    return InputsSection(
        samples=len(study),
        random=study.random,
        token_orders=study.token_orders,
        lowest=seen.lowest,
        highest=seen.highest,
        finite=seen.finite,
        labels=study.source.labeled,
        classes=labels.classes,
        accuracy=seen.right / len(study) if labels.judged else None,
        no_accuracy=labels.why_not,
    )

"""A graph for people to read, and for networkx."""

from __future__ import annotations

from typing import TYPE_CHECKING

from splinegraph.core.graph import Input, Node, SplineGraph
from splinegraph.core.notebook import ROWS, page

if TYPE_CHECKING:
    import networkx

__all__ = ["as_html", "describe", "shape_text", "to_networkx"]


def shape_text(node: Node) -> str:
    """Return the shape with the batch axis as B, such as 'B×8×4×4' or '4×2B×8'."""
    layout, sizes = node.layout, [str(n) for n in node.shape]
    if layout is not None and layout.axis < len(sizes):
        factors = [str(f) for f in (layout.outer, "B", layout.inner) if f != 1]
        sizes[layout.axis] = "·".join(factors)
    return "×".join(sizes) or "scalar"


def kind(node: Node) -> str:
    """Return 'exact' for a piecewise affine operator, else the reason why it is not."""
    if node.is_input:
        return ""
    if node.op.piecewise_affine:
        return "exact" if node.op.continuous else "exact, discontinuous"
    return node.op.family


def describe(graph: SplineGraph) -> str:
    """Return one line per node: name, operator, shape, exact or not, module and time step; then the notes."""
    rows = [("node", "operator", "shape", "kind", "reads", "module")]
    for node in graph.nodes:
        step = "" if node.step is None else f" t={node.step}"
        rows.append(
            (
                node.name,
                node.operator.label,
                shape_text(node),
                kind(node),
                ", ".join(node.args),
                node.module + step,
            )
        )
    widths = [min(max(len(row[i]) for row in rows), 44) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    notes = [f"note: {note}" for note in graph.notes]
    return "\n".join([_title(graph), *lines, *notes])


def _title(graph: SplineGraph) -> str:
    obstacles = ", ".join(sorted({f"{n.op.label} ({n.op.family})" for n in graph.obstacles}))
    verdict = "exactly piecewise affine" if graph.exact else f"not piecewise affine because of {obstacles}"
    return f"{graph.name}: {len(graph.operators)} operators, {verdict}"


def as_html(graph: SplineGraph) -> str:
    """Return a graph as HTML for a notebook: what it is, and its first nodes."""
    rows = [
        (node.name, node.operator.label, shape_text(node), kind(node), ", ".join(node.args), node.module, node.source)
        for node in graph.nodes[:ROWS]
    ]
    facts = {
        "inputs": ", ".join(graph.inputs),
        "outputs": ", ".join(graph.outputs),
        **({"notes": "; ".join(graph.notes)} if graph.notes else {}),
    }
    columns = ("node", "operator", "shape", "kind", "reads", "module", "source")
    more = f", the first {ROWS} of {len(graph.nodes):,}" if len(graph.nodes) > ROWS else ""
    return page(_title(graph), facts, [(f"nodes{more}", columns, rows)])


def to_networkx(graph: SplineGraph) -> networkx.DiGraph[str]:
    """Return the operator graph as a DiGraph; node and edge attributes are strings, ints and bools."""
    import networkx as nx

    result: networkx.DiGraph[str] = nx.DiGraph(name=graph.name)
    for order, node in enumerate(graph.nodes):
        result.add_node(
            node.name, order=order, operator=node.operator.label, shape=shape_text(node), module=node.module,
            source=node.source, step=-1 if node.step is None else node.step,
            family="input" if isinstance(node.operator, Input) else node.operator.family,
            exact=node.is_input or node.op.piecewise_affine, output=node.name in graph.outputs,
        )  # fmt: skip
        # an operator may read one node twice (x * x): a DiGraph keeps one edge, with how often
        for position, arg in enumerate(node.args):
            if result.has_edge(arg, node.name):
                result.edges[arg, node.name]["times"] += 1
            else:
                result.add_edge(arg, node.name, argument=position, times=1)
    return result

"""The activation graph on the command line: its options, and what is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from splinegraph.cli.options import add_options

if TYPE_CHECKING:
    from splinegraph.analyses.activation.result import ActivationGraph
    from splinegraph.cli.opening import Opened
    from splinegraph.cli.progress import Stages
    from splinegraph.cli.request import Request

__all__ = ["ASKED", "activation_options", "check_asked", "export_activation"]

C = TypeVar("C", bound=Callable[..., Any])

ASKED = ("labels", "coarsen", "max_nodes", "limit", "dtype")
"""Options of the activation graph alone."""

_OPTIONS = (
    click.option("--labels", metavar="NAME", help="Activation graph: name of the classes in the file. Default: y."),
    click.option(
        "--coarsen", metavar="HOW",
        help="Activation graph: merge cells of wide layers: channel-any, channel-majority, position-any, "
        "position-majority, top-K, informative-K or clusters-K, K a number.",
    ),
    click.option(
        "--max-nodes", type=click.IntRange(min=2), default=1000, show_default=True, metavar="N",
        help="Activation graph: keep the largest nodes; the others of a layer become one.",
    ),
    click.option(
        "--limit", type=click.IntRange(min=1), metavar="N",
        help="Activation graph: take the first N samples. Default: all.",
    ),
    click.option(
        "--dtype", type=click.Choice(["float32", "float64"]), default="float64", show_default=True,
        help="Activation graph: arithmetic that codes are decided in.",
    ),
)  # fmt: skip


def activation_options(command: C) -> C:
    """Add what can be asked of the activation graph."""
    return add_options(_OPTIONS, command)


def check_asked(ctx: click.Context, graph: str, data: str | None) -> None:
    """Refuse options that the chosen graph does not have, before anything is opened."""
    if graph == "activation" and data is None:
        raise click.UsageError("--graph activation needs --data: the inputs whose cells are shown")
    given = [name for name in ASKED if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE]
    if graph != "activation" and given:
        raise click.UsageError(f"--{given[0].replace('_', '-')} is for --graph activation")


def export_activation(
    opened: Opened, request: Request, asked: Mapping[str, Any], out: Path, form: str, progress: Stages
) -> list[str]:
    """Make the graph and write it; return what to tell."""
    import torch

    from splinegraph.analyses.activation.activation_graph import activation_graph

    progress("counting")
    found = activation_graph(
        opened.graph, _data(opened, request, asked["labels"]), coarsen=asked["coarsen"], seed=request.seed,
        dtype=getattr(torch, request.dtype),
    )  # fmt: skip
    progress("writing")
    nodes, edges = _written(found, out, form, asked["max_nodes"])
    told = [f"wrote {out}: {nodes} nodes and {edges} edges of the activation graph", repr(found).strip("<>")]
    return [*told, *found.notes]


def _data(opened: Opened, request: Request, labels: str | None) -> Any:
    from splinegraph.cli.opening import is_attribute
    from splinegraph.data.reading import read_data

    if labels is None:
        return opened.samples()
    assert request.data is not None
    if is_attribute(request.data):
        raise click.UsageError("--labels names an array of a file; let the dataset give the classes")
    return opened.samples(read_data(request.data, labels, limit=request.limit))


def _written(found: ActivationGraph, out: Path, form: str, max_nodes: int) -> tuple[int, int]:
    from splinegraph.export import graphs

    drawn = found.to_networkx(max_nodes=max(max_nodes, 2 * len(found.layers)))
    if form in graphs.SUFFIXES:
        graphs.save_figure(found.plot(max_nodes=max_nodes), out, kind=form)
    else:
        writers = {"gexf": graphs.write_gexf, "graphml": graphs.write_graphml, "json": graphs.write_json}
        writers[form](drawn, out)
    return len(drawn), drawn.number_of_edges()

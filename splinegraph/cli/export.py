"""`splinegraph export`: a graph of the network as a file for Gephi, networkx or a page."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from splinegraph.cli.activation import activation_options, check_asked, export_activation
from splinegraph.cli.options import TARGET, model_options
from splinegraph.errors import one_line

if TYPE_CHECKING:
    from splinegraph.core.graph import SplineGraph

__all__ = ["export"]

GRAPHS = ("operators", "activation")
"""What can be exported."""

FORMATS = ("gexf", "graphml", "json", "svg", "png", "pdf")


def _writer(form: str) -> Callable[[SplineGraph, Path], Path]:
    from splinegraph.export import graphs

    writers: dict[str, Callable[[SplineGraph, Path], Path]] = {
        "gexf": graphs.write_gexf,
        "graphml": graphs.write_graphml,
        "json": graphs.write_json,
    }
    return writers.get(form, functools.partial(graphs.save_figure, kind=form))


@click.command(short_help="Write a graph of a network for Gephi, networkx or a page.", epilog=TARGET)
@model_options
@click.option(
    "--graph", type=click.Choice(GRAPHS), default="operators", show_default=True, help="Which graph to write.",
)  # fmt: skip
@click.option(
    "--format", "form", type=click.Choice(FORMATS), help="Kind of file. Default: what the name of --out ends in.",
)  # fmt: skip
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="FILE", help="File to write.")
@activation_options
@click.pass_context
def export(ctx: click.Context, /, graph: str, form: str | None, out: Path, trust: bool, **asked: Any) -> None:
    """Write the operator graph of a network, or the activation graph of data, to a file.

    GEXF opens in Gephi, GraphML in yEd, Gephi and Cytoscape, JSON is networkx's node-link format; positions,
    sizes and colors are in the file. SVG, PNG and PDF are figures. The nodes of the activation graph are the cells of
    each layer that the data visit, the edges go from the cell of one layer to that of the next.

    \b
    Examples:
      splinegraph export model.py --out net.gexf
      splinegraph export model.onnx --out net.svg
      splinegraph export model.py --graph activation --data digits.npz \\
          --coarsen clusters-16 --out cells.gexf
    """
    from splinegraph.cli.opening import open_graph
    from splinegraph.cli.progress import stages
    from splinegraph.cli.request import Request
    from splinegraph.export.files import check_writable

    if out.is_dir():
        raise click.UsageError(f"--out {out} is a folder; name a file in it, such as {out / 'graph.gexf'}")
    suffix = form or out.suffix.lstrip(".").lower()
    if suffix not in FORMATS:
        raise click.UsageError(f"{str(out)!r} ends in no known format; give --format, one of {', '.join(FORMATS)}")
    check_asked(ctx, graph, asked["data"])
    check_writable(out)
    extra = {name: asked.pop(name) for name in ("labels", "coarsen", "max_nodes")}
    with stages(shown=True) as progress:
        request = Request(**asked)
        opened = open_graph(request, trust=trust, command=ctx.command_path, progress=progress)
        if graph == "activation":
            told = export_activation(opened, request, extra, out, suffix, progress)
        else:
            progress("writing")
            path = _writer(suffix)(opened.graph, out)
            told = [f"wrote {path}: {len(opened.graph.nodes)} nodes of {opened.graph.name}"]
    for line in told:
        click.echo(one_line(line))

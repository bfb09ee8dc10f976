"""`splinegraph trace`: the operators of a network as a table or a tree."""

from __future__ import annotations

from typing import Any

import click

from splinegraph.cli.options import TARGET, model_options

__all__ = ["trace"]


@click.command(short_help="Show the operators of a network.", epilog=TARGET)
@model_options
@click.option("--tree", is_flag=True, help="Nest the operators by module, instead of a table.")
@click.pass_context
def trace(ctx: click.Context, /, tree: bool, trust: bool, **asked: Any) -> None:
    """Show the operators of a network, and whether it is exactly piecewise affine.

    The model is traced, and the graph is compared with it: what is shown computes what the model computes.

    \b
    Examples:
      splinegraph trace model.py --input-shape 1,28,28
      splinegraph trace model.onnx --tree
    """
    from rich.console import Console

    from splinegraph.analyses.report.graph import describe_graph
    from splinegraph.cli.opening import open_graph
    from splinegraph.cli.progress import stages
    from splinegraph.cli.render import render_graph
    from splinegraph.cli.request import Request
    from splinegraph.cli.tree import render_tree

    with stages(shown=True) as progress:
        opened = open_graph(Request(**asked), trust=trust, command=ctx.command_path, progress=progress)
    console = Console(highlight=False, markup=False, emoji=False)
    section = describe_graph(opened.graph)
    for note in opened.notes:
        console.print(note, style="yellow" if note.startswith("warning") else "dim")
    if tree:
        render_tree(console, section)
    else:
        render_graph(console, section)

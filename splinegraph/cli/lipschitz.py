"""`splinegraph lipschitz`: how far the output of a network can move."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from splinegraph.cli.domains import box_options
from splinegraph.cli.options import TARGET, model_options

if TYPE_CHECKING:
    from splinegraph.analyses.lipschitz.bound import LipschitzBound

__all__ = ["lipschitz"]


@click.command(short_help="Bound how far the output of a network can move.", epilog=TARGET)
@model_options
@box_options
@click.option(
    "--norm", type=click.Choice(["1", "2", "inf"]), default="2", show_default=True, help="Of inputs and outputs."
)
@click.option(
    "--tol", type=click.FloatRange(min=0), default=1e-6, show_default=True, metavar="T",
    help="Stop when both ends are as close as this, relative to them.",
)  # fmt: skip
@click.option(
    "--budget", type=click.FloatRange(min=0), default=30.0, show_default=True, metavar="SECONDS",
    help="Stop after so many seconds; both ends are valid whenever it stops.",
)  # fmt: skip
@click.option(
    "--json", "json_to", metavar="FILE",
    help="Write the result as JSON to a file; `-` is stdout, and then nothing else is printed there.",
)  # fmt: skip
@click.pass_context
def lipschitz(
    ctx: click.Context, /, norm: str, tol: float, budget: float, json_to: str | None, trust: bool,
    box: tuple[str, str] | None, box_around: tuple[str, str] | None, **asked: Any,
) -> None:  # fmt: skip
    """Give lower and upper bounds of a network's Lipschitz constant, on a box or on all of space.

    Exit codes: 0 both ends found, 1 the upper end is infinite, 2 bad input.

    \b
    Examples:
      splinegraph lipschitz net.py
      splinegraph lipschitz model.onnx --norm inf --box -1 1
      splinegraph lipschitz model.py --box-around x.npy 0.1 --budget 300
    """
    import math

    from splinegraph.analyses.lipschitz.lipschitz import lipschitz as bound
    from splinegraph.cli.domains import domain_of
    from splinegraph.cli.opening import open_graph
    from splinegraph.cli.output import prepare, results_on_stdout
    from splinegraph.cli.progress import stages
    from splinegraph.cli.request import Request
    from splinegraph.export.files import write_json

    prepare(None, json_to)
    with results_on_stdout(only=json_to == "-") as write, stages(shown=True) as progress:
        opened = open_graph(Request(**asked), trust=trust, command=ctx.command_path, progress=progress)
        boxes = {"box": box, "box_around": box_around}
        domain = domain_of(boxes, opened.graph, opened.data).on if box or box_around else None
        progress("bounding")
        found = bound(opened.graph, math.inf if norm == "inf" else int(norm), domain, tol=tol, budget=budget)
        result = {"graph": opened.graph.name, "domain": box or box_around, **found.to_dict()}
        if json_to == "-":
            write(json.dumps(result, indent=2, allow_nan=False))
        elif json_to is not None:
            write_json(result, Path(json_to))
    if json_to != "-":
        _show(found)
    ctx.exit(0 if math.isfinite(found.upper) else 1)


def _show(found: LipschitzBound) -> None:
    """Print both ends, the methods, and the operators that add most."""
    from rich.console import Console
    from rich.table import Table

    from splinegraph.analyses.lipschitz.bound import norm_name

    console = Console(highlight=False, markup=False, emoji=False)
    norm = norm_name(found.norm)
    console.print(
        f"Lipschitz constant in l{norm}: {found.lower:.8g} to {found.upper:.8g} ({found.kind}, {found.method})"
    )
    methods = Table("method", "side", "bound", "seconds", "note", box=None, pad_edge=False)
    for rung in found.rungs:
        methods.add_row(rung.method, rung.side, rung.text, f"{rung.seconds:.2f}", rung.note)
    console.print(methods)
    if found.product is not None:
        nodes = Table("node", "operator", "own", "from the input", box=None, pad_edge=False)
        for entry in found.product.nodes:
            own = ", ".join(f"{k:.4g}" for k in entry.own)
            if any(k != 1 for k in entry.own):
                nodes.add_row(entry.node.name, entry.node.op.label, own, f"{entry.total:.4g}")
        console.print(nodes)

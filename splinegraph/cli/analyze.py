"""`splinegraph analyze`: a report on a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from splinegraph.cli.options import TARGET, model_options, output_options, sample_options

if TYPE_CHECKING:
    from splinegraph.analyses.report.report import Report
    from splinegraph.cli.request import Request

# torch is imported inside the functions: `splinegraph --help` should not wait for it

__all__ = ["analyze", "perform"]


@click.command(short_help="Report on a network.", epilog=TARGET)
@model_options
@sample_options
@click.option("--only", multiple=True, metavar="SECTION", help="Make only this section; may be repeated.")
@click.option("--skip", multiple=True, metavar="SECTION", help="Leave out this section; may be repeated.")
@output_options
@click.pass_context
def analyze(
    ctx: click.Context, /, out: Path | None, figures: bool, json_to: str | None, quiet: bool, trust: bool, **asked: Any
) -> None:  # fmt: skip
    """Report on a network.

    Shows the operators and whether the network is exactly piecewise affine, units that are dead or never
    switch, activation patterns, points on a boundary between cells, local affine maps, regions of a small slice, bounds
    and convexity, and the paper's analyses. A section on the first samples only, or left out, says so.

    Sections: graph, inputs, units, codes, boundary, maps, regions, lipschitz, convexity, activation, templates,
    encoding, measures, separation, paths, checks.

    Exit codes: 0 complete, 1 a section or a check failed, 2 bad input.

    \b
    Examples:
      splinegraph analyze model.py --input-shape 1,28,28
      splinegraph analyze net.py:Net --weights net.pt --data x.npz --out report/
      splinegraph analyze model.onnx --data photos/ --json - | jq .sections.units
    """
    from splinegraph.cli.output import deliver, prepare, results_on_stdout, tell_files
    from splinegraph.cli.render import render
    from splinegraph.cli.request import Request

    prepare(out, json_to)
    with results_on_stdout(only=json_to == "-") as write:
        report = perform(
            Request(**asked), trust=trust, command=ctx.command_path, quiet=quiet, kept=bool(out or json_to)
        )
        # to disk first: nothing is lost if nobody reads the terminal to the end
        plain = report.to_dict()
        files, failed = deliver(plain, plain, out, json_to, write, figures=figures, quiet=quiet)
    if not quiet and json_to != "-":
        render(report, saved=out is not None)
    tell_files(files, failed, err=json_to == "-")
    ctx.exit(0 if report.complete and not failed else 1)


def perform(request: Request, *, trust: bool, command: str, quiet: bool, kept: bool) -> Report:
    """Open what a request names and analyze it, with progress on stderr.

    A report that is `kept` records the request and the SHA-256 of the files.
    """
    import torch

    from splinegraph.analyses.report.report import analyze as summarize
    from splinegraph.cli.opening import open_graph
    from splinegraph.cli.progress import stages
    from splinegraph.cli.request import fingerprints

    with stages(shown=not quiet) as progress:
        opened = open_graph(request, trust=trust, command=command, progress=progress)
        if kept:
            progress("reading the files' SHA-256")
        files = fingerprints(request) if kept else {}
        return summarize(
            opened.graph, data=opened.data, at=request.at, dtype=getattr(torch, request.dtype), seed=request.seed,
            sections=request.only or None, skip=request.skip, notes=opened.notes, progress=progress,
            request={**request.to_dict(), "files": files},
        )  # fmt: skip

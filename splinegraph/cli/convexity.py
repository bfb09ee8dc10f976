"""`splinegraph convexity`: which outputs of a network are convex, and what keeps the others from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from splinegraph.cli.domains import EVERY, every_domain_options
from splinegraph.cli.options import TARGET, add_options, model_options, result_options

__all__ = ["convexity"]

_WORK = (
    click.option("--global", "everywhere", is_flag=True, help="On all of space; the default."),
    click.option("--only", metavar="I,J,...", help="Only one entry of the output: its index in one sample's output."),
    click.option(
        "--limit", type=click.IntRange(min=1), default=20_000, show_default=True, metavar="N",
        help="Enumerate at most so many cells of a bounded domain for the exact criterion.",
    ),
    click.option(
        "--budget", type=click.FloatRange(min=0, min_open=True), default=60.0, show_default=True, metavar="SECONDS",
        help="Begin no further work after so many seconds.",
    ),
)  # fmt: skip


def _work_options(command: Any) -> Any:
    return add_options(_WORK, command)


@click.command(short_help="Tell which outputs of a network are convex.", epilog=TARGET)
@model_options
@every_domain_options
@_work_options
@result_options
@click.pass_context
def convexity(
    ctx: click.Context, /, everywhere: bool, out: Path | None, figures: bool, json_to: str | None, quiet: bool,
    trust: bool, **asked: Any,
) -> None:  # fmt: skip
    """Tell of every output whether it is convex, concave, affine or neither, with the proof; and why not.

    On a small enough bounded domain the answer is exact. For each layer it is told whether its units are convex in
    the inputs, which units break convexity, and which weights have the wrong sign. --out writes convexity.json,
    layers.csv (the check-list of layers), witnesses.npz (pairs of points that refute) and convexity.svg, .png.

    Exit codes: 0 every output is decided, 1 some are not, 2 bad input.

    \b
    Examples:
      splinegraph convexity net.py
      splinegraph convexity model.onnx --box -1 1 --out convexity/
      splinegraph convexity model.py --data digits.npz --through 0,1,2
    """
    from splinegraph.cli.convexity_files import write_results
    from splinegraph.cli.convexity_table import render
    from splinegraph.cli.convexity_work import work
    from splinegraph.cli.output import prepare_folder, results_on_stdout, wrote

    given = ["--" + name.replace("_of", "").replace("_", "-") for name in EVERY if asked[name]]
    given += ["--global"] * everywhere
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} are more than one domain; give one")
    prepare_folder(out, json_to)
    with results_on_stdout(only=json_to == "-") as write:
        found = work(ctx.command_path, asked, quiet=quiet, trust=trust)
        files = write_results(found, out, json_to, write, figures=figures)
    if not quiet and json_to != "-":
        render(found)
    for path in files:
        click.echo(wrote(path), err=json_to == "-")
    ctx.exit(0 if found.ok else 1)

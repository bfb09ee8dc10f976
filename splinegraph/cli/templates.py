"""`splinegraph templates`: the patterns that a network matches its inputs with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from splinegraph.cli.options import TARGET, add_options, model_options, result_options

__all__ = ["numbers", "templates"]

FIRST = 6
"""How many samples to look at where none are chosen."""


def numbers(ctx: click.Context, param: click.Parameter, given: str | None) -> tuple[int, ...] | None:
    """Read whole numbers with commas between them."""
    if given is None:
        return None
    items = given.split(",")
    if not all(item.strip().isdecimal() for item in items):
        raise click.BadParameter(f"{given!r} is no list of whole numbers, such as 0,1,2")
    return tuple(map(int, items))


_WORK = (
    click.option("--at", callback=numbers, metavar="I,I,...", help=f"Samples to look at. Default: the first {FIRST}."),
    click.option("--classes", callback=numbers, metavar="C,C,...", help="Whose templates. Default: all."),
    click.option("--centered", is_flag=True, help="Draw templates minus their mean over all classes."),
    click.option("--force", is_flag=True, help="Replace the files in DIR."),
)


def _work_options(command: Any) -> Any:
    return add_options(_WORK, command)


@click.command(short_help="Show what patterns a network matches its inputs with.", epilog=TARGET)
@model_options
@_work_options
@result_options
@click.pass_context
def templates(
    ctx: click.Context, /, at: tuple[int, ...] | None, classes: tuple[int, ...] | None, centered: bool, force: bool,
    out: Path | None, figures: bool, json_to: str | None, quiet: bool, trust: bool, **asked: Any,
) -> None:  # fmt: skip
    """Show the rows of A[x], f(x) = A[x] x + b[x], at samples of --data: one pattern per class.

    Prints the template matching value <A_c, x> and the bias b_c of each class, the cosine of the template to x, and how
    all of them differ from the optimal templates, which are multiples of x. --out writes templates.json, templates.npy,
    inputs.npy, values.npy and biases.npy with index.json, and templates.svg, .png.

    Exit codes: 0 complete, 2 bad input.

    \b
    Examples:
      splinegraph templates model.py --data digits.npz --at 0,1,2 --out templates/
      splinegraph templates model.onnx --data photos/ --classes 3,7 --json -
    """
    from splinegraph.analyses.templates.saving import taken
    from splinegraph.cli.output import prepare_folder, results_on_stdout, wrote
    from splinegraph.cli.templates_work import looked_at, render, write_results

    if asked["data"] is None:
        raise click.UsageError("templates are matched with samples; give --data")
    prepare_folder(out, json_to)
    there = None if out is None or force else taken(out)
    if there is not None:
        raise click.UsageError(f"there is a file {there}; choose another folder, or give --force")
    with results_on_stdout(only=json_to == "-") as write:
        found = looked_at(asked, at, classes, FIRST, trust=trust, command=ctx.command_path, quiet=quiet)
        files = write_results(found, out, json_to, write, figures=figures, centered=centered)
    if not quiet and json_to != "-":
        render(found)
    for path in files:
        click.echo(wrote(path), err=json_to == "-")

"""`splinegraph rerun`: repeat what a report records, and compare."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from splinegraph.cli.analyze import analyze, perform
from splinegraph.cli.options import CODE, output_options
from splinegraph.cli.request import REQUESTED, Request, arguments
from splinegraph.errors import DataError

if TYPE_CHECKING:
    from splinegraph.analyses.report.compare import Comparison

__all__ = ["rerun"]

ROWS = 20
"""Most differences that the terminal shows."""


def _finite(ctx: click.Context, param: click.Parameter, given: float) -> float:
    if not math.isfinite(given):
        raise click.BadParameter(f"{given} is no tolerance, such as 1e-6")
    return given


@click.command(short_help="Repeat the analysis that a report records, and compare.", epilog=CODE)
@click.argument("report", type=click.Path(path_type=Path), metavar="report.json")
@click.option("--trust", is_flag=True, help="Load a .pt2 file, which can execute code of its author.")
@click.option(
    "--rtol", type=click.FloatRange(min=0, max=1, max_open=True), callback=_finite, default=1e-6, show_default=True,
    help="Largest relative difference at which two numbers count as the same.",
)  # fmt: skip
@output_options
@click.pass_context
def rerun(
    ctx: click.Context,
    report: Path,
    trust: bool,
    rtol: float,
    out: Path | None,
    figures: bool,
    json_to: str | None,
    quiet: bool,
) -> None:
    """Repeat the analysis that a report.json records, and compare the two.

    Paths in the report are taken from the current folder, as they were typed. Files are told apart by their
    SHA-256, folders by the names and sizes of their files, the weights by their own SHA-256. Of a report in an
    older format only what it holds is compared. The exit code is 0 if both say the same, 1 if not.

    \b
    Examples:
      splinegraph rerun report/report.json
      splinegraph rerun report/report.json --rtol 1e-4 --out again/
    """
    from splinegraph.analyses.report.compare import compare
    from splinegraph.analyses.report.reading import read_report
    from splinegraph.cli.output import deliver, prepare, results_on_stdout, tell_files

    report = report / "report.json" if report.is_dir() else report
    old = read_report(report, migrate=False)
    request = _request(old.get("request"), report)
    for target in (out and out / "report.json", json_to and Path(json_to)):
        if target and target.exists() and target.samefile(report):
            raise click.UsageError(f"{target} is the report to compare with; write to another place")
    prepare(out, json_to)
    with results_on_stdout(only=json_to == "-") as write:
        new = perform(request, trust=trust, command=ctx.command_path, quiet=quiet, kept=True)
        plain = new.to_dict()
        comparison = compare(old, plain, rtol=rtol)
        files, failed = deliver(plain, comparison.to_dict(), out, json_to, write, figures=figures, quiet=quiet)
    if not quiet and json_to != "-":
        _show(comparison)
    tell_files(files, failed, err=json_to == "-")
    ctx.exit(0 if comparison.same and new.complete and not failed else 1)


def _request(asked: object, path: Path) -> Request:
    """Read what was asked for as if it were typed again, so that the same is allowed."""
    if not isinstance(asked, Mapping) or not asked:
        raise DataError(
            f"{path} does not record what was asked for", why="it was not made by `splinegraph analyze`",
            remedy="analyze the model with that command",
        )  # fmt: skip
    try:
        params = analyze.make_context("analyze", arguments(asked)).params
    except click.ClickException as error:
        raise DataError(
            f"what {path} asks for cannot be repeated", why=error.format_message(), remedy="analyze the model anew"
        ) from error
    return Request(**{name: value for name, value in params.items() if name in REQUESTED})


def _show(comparison: Comparison) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, markup=False, emoji=False)
    console.print(Text(comparison.headline, style="green" if comparison.same else "yellow"))
    for row in comparison.rows[:ROWS]:
        console.print(Text(f"  {row}", style="dim" if row.kind == "context" else ""))
    if len(comparison.rows) > ROWS:
        console.print(Text(f"  … {len(comparison.rows) - ROWS} more; all of them: --json FILE", style="dim"))

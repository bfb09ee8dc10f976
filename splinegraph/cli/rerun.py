"""`splinegraph rerun`: repeat what a report records, and compare."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from splinegraph.cli.options import CODE, output_options
from splinegraph.errors import DataError

if TYPE_CHECKING:
    from splinegraph.analyses.report.compare import Comparison

__all__ = ["rerun"]

ROWS = 20
"""Most differences that the terminal shows."""


@click.command(short_help="Repeat the analysis that a report records, and compare.", epilog=CODE)
@click.argument("report", type=click.Path(path_type=Path), metavar="report.json")
@click.option("--trust", is_flag=True, help="Load a .pt2 file, which can execute code of its author.")
@click.option(
    "--rtol", type=click.FloatRange(min=0), default=1e-6, show_default=True,
    help="Largest relative difference at which two numbers count as the same.",
)  # fmt: skip
@output_options
@click.pass_context
def rerun(
    ctx: click.Context, report: Path, trust: bool, rtol: float, out: Path | None, json_to: str | None, quiet: bool
) -> None:
    """Repeat the analysis that a report.json records, and compare the two.

    Paths in the report are taken from the current folder, as they were typed. The model, weights and data
    are told apart by their SHA-256. The exit code is 0 if both say the same, 1 if not.

    \b
    Example:
      splinegraph rerun report/report.json
    """
    from splinegraph.analyses.report.compare import compare
    from splinegraph.cli.analyze import perform
    from splinegraph.cli.output import deliver, prepare
    from splinegraph.cli.request import Request

    old = _read(report)
    asked = old.get("request")
    if not isinstance(asked, Mapping) or not asked:
        raise DataError(
            f"{report} does not record what was asked for", why="it was not made by `splinegraph analyze`",
            remedy="analyze the model with that command",
        )  # fmt: skip
    prepare(out, json_to)
    new = perform(Request.from_dict(asked), trust=trust, command=ctx.command_path, quiet=quiet)
    comparison = compare(old, new.to_dict(), rtol=rtol)
    if not quiet and json_to != "-":
        _show(comparison)
    deliver(new, comparison.to_dict(), out, json_to)
    ctx.exit(0 if comparison.same and new.complete else 1)


def _read(path: Path) -> dict[str, Any]:
    from splinegraph.analyses.report.report import FORMAT

    path = path / "report.json" if path.is_dir() else path
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"there is no file {path}", remedy="give the report.json of an earlier analysis") from error
    except OSError as error:
        raise DataError(f"cannot read {path}", why=error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is no JSON", why=str(error)) from error
    found = held.get("format") if isinstance(held, dict) else None
    if not str(found).startswith("splinegraph report "):
        raise DataError(f"{path} is no report of splinegraph", remedy="give the report.json of an earlier analysis")
    if found != FORMAT:
        remedy = "repeat it with the version of splinegraph in its provenance, or analyze the model anew"
        raise DataError(f"{path} is a {found!r}", why=f"this version writes a {FORMAT!r}", remedy=remedy)
    return dict(held)


def _show(comparison: Comparison) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, markup=False, emoji=False)
    console.print(Text(comparison.headline, style="green" if comparison.same else "yellow"))
    for row in comparison.rows[:ROWS]:
        console.print(Text(f"  {row}", style="dim" if row.kind == "context" else ""))
    if len(comparison.rows) > ROWS:
        console.print(Text(f"  … {len(comparison.rows) - ROWS} more; all of them: --json FILE", style="dim"))

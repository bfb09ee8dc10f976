"""`splinegraph report`: the page of a report again, from its report.json."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

__all__ = ["report"]


@click.command(short_help="Open a report's page, or make it anew.")
@click.argument("source", type=click.Path(path_type=Path), metavar="DIR|report.json")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="Write the page there. Default: DIR/report.html."
)
@click.option("--only", multiple=True, metavar="SECTION", help="Show only this section; may be repeated.")
@click.option("--skip", multiple=True, metavar="SECTION", help="Leave out this section; may be repeated.")
@click.option(
    "--theme", type=click.Choice(["auto", "light", "dark"]), default="auto", show_default=True,
    help="What the page looks like at first; auto is as the reader's system is.",
)  # fmt: skip
@click.option(
    "--figures/--no-figures", default=False, show_default=True, help="Draw the figures anew, too, beside the page."
)
@click.option(
    "--open/--no-open", "show", default=None, help="Open the page in the browser. Default: where there is a display."
)
@click.pass_context
def report(
    ctx: click.Context, source: Path, out: Path | None, only: tuple[str, ...], skip: tuple[str, ...], theme: str,
    figures: bool, show: bool | None,
) -> None:  # fmt: skip
    """Make the page of a report anew from its report.json, and open it.

    The page is one file that needs nothing else: it can be printed and sent on. A report of an earlier version is
    shown too, without what it does not hold.

    Exit codes: 0 the page is written, 1 a figure is not, 2 bad input.

    \b
    Examples:
      splinegraph report report/
      splinegraph report report/ --only lipschitz --out bounds.html
      splinegraph report report/report.json --skip graph --theme dark --no-open
    """
    from splinegraph.analyses.report.reading import read_report
    from splinegraph.cli.output import tell_files
    from splinegraph.cli.progress import stages
    from splinegraph.export.files import FIGURES_FOLDER, PartlySavedError, save_figures
    from splinegraph.export.html.page import write_html

    held = read_report(source)
    held["sections"] = _sections(held["sections"], only, skip)
    file = source / "report.json" if source.is_dir() else source
    page = out or file.with_name("report.html")
    if page.exists() and page.samefile(file):
        raise click.UsageError(f"{page} is the report itself; write the page to another file")
    with stages(shown=True) as progress:
        progress("page")
        files, failed = [write_html(held, page, theme=theme)], None
        if figures:
            progress("figures")
            try:
                files += save_figures(held, page.parent / FIGURES_FOLDER)
            except PartlySavedError as error:
                files, failed = [*files, *error.files], error
    tell_files(files, failed, err=False)
    if show or (show is None and _has_display()):
        _open(page)
    ctx.exit(1 if failed else 0)


def _sections(held: Mapping[str, Any], only: Sequence[str], skip: Sequence[str]) -> dict[str, Any]:
    """Return the sections asked for, in the order of the report."""
    import difflib

    from splinegraph.errors import SplineGraphError

    for name in (*only, *skip):
        if name not in held:
            close = difflib.get_close_matches(name, held, n=1)
            remedy = f"did you mean {close[0]!r}?" if close else f"choose of {', '.join(held)}"
            raise SplineGraphError(f"the report has no section {name!r}", remedy=remedy)
    wanted = {name: held[name] for name in held if (not only or name in only) and name not in skip}
    if not wanted:
        raise SplineGraphError("no section is left to show", remedy="choose or skip others")
    return wanted


def _has_display() -> bool:
    """Say whether a browser's window could be seen."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _open(page: Path) -> None:
    import webbrowser

    opened = False
    if _has_display():
        try:
            opened = webbrowser.open(page.absolute().as_uri())
        except (OSError, webbrowser.Error):
            opened = False
    if not opened:
        click.echo(f"no browser could be opened: open {page.absolute()} in one", err=True)

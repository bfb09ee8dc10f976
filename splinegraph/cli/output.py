"""Where results go: a folder, a JSON file, stdout."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from splinegraph.errors import one_line

if TYPE_CHECKING:
    from splinegraph.export.files import PartlySavedError

__all__ = [
    "deliver",
    "deliver_files",
    "deliver_json",
    "prepare",
    "prepare_folder",
    "results_on_stdout",
    "tell_files",
    "wrote",
]


Write = Callable[[str], None]


@contextlib.contextmanager
def results_on_stdout(*, only: bool) -> Iterator[Write]:
    """Give a function that prints results; what anything else prints in the block goes to stderr.

    Parameters
    ----------
    only : bool
        Whether nothing else may reach stdout, be it printed by a subprocess or when Python ends.
    """
    out, write = sys.stdout, click.echo
    if only:
        with contextlib.suppress(AttributeError, OSError, io.UnsupportedOperation):  # no file, as in a notebook
            out.flush()
            kept = os.fdopen(os.dup(out.fileno()), "w", encoding="utf-8")
            os.dup2(sys.stderr.fileno(), out.fileno())
            out = kept
    with contextlib.redirect_stdout(sys.stderr):
        yield lambda text: write(text, file=out)


def prepare(out: Path | None, json_to: str | None) -> None:
    """Learn that something cannot be written before the work, not after; nothing is made yet."""
    from splinegraph.export.files import check_folder, check_writable

    if out is not None:
        check_folder(out, "report.json")
    if json_to not in (None, "-"):
        check_writable(Path(str(json_to)))


def prepare_folder(folder: Path | None, json_to: str | None) -> None:
    """Learn that something cannot be written before the work, not after; nothing is made yet."""
    if folder is not None and folder.exists() and not folder.is_dir():
        raise click.UsageError(f"--out {folder} is a file; name a folder")
    prepare(folder, json_to)


def deliver(
    report: Mapping[str, Any],
    result: Mapping[str, Any],
    out: Path | None,
    json_to: str | None,
    write: Write,
    *,
    figures: bool,
    quiet: bool,
) -> tuple[list[Path], PartlySavedError | None]:
    """Write a report to its folder, and a result as JSON to where the user wants it.

    Returns
    -------
    list of Path
        What was written.
    PartlySavedError or None
        If the page or a figure could not be.
    """
    from splinegraph.cli.progress import stages
    from splinegraph.export.files import PartlySavedError, save_report

    files: list[Path] = []
    failed = None
    if out is not None:
        with stages(shown=not quiet) as progress:
            try:
                files = save_report(report, out, figures=figures, progress=progress)
            except PartlySavedError as error:
                files, failed = error.files, error
    return [*files, *deliver_json(result, json_to, write)], failed


def tell_files(files: Sequence[Path], failed: PartlySavedError | None, *, err: bool) -> None:
    """Print a line per file that was written, one for a folder's figures, and one for what could not be written."""
    from splinegraph.export.files import FIGURES_FOLDER

    drawn = [path for path in files if path.parent.name == FIGURES_FOLDER]
    for path in files:
        if path not in drawn:
            click.echo(wrote(path), err=err)
    if drawn:
        click.echo(wrote(drawn[0].parent) + f" ({len(drawn)} files)", err=err)
    if failed is not None:
        click.echo(f"splinegraph: error: {failed}", err=True)


def deliver_files(
    result: dict[str, Any],
    name: str,
    fill: Callable[[Path], list[Path]],
    folder: Path | None,
    json_to: str | None,
    write: Write,
) -> list[Path]:
    """Write a result to a folder, as JSON under a name, and to where the user wants it; return the files.

    Parameters
    ----------
    result : dict
    name : str
    fill : callable (folder) -> list of Path
        Writes what goes beside the JSON, which lists it.
    folder : Path or None
    json_to : str or None
        A file, '-' for stdout.
    write : callable
    """
    files: list[Path] = []
    if folder is not None:
        from splinegraph.core.files import make_folder, write_json

        make_folder(folder)
        files = fill(folder)
        result = result | {"files": [path.name for path in files]}
        files.insert(0, write_json(result, folder / name))
    return [*files, *deliver_json(result, json_to, write)]


def deliver_json(result: Mapping[str, Any], json_to: str | None, write: Write) -> list[Path]:
    """Write a result as JSON to a file, which is returned, or to stdout."""
    from splinegraph.core.files import json_text, write_json

    if json_to == "-":
        write(json_text(result))
    return [] if json_to in (None, "-") else [write_json(result, str(json_to))]


def wrote(path: Path) -> str:
    """Return the line that names a file that was written."""
    return one_line(f"wrote {path}")

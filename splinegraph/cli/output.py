"""Where results go: a folder, a JSON file, stdout."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from splinegraph.errors import one_line

if TYPE_CHECKING:
    from splinegraph.analyses.report.report import Report

__all__ = ["deliver", "prepare", "prepare_folder", "results_on_stdout", "wrote"]


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


def deliver(report: Report, result: dict[str, Any], out: Path | None, json_to: str | None, write: Write) -> list[Path]:
    """Write the report to its folder, and a result as JSON to where the user wants it; return the files."""
    from splinegraph.export.files import save_report, write_json

    files = [] if out is None else [save_report(report, out)]
    if json_to == "-":
        write(json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False))
    elif json_to is not None:
        files.append(write_json(result, json_to))
    return files


def wrote(path: Path) -> str:
    """Return the line that names a file that was written."""
    return one_line(f"wrote {path}")

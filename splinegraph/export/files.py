"""Files that are written whole or not at all, and a report with its page and figures among them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from splinegraph.core.files import check_folder, check_writable, make_folder, write_json, write_text, writing
from splinegraph.errors import SplineGraphError, one_line

if TYPE_CHECKING:
    from splinegraph.analyses.report.report import Report

__all__ = [
    "FIGURES_FOLDER",
    "INTERRUPTED",
    "PartlySavedError",
    "check_folder",
    "check_writable",
    "make_folder",
    "save_figures",
    "save_report",
    "write_json",
    "write_text",
    "writing",
]

FIGURES_FOLDER = "figures"
"""Where the figures of a report are, beside its page."""

INTERRUPTED = "interrupted"
"""Why a file is not there that would have been written after an interrupt."""

Tell = Callable[[str], None]


class PartlySavedError(SplineGraphError):
    """The page or a figure of a report could not be made or written; everything else is there.

    Parameters
    ----------
    failed : mapping from what failed to why
    files : list of Path
        What was written.
    """

    def __init__(self, failed: Mapping[str, str], files: list[Path]) -> None:
        self.failed, self.files = dict(failed), list(files)
        why = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
        again = "splinegraph report DIR" + " --figures" * (set(failed) != {"report.html"})
        remedy = f"`{again}` makes the rest" if INTERRUPTED in self.failed.values() else ""
        super().__init__("not all of the report could be written", why=why, remedy=remedy)


def save_report(
    report: Report | Mapping[str, Any],
    folder: str | os.PathLike[str],
    *,
    figures: bool = True,
    theme: str = "auto",
    progress: Tell | None = None,
) -> list[Path]:
    """Write a report to a folder: report.json, the page report.html, and its figures as SVG and PNG.

    Parameters
    ----------
    report : Report or mapping
        A report, or what its `to_dict` gives.
    folder : str or path
        Made if it is not there. What an earlier report left there under the same names is replaced.
    figures : bool, default True
        Whether to draw into `folder`/figures.
    theme : {'auto', 'light', 'dark'}, default 'auto'
        What the page looks like until the reader changes it; 'auto' is as the reader's system is.
    progress : callable, optional
        Called with the name of what is being written.

    Returns
    -------
    list of Path
        The files, report.json first; each is written whole or not at all.

    Raises
    ------
    DataError
        If report.json cannot be written; nothing else is then.
    PartlySavedError
        If the page or a figure fails, after all others are written. An interrupt (KeyboardInterrupt) after
        report.json is such a failure, after which nothing more is written.

    Examples
    --------
    >>> import tempfile, torch, splinegraph as sg
    >>> net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1)).eval()
    >>> report = sg.analyze(sg.trace(net, torch.zeros(1, 2)), sections=["graph"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in sg.save_report(report, folder, figures=False)]
    ['report.json', 'report.html']
    """
    tell = progress or (lambda stage: None)
    plain = report if isinstance(report, Mapping) else report.to_dict()
    target = make_folder(folder)
    tell("report.json")
    files = [write_json(plain, target / "report.json")]
    failed: dict[str, str] = {}
    tell("page")
    try:
        from splinegraph.export.html.page import write_html

        files.append(write_html(plain, target / "report.html", theme=theme))
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # report.json and the figures are worth keeping
        failed["report.html"] = _reason(error)
        with contextlib.suppress(OSError):
            (target / "report.html").unlink(missing_ok=True)  # it would tell of another report
    if figures and INTERRUPTED in failed.values():
        failed[FIGURES_FOLDER] = INTERRUPTED
        _clear(target / FIGURES_FOLDER)
    elif figures:
        tell("figures")
        try:
            files += save_figures(plain, target / FIGURES_FOLDER)
        except PartlySavedError as error:
            files, failed = [*files, *error.files], failed | error.failed
    if failed:
        raise PartlySavedError(failed, files)
    return files


def save_figures(report: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw the figures of a report into a folder, as SVG and PNG; those of an earlier report go.

    Raises
    ------
    PartlySavedError
        If some cannot be drawn or written, after the others are.
    """
    files: list[Path] = []
    try:
        files, failed = _drawn(report, folder)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # report.json and the page are worth keeping
        failed = {folder.name: _reason(error)}
    _clear(folder, files)
    if failed:
        raise PartlySavedError(failed, files)
    return files


def _drawn(report: Mapping[str, Any], folder: Path) -> tuple[list[Path], dict[str, str]]:
    from splinegraph.export.report_figures import ReportFigureError, save_report_figures

    try:
        return save_report_figures(report, folder), {}
    except ReportFigureError as error:
        return error.files, error.failed


def _clear(folder: Path, keep: Collection[Path] = ()) -> None:
    """Remove the figures of an earlier report."""
    from splinegraph.export.report_figures import FIGURES

    with contextlib.suppress(OSError):
        for old in {folder / f"{name}.{kind}" for name in FIGURES for kind in ("svg", "png")} - set(keep):
            old.unlink(missing_ok=True)
        if not keep:
            folder.rmdir()


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    text = one_line(str(error))
    return text if isinstance(error, SplineGraphError) and text else f"{type(error).__name__}: {text}"

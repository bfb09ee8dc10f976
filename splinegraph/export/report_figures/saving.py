"""All figures of a report as files."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from splinegraph.core.files import make_folder
from splinegraph.errors import SplineGraphError, one_line
from splinegraph.export.files import INTERRUPTED
from splinegraph.export.graphs.boxes import figure_of
from splinegraph.export.graphs.figure import write_figure
from splinegraph.export.report_figures.cells import draw_activation
from splinegraph.export.report_figures.charts import draw_separation, draw_units
from splinegraph.export.report_figures.constants import draw_constants, draw_ladder
from splinegraph.export.report_figures.galleries import draw_encoding, draw_templates
from splinegraph.export.report_figures.operators import draw_operators
from splinegraph.export.report_figures.slices import draw_slice

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FIGURES", "ReportFigureError", "save_report_figures"]

FIGURES: dict[str, Callable[[Mapping[str, Any]], Axes | None]] = {
    "operator-graph": draw_operators,
    "units": draw_units,
    "slice": draw_slice,
    "lipschitz": draw_ladder,
    "lipschitz-operators": draw_constants,
    "activation-graph": draw_activation,
    "templates": draw_templates,
    "encoding": draw_encoding,
    "separation": draw_separation,
}
"""What draws each figure; None if the report has nothing to draw."""

KINDS = ("svg", "png")


class ReportFigureError(SplineGraphError):
    """Some figures could not be drawn or written; the others are there.

    Parameters
    ----------
    failed : mapping from name of a figure to what went wrong
    files : list of Path
        The figures that were written.
    """

    def __init__(self, failed: Mapping[str, str], files: list[Path]) -> None:
        self.failed, self.files = dict(failed), files
        why = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
        super().__init__(f"{len(failed)} of {len(failed) + len(files) // len(KINDS)} figures failed", why=why)


def save_report_figures(report: Mapping[str, Any], folder: str | os.PathLike[str]) -> list[Path]:
    """Draw the figures of a report into a folder, each as SVG and as PNG.

    The same report gives the same files. What a report has nothing to say about has no figure.

    Parameters
    ----------
    report : mapping
        As `Report.to_dict` gives it; sections may have failed or be left out.
    folder : str or path
        Made if it is not there.

    Returns
    -------
    list of Path
        The files, each written whole.

    Raises
    ------
    ReportFigureError
        If some figures failed, after the others are written; it knows which, and the files that are there. An
        interrupt (KeyboardInterrupt) is such a failure, after which no others are drawn.
    DataError
        If the folder cannot be made.

    Notes
    -----
    No display is needed, and pyplot does not know of the figures.
    """
    target = make_folder(folder)
    files: list[Path] = []
    failed: dict[str, str] = {}
    for name, draw in FIGURES.items():
        try:
            ax = draw(report)
            if ax is not None:
                files += _save(ax, target / name)
        except KeyboardInterrupt:
            failed[name] = INTERRUPTED
            break
        except Exception as error:  # noqa: BLE001  # one figure that fails must not lose the others
            failed[name] = one_line(f"{type(error).__name__}: {error}")
    if failed:
        raise ReportFigureError(failed, files)
    return files


def _save(ax: Axes, stem: Path) -> list[Path]:
    """Write the figure that axes are on as files of each kind, laid out and measured once for all of them."""
    figure = figure_of(ax)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing from")  # a box is drawn in place of the character
        if figure.get_layout_engine() is not None:
            figure.draw_without_rendering()
            figure.set_layout_engine("none")
        box = figure.get_tightbbox().padded(0.15)
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in KINDS]
    for path, kind in zip(paths, KINDS, strict=True):
        write_figure(figure, path, kind, box)
    return paths

"""The files that `splinegraph lipschitz` writes."""

from __future__ import annotations

import csv
import functools
import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from splinegraph.cli.output import deliver_files
from splinegraph.core.files import write_text

if TYPE_CHECKING:
    from splinegraph.analyses.lipschitz.bound import LipschitzBound
    from splinegraph.cli.lipschitz_work import Bounded, Checked

__all__ = ["write_results"]

COLUMNS = ("node", "operator", "module", "own", "gain", "total")


def write_results(
    result: Bounded | Checked, folder: Path | None, json_to: str | None, write: Callable[[str], None], *, figures: bool
) -> list[Path]:
    """Write a result where the user wants it; returns the files. A checked certificate writes nothing but JSON."""
    from splinegraph.cli.lipschitz_work import Bounded

    if not isinstance(result, Bounded):
        return deliver_files(result.to_dict(), "", lambda _: [], None, json_to, write)
    fill = functools.partial(_into, found=result.found, figures=figures)
    return deliver_files(result.to_dict(), "lipschitz.json", fill, folder, json_to, write)


def _into(folder: Path, found: LipschitzBound, *, figures: bool) -> list[Path]:
    """Write all but the summary; a certificate or figures of an earlier bound do not stay beside it."""
    proof = folder / "certificate.npz"
    drawn = [folder / f"lipschitz.{kind}" for kind in ("svg", "png")]
    files = [write_text(_table(found), folder / "nodes.csv")]
    if found.certificate is not None:
        files.append(found.certificate.save(proof))
    else:
        proof.unlink(missing_ok=True)
    if figures:
        from splinegraph.analyses.lipschitz.figures import plot_lipschitz
        from splinegraph.export.graphs import save_figure

        ax = plot_lipschitz(found).axes[0]
        return [*files, *(save_figure(ax, path) for path in drawn)]
    for path in drawn:
        path.unlink(missing_ok=True)
    return files


def _table(found: LipschitzBound) -> str:
    """Return the constants of all operators as CSV; infinite ones are inf, several arguments stand side by side."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for entry in () if found.product is None else found.product.nodes:
        own = " ".join(f"{k:.17g}" for k in entry.own)
        numbers = [f"{k:.17g}" for k in (entry.gain, entry.total)]
        rows.writerow([entry.node.name, entry.node.op.label, entry.node.module, own, *numbers])
    return text.getvalue()

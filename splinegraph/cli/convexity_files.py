"""The files that `splinegraph convexity` writes."""

from __future__ import annotations

import csv
import functools
import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from splinegraph.cli.output import deliver_files
from splinegraph.core.files import write_text, writing

if TYPE_CHECKING:
    from splinegraph.analyses.convexity.inference import Inference
    from splinegraph.cli.convexity_work import Judged

__all__ = ["write_results"]

COLUMNS = ("node", "label", "where", "inner", "asks", "failing", "total", "largest", "holds")


def write_results(
    result: Judged, folder: Path | None, json_to: str | None, write: Callable[[str], None], *, figures: bool
) -> list[Path]:
    """Write a result where the user wants it; returns the files."""
    fill = functools.partial(_into, found=result.found, figures=figures)
    return deliver_files(result.to_dict(), "convexity.json", fill, folder, json_to, write)


def _into(folder: Path, found: Inference, *, figures: bool) -> list[Path]:
    """Write all but the summary; witnesses or figures of an earlier run do not stay beside it."""
    files = [write_text(_checklist(found), folder / "layers.csv")]
    points, drawn = folder / "witnesses.npz", [folder / f"convexity.{kind}" for kind in ("svg", "png")]
    arrays = _witnesses(found)
    if arrays:
        files.append(_save(arrays, points))
    else:
        points.unlink(missing_ok=True)
    if figures:
        from splinegraph.analyses.convexity.figures import plot_convexity
        from splinegraph.export.graphs import save_figure

        ax = plot_convexity(found).axes[0]
        return [*files, *(save_figure(ax, path) for path in drawn)]
    for path in drawn:
        path.unlink(missing_ok=True)
    return files


def _checklist(found: Inference) -> str:
    """Return the conditions on layers as CSV."""
    text = io.StringIO()
    rows = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    rows.writeheader()
    rows.writerows(found.checklist.to_dict()["conditions"])
    return text.getvalue()


def _witnesses(found: Inference) -> dict[str, Any]:
    """Return all witnesses as arrays, one row each; x and y are numbered if there are several inputs."""
    import numpy as np

    pairs = [(verdict, witness) for verdict in found.verdicts for witness in verdict.witnesses]
    if not pairs:
        return {}
    arrays: dict[str, Any] = {
        "output": np.array([verdict.index for verdict, _ in pairs]),
        "weight": np.array([witness.weight for _, witness in pairs]),
        "gap": np.array([witness.gap for _, witness in pairs]),
        "against": np.array([witness.against for _, witness in pairs]),
    }
    several = len(found.graph.inputs) > 1
    for i in range(len(found.graph.inputs)):
        for side in ("x", "y"):
            stacked = np.stack([getattr(witness, side)[i].numpy() for _, witness in pairs])
            arrays[f"{side}{i}" if several else side] = stacked
    return arrays


def _save(arrays: dict[str, Any], path: Path) -> Path:
    import numpy as np

    with writing(path) as file:
        np.savez_compressed(file, **arrays)
    return path

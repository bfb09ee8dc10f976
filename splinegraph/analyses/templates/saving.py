"""Templates as .npy files with an index."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from splinegraph.core.files import check_folder, make_folder, write_json, writing
from splinegraph.errors import DataError

if TYPE_CHECKING:
    from splinegraph.analyses.templates.templates import Templates

__all__ = ["FILES", "FORMAT", "INDEX", "save_templates", "taken"]

INDEX, FORMAT = "index.json", "splinegraph templates 1"

FILES = {
    "templates.npy": "A[x]_c: sample, class, then the input's axes",
    "inputs.npy": "x: sample, then the input's axes",
    "values.npy": "<A[x]_c, x>: sample, class",
    "biases.npy": "b[x]_c: sample, class",
}


def taken(folder: str | os.PathLike[str]) -> Path | None:
    """Return a file that saving would replace, the user's own perhaps; None if there is none."""
    return next((path for name in (INDEX, *FILES) if (path := Path(folder) / name).exists()), None)


def save_templates(found: Templates, folder: str | os.PathLike[str], *, overwrite: bool) -> Path:
    """Write arrays and their index to a folder; the index comes last, so that what it lists is there."""
    there = taken(folder)
    if there is not None and not overwrite:
        raise DataError(f"there is a file {there}", remedy="choose another folder, or overwrite it")
    check_folder(folder, INDEX)
    path = make_folder(folder)
    arrays = (found.rows, found.map.inputs[0], found.values, found.biases)
    for name, array in zip(FILES, arrays, strict=True):
        with writing(path / name) as file:
            np.save(file, array.detach().cpu().numpy())
    files = {
        name: {"holds": what, "shape": list(array.shape), "dtype": str(array.dtype).removeprefix("torch.")}
        for (name, what), array in zip(FILES.items(), arrays, strict=True)
    }
    index = path / INDEX
    write_json({"format": FORMAT, "graph": found.map.graph.name, "files": files, **found.to_dict()}, index)
    return path

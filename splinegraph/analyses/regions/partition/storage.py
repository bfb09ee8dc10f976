"""A partition in one Parquet file: one row per cell, the rest in the schema's metadata."""

from __future__ import annotations

import base64
import dataclasses
import importlib
import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from splinegraph.analyses.codes import Layer
from splinegraph.analyses.provenance import Provenance, weight_hash
from splinegraph.analyses.regions.cells import Cells, Mesh, code_layers
from splinegraph.core.domains.chart import Chart
from splinegraph.core.files import writing
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import DataError, MissingDependencyError

if TYPE_CHECKING:
    from splinegraph.analyses.regions.partition.partition import Partition
    from splinegraph.analyses.regions.verify.verification import Verification

__all__ = ["load", "needed", "save"]

KEY = b"splinegraph.partition"
FORMAT = 1
CHART = ("origin", "lower", "upper", "index", "directions", "G", "h")


def needed(name: str) -> Any:
    """Return an optional package, or say how to get it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.split(".")[0]
        raise MissingDependencyError(
            f"the package {package} is not installed", remedy=f"install it: pip install {package}"
        ) from error


def save(partition: Partition, path: str | os.PathLike[str]) -> Path:
    """Write a partition; what stood at `path` before stays until all is written.

    Columns: `code` (packed bits), `point`, `radius`, and with a mesh `corners` (numbers of vertices, counter-
    clockwise) and their coordinates `x`, `y`. What checks of it found is kept too.

    Raises
    ------
    DataError
        If the file cannot be written, or the weights have changed since the enumeration.
    MissingDependencyError
        Without pyarrow.
    """
    pa, pq = needed("pyarrow"), needed("pyarrow.parquet")
    digest = partition.provenance.weights.hash
    if digest is None:
        raise DataError("the partition cannot be saved", why="the weights have changed since it was made")
    columns = _cell_columns(pa, partition.cells)
    if partition.mesh is not None:
        columns |= _mesh_columns(pa, partition.mesh)
    table = pa.table(columns).replace_schema_metadata({KEY: json.dumps(_metadata(partition, digest))})
    with writing(path) as file:
        pq.write_table(table, file, compression="zstd")
    return Path(path)


def load(path: str | os.PathLike[str], graph: SplineGraph) -> Partition:
    """Read a partition of the graph.

    Raises
    ------
    DataError
        If the file is none of `save`, or of other weights or another network.
    """
    from splinegraph.analyses.regions.partition.partition import Partition

    pa, pq = needed("pyarrow"), needed("pyarrow.parquet")
    try:
        table = pq.read_table(path)
        about = json.loads(table.schema.metadata[KEY])
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it holds no saved partition"
        raise DataError(f"cannot read {Path(path)}", why=why) from error
    layers = code_layers(graph)
    _check(Path(path), about, graph, layers)
    chart = _chart(about["chart"])
    cells = Cells(
        _matrix(table["code"], np.uint8, about["bytes"]),
        _matrix(table["point"], np.float64, chart.dim),
        np.array(table["radius"].to_numpy()),
    )
    provenance = Provenance.of(graph, dtype=torch.float64, seed=about["seed"], **about["settings"])
    return Partition(
        graph, chart, None, layers, cells, _mesh(table), about["complete"],
        tuple(base64.b64decode(task) for task in about["left"]), about["seconds"], about["method"],
        tuple(about["notes"]), dataclasses.replace(provenance, version=about["version"]),
        _verification(about.get("verified")),
    )  # fmt: skip


def _cell_columns(pa: Any, cells: Cells) -> dict[str, Any]:
    width, dim = cells.packed.shape[1], cells.points.shape[1]
    raw = np.ascontiguousarray(cells.packed).reshape(-1)
    flat = pa.array(np.ascontiguousarray(cells.points).reshape(-1))
    ends = np.arange(len(cells) + 1, dtype=np.int32)
    return {
        "code": pa.LargeListArray.from_arrays(ends.astype(np.int64) * width, pa.array(raw)),
        "point": pa.LargeListArray.from_arrays(ends.astype(np.int64) * dim, flat),
        "radius": pa.array(cells.radii),
    }


def _mesh_columns(pa: Any, mesh: Mesh) -> dict[str, Any]:
    values = {"corners": mesh.corners, "x": mesh.vertices[mesh.corners, 0], "y": mesh.vertices[mesh.corners, 1]}
    return {
        name: pa.LargeListArray.from_arrays(mesh.offsets, pa.array(np.ascontiguousarray(column)))
        for name, column in values.items()
    }


def _metadata(partition: Partition, digest: str) -> dict[str, Any]:
    provenance = partition.provenance
    return {
        "format": FORMAT,
        "version": provenance.version,
        "weights_sha256": digest,
        "layers": _layers(partition.layers),
        "bytes": partition.packed.shape[1],
        "chart": _packed_chart(partition.chart),
        "domain": repr(partition.domain),
        "complete": partition.complete,
        "left": [base64.b64encode(task).decode() for task in partition.left],
        "seconds": partition.seconds,
        "method": partition.method,
        "notes": list(partition.notes),
        "verified": None if partition.verified is None else partition.verified.to_dict(),
        "seed": provenance.seed,
        "settings": dict(provenance.settings),
    }


def _verification(about: dict[str, Any] | None) -> Verification | None:
    """Return what was found when the partition was checked, before it was saved."""
    if about is None:
        return None
    from splinegraph.analyses.regions.verify.verification import Check, Verification

    checks = tuple(Check(**check) for check in about["checks"])
    return Verification(checks, about["level"], about["seed"], about["seconds"])


def _layers(layers: tuple[Layer, ...]) -> list[list[Any]]:
    return [[x.name, list(x.shape), x.alphabet, x.bits, x.start, x.stop] for x in layers]


def _check(path: Path, about: dict[str, Any], graph: SplineGraph, layers: tuple[Layer, ...]) -> None:
    if about.get("format") != FORMAT:
        raise DataError(f"cannot read {path}", why=f"its format {about.get('format')} is not {FORMAT}")
    if about["layers"] != _layers(layers):
        raise DataError(f"{path} belongs to another network", why="its switching operators are others")
    if about["weights_sha256"] != weight_hash(graph):
        raise DataError(f"{path} belongs to other weights", remedy="load the weights that it was made with")


def _packed_chart(chart: Chart) -> dict[str, Any]:
    arrays = {name: getattr(chart, name) for name in CHART}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{name: a.numpy() for name, a in arrays.items() if a is not None})
    return {"shapes": [list(s) for s in chart.shapes], "arrays": base64.b64encode(buffer.getvalue()).decode()}


def _chart(about: dict[str, Any]) -> Chart:
    with np.load(io.BytesIO(base64.b64decode(about["arrays"])), allow_pickle=False) as arrays:
        tensors = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    return Chart(tuple(tuple(s) for s in about["shapes"]), **tensors)


def _matrix(column: Any, dtype: type, width: int) -> NDArray[Any]:
    values = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return np.array(values, dtype=dtype).reshape(len(column), width)


def _mesh(table: Any) -> Mesh | None:
    """Return the mesh of the corner lists; its edges come in the order of their ends."""
    if "corners" not in table.column_names:
        return None
    corners = table["corners"].combine_chunks()
    offsets = np.asarray(corners.offsets.to_numpy() - corners.offsets[0].as_py(), dtype=np.int64)
    loops = corners.flatten().to_numpy(zero_copy_only=False).astype(np.int32)
    vertices = np.zeros((int(loops.max(initial=-1)) + 1, 2))
    for k, name in enumerate(("x", "y")):
        vertices[loops, k] = table[name].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    edges, faces = edges_of(loops, offsets)
    return Mesh(vertices, offsets, loops, edges, faces)


def edges_of(corners: NDArray[np.int32], offsets: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the edges of face loops, (E, 2), and the faces on both sides, -1 outside."""
    following = np.arange(len(corners)) + 1
    following[offsets[1:] - 1] = offsets[:-1]
    ends = np.stack([corners, corners[following]], axis=1).astype(np.int64)
    owner = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    low, high = ends.min(axis=1), ends.max(axis=1)
    keys, inverse = np.unique(low * (int(corners.max(initial=0)) + 1) + high, return_inverse=True)
    edges, faces = np.zeros((len(keys), 2), np.int32), np.full((len(keys), 2), -1, np.int32)
    forward = ends[:, 0] == low
    edges[inverse, 0], edges[inverse, 1] = low, high
    faces[inverse[forward], 0] = owner[forward]
    faces[inverse[~forward], 1] = owner[~forward]
    return edges, faces

"""Cells as rows of a Parquet file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from splinegraph.analyses.regions.cells import Cells
from splinegraph.analyses.regions.partition.storage import needed
from splinegraph.core.files import writing
from splinegraph.errors import DataError

__all__ = ["read_rows", "write_rows"]


def write_rows(cells: Cells, path: Path) -> None:
    """Write cells as one row group: columns `code`, `point` and `radius`.

    Raises
    ------
    DataError
        If the file cannot be written; it is written whole or not at all.
    """
    parquet = needed("pyarrow.parquet")
    import pyarrow as pa

    packed = np.ascontiguousarray(cells.packed)
    width, dim = packed.shape[1], cells.points.shape[1]
    # no width is zero: a network without a switch has codes of no bytes, a point no coordinates
    buffers = [None, pa.py_buffer(packed if width else np.zeros(len(packed), np.uint8))]
    code = pa.Array.from_buffers(pa.binary(max(width, 1)), len(packed), buffers)
    flat = pa.array(np.ascontiguousarray(cells.points).reshape(-1))
    table = pa.table(
        {"code": code, "point": pa.FixedSizeListArray.from_arrays(flat, dim), "radius": pa.array(cells.radii)},
        metadata={"width": str(width)},
    )
    with writing(path) as file:
        parquet.write_table(table, file, compression="zstd")


def read_rows(path: Path) -> Cells:
    """Read cells back, bit for bit.

    Raises
    ------
    DataError
        If the file cannot be read.
    """
    parquet = needed("pyarrow.parquet")
    try:
        table = parquet.read_table(path)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}", why=str(error), remedy="begin anew in another folder") from error
    width = int(table.schema.metadata[b"width"])
    code, point = (table.column(name).combine_chunks() for name in ("code", "point"))
    rows = len(table)
    start = code.offset * code.type.byte_width
    packed = np.frombuffer(code.buffers()[1], np.uint8, rows * code.type.byte_width, start)
    points = point.flatten().to_numpy(zero_copy_only=False).reshape(rows, -1)
    radii = table.column("radius").to_numpy()
    return Cells(packed.reshape(rows, -1)[:, :width], points.astype(np.float64), np.asarray(radii, np.float64))

"""Parquet files and tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from splinegraph.analyses.regions.partition.partition import Partition
from splinegraph.analyses.regions.verify.verify import verify
from splinegraph.core.domains.plane import Plane
from splinegraph.errors import DataError
from tests.analyses.regions.partition.brute import brute, mlp

pytest.importorskip("pyarrow")


@pytest.fixture(scope="module")
def partition() -> Partition:
    return brute(mlp(2, 6, 5, 2))


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_what_is_saved_comes_back(tmp_path: Path, dim: int) -> None:
    partition = brute(mlp(dim, 6, 5, 2))
    partition = partition.replace(left=(b"task\x00", b""), complete=False, notes=("a note",), seconds=1.5)
    found = Partition.load(partition.save(tmp_path / "cells.parquet"), partition.graph)
    for name in ("packed", "points", "radii"):
        assert np.array_equal(getattr(found, name), getattr(partition, name))
    for name in ("layers", "left", "complete", "notes", "seconds", "method"):
        assert getattr(found, name) == getattr(partition, name)
    assert found.maximal_count == partition.maximal_count
    assert found.adjacency.pairs.tolist() == partition.adjacency.pairs.tolist()
    if partition.mesh is not None:
        assert np.array_equal(found.mesh.corners, partition.mesh.corners)
        assert np.array_equal(found.mesh.vertices, partition.mesh.vertices)
        assert found.mesh.euler == 1


def test_what_checks_found_comes_back(tmp_path: Path, partition: Partition) -> None:
    for checked in (partition.replace(verified=verify(partition)), partition):
        found = Partition.load(checked.save(tmp_path / "cells.parquet"), partition.graph)
        assert found.to_dict()["verified"] == checked.to_dict()["verified"]
        assert ("checks passed" in repr(found)) == (checked.verified is not None)


def test_a_plane_comes_back_as_its_chart(tmp_path: Path) -> None:
    plane = Plane(torch.randn(4), torch.randn(4), torch.randn(4), (-1.0, 2.0))
    partition = brute(mlp(4, 5, 2), plane)
    found = Partition.load(partition.save(tmp_path / "cells.parquet"), partition.graph)
    assert torch.equal(found.inputs(), partition.inputs())
    assert found.locate(partition.inputs()).cells.tolist() == list(range(len(partition)))


def test_other_weights_are_refused(tmp_path: Path, partition: Partition) -> None:
    path = partition.save(tmp_path / "cells.parquet")
    with pytest.raises(DataError, match="other weights"):
        Partition.load(path, mlp(2, 6, 5, 2, seed=1))
    with pytest.raises(DataError, match="another network"):
        Partition.load(path, mlp(2, 6, 4, 2))


def test_changed_weights_are_not_saved(tmp_path: Path) -> None:
    partition = brute(mlp.__wrapped__(2, 4, 1))
    assert not partition.stale
    with torch.no_grad():
        next(partition.graph.parameters()).mul_(2)
    assert partition.stale
    assert "stale" in repr(partition)
    with pytest.raises(DataError, match="have changed"):
        partition.save(tmp_path / "cells.parquet")
    assert not list(tmp_path.iterdir())


def test_files_that_are_no_partitions_are_refused(tmp_path: Path, partition: Partition) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "text").write_text("no parquet")
    pq.write_table(pa.table({"code": [1]}), tmp_path / "table")
    for name in ("text", "table", "missing"):
        with pytest.raises(DataError, match="cannot read"):
            Partition.load(tmp_path / name, partition.graph)
    with pytest.raises(DataError, match="cannot write"):
        partition.save(tmp_path / "no folder" / "cells.parquet")


def test_a_table_has_a_row_per_cell(partition: Partition) -> None:
    pytest.importorskip("pandas")
    frame = partition.to_dataframe()
    assert len(frame) == partition.count
    assert frame["volume"].sum() == pytest.approx(4.0)
    assert frame["class"].tolist() == partition.classes().tolist()
    assert frame["code"][3] == partition.packed[3].tobytes()
    assert frame[["t0", "t1"]].to_numpy().tolist() == partition.points.tolist()

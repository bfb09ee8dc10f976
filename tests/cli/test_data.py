"""Which arrays of a data file are inputs and classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from splinegraph.cli.data import load_data

X = np.arange(6, dtype=np.float32).reshape(3, 2)


@pytest.mark.parametrize("name", ["x", "X", "inputs", "x_test", "whatever"])
@pytest.mark.parametrize("labels", ["y", "labels", "y_test"])
def test_names(tmp_path: Path, name: str, labels: str) -> None:
    np.savez(tmp_path / "d.npz", **{labels: np.array([1, 0, 1]), name: X, "zzz": np.array([{}], dtype=object)})
    data = load_data(tmp_path / "d.npz", limit=10)
    assert data.key == name
    assert torch.equal(data.x, torch.from_numpy(X))
    assert data.y is not None
    assert data.y.tolist() == [1, 0, 1]


def test_a_single_array(tmp_path: Path) -> None:
    np.save(tmp_path / "d.npy", X.astype(">f8"))
    data = load_data(tmp_path / "d.npy", limit=2)
    assert data.x.dtype == torch.float64
    assert data.x.tolist() == X[:2].tolist()
    assert data.y is None


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.uint16])
def test_integers_are_cast_as_they_are(tmp_path: Path, dtype: type) -> None:
    np.savez(tmp_path / "d.npz", x=X.astype(dtype), y=np.array([[1], [0], [1]]))
    data = load_data(tmp_path / "d.npz", limit=10)
    assert data.x.dtype == torch.float32
    assert data.x.tolist() == X.astype(dtype).astype(float).tolist()
    assert data.y is not None
    assert data.y.shape == (3,)
    assert any("cast to float" in note for note in data.notes)


def test_labels_that_are_no_classes_are_left_out(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=X, y=np.eye(3))
    data = load_data(tmp_path / "d.npz", limit=10)
    assert data.y is None
    assert any("no classes" in note for note in data.notes)

"""A user's own data, and normalisation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import TensorDataset

from splinegraph.errors import DataError
from splinegraph.training.datasets import NORMALISATIONS, TrainingData, load_data, normalise

Set = tuple[Tensor, Tensor]


@pytest.fixture
def samples(generator: torch.Generator) -> Set:
    return torch.rand(40, 1, 6, 5, generator=generator), torch.arange(40) % 4


def save(path: Path, **arrays: Tensor) -> Path:
    np.savez(path, **{name: x.numpy() for name, x in arrays.items()})
    return path


def test_training_and_test_samples_of_an_npz_file(samples: Set, tmp_path: Path) -> None:
    x, y = samples
    path = save(tmp_path / "a.npz", x_train=x[:30, 0], y_train=y[:30], x_test=x[30:, 0], y_test=y[30:])
    data = load_data(path, normalisation="none")
    assert torch.equal(data.x_train, x[:30])
    assert torch.equal(data.x_test, x[30:])
    assert torch.equal(data.y_train, y[:30])
    assert (data.classes, data.names, data.name, data.notes) == (4, tuple("0123"), "a.npz", ())


def test_where_there_are_no_test_samples_some_are_kept_the_same_each_time(samples: Set, tmp_path: Path) -> None:
    x, y = samples
    path = save(tmp_path / "a.npz", x=x, y=y)
    data = load_data(path, normalisation="none")
    assert torch.bincount(data.y_test).tolist() == [2, 2, 2, 2]
    both = torch.cat([data.x_train, data.x_test]).flatten(1)
    assert torch.equal(both.unique(dim=0), x.flatten(1).unique(dim=0))
    assert data.checksum == load_data(path).checksum == load_data((x, y)).checksum
    assert data.notes == ("there were no test samples: 8 of 40 are kept for them",)


def test_samples_of_unknown_class_are_trained_on_only(samples: Set) -> None:
    x, y = samples
    y = torch.where(torch.arange(40) < 10, -1, y)
    data = load_data((x, y))
    assert int((data.y_train == -1).sum()) == 10
    assert len(data.y_test) == 6
    assert int(data.y_test.min()) == 0


def test_datasets_of_pytorch_and_pairs_of_them(samples: Set) -> None:
    x, y = samples
    train, test = TensorDataset(x[:30], y[:30]), TensorDataset(x[30:], y[30:])
    data = load_data((train, test), normalisation="none")
    assert torch.equal(data.x_test, x[30:])
    mapped = {"x_train": x[:30], "y_train": y[:30], "x_test": x[30:], "y_test": y[30:]}
    assert load_data(mapped).checksum == data.checksum
    assert len(load_data(TensorDataset(x, y)).x_train) == 32


def test_a_folder_of_images_with_a_folder_per_class(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for part, name, number in ((p, c, i) for p in ("train", "test") for c in ("cat", "dog") for i in range(3)):
        (tmp_path / part / name).mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / part / name / f"{number}.png")
    data = load_data(tmp_path, normalisation="none")
    assert data.x_train.shape == data.x_test.shape == (6, 3, 8, 8)
    assert data.names == ("cat", "dog")
    assert data.y_test.tolist() == [0, 0, 0, 1, 1, 1]
    (tmp_path / "test" / "dog").rename(tmp_path / "test" / "eel")
    with pytest.raises(DataError, match="cat, dog and cat, eel"):
        load_data(tmp_path)
    assert len(load_data(tmp_path / "train").x_test) == 1
    assert load_data(tmp_path / "train", image_size=(5, 4)).shape == (3, 5, 4)
    Image.new("RGB", (9, 8)).save(tmp_path / "train" / "cat" / "9.png")
    with pytest.raises(DataError, match=r"9.png is 8x9 \(height x width\).*image_size"):
        load_data(tmp_path / "train")


def test_images_with_their_channels_last_and_vectors(samples: Set) -> None:
    x, y = samples
    colored = torch.cat([x, 2 * x, 3 * x], 1)
    assert torch.equal(load_data((colored.permute(0, 2, 3, 1), y)).x_train, load_data((colored, y)).x_train)
    assert load_data((x.flatten(1), y)).shape == (30,)


def test_data_that_cannot_be_used_say_why(samples: Set, tmp_path: Path) -> None:
    x, y = samples
    broken = x.clone()
    broken[7, 0, 1, 1] = torch.nan
    with pytest.raises(DataError, match=r"sample 7 of .* holds NaN"):
        load_data((broken, y))
    with pytest.raises(DataError, match=r"x_test.*has 9 entries|9 entries for 10 samples"):
        load_data(save(tmp_path / "a.npz", x_train=x[:30], y_train=y[:30], x_test=x[30:], y_test=y[31:]))
    with pytest.raises(DataError, match=r"test samples of a.npz are \(1, 6, 4\).*training samples are \(1, 6, 5\)"):
        load_data(save(tmp_path / "a.npz", x_train=x[:30], y_train=y[:30], x_test=x[30:, ..., :4], y_test=y[30:]))
    with pytest.raises(DataError, match=r"'y_train' has shape \(40,\) and dtype float32: no classes"):
        load_data(save(tmp_path / "a.npz", x_train=x, y_train=y.float()))
    with pytest.raises(DataError, match="has no labels"):
        load_data(save(tmp_path / "a.npz", x=x, y=y.float()))
    with pytest.raises(DataError, match=r"labels have shape \(40,\) and dtype float32"):
        load_data((x, y.float()))
    with pytest.raises(DataError, match="no y_train"):
        load_data(save(tmp_path / "a.npz", x_train=x))
    with pytest.raises(DataError, match="has a label -2; number classes from 0 on, and write -1"):
        load_data((x, torch.where(y == 1, -2, y)))
    with pytest.raises(DataError, match="has a label 3: there are 3 classes"):
        load_data((x, y), classes=3)
    with pytest.raises(DataError, match="there is no file"):
        load_data(tmp_path / "absent.npz")
    with pytest.raises(DataError, match="3 samples with labels, too few"):
        load_data((x, torch.where(torch.arange(40) < 37, -1, y)))
    with pytest.raises(DataError, match=r"shape \(1, 1, 6, 5\)"):
        load_data((x[:, None], y))


def test_training_data_are_checked_however_they_are_made(samples: Set) -> None:
    x, y = samples
    with pytest.raises(DataError, match="test set of mine has a label -1"):
        TrainingData(x, y, x, y - 1, 4, "mine", "")
    with pytest.raises(DataError, match="training set of mine is empty"):
        TrainingData(x[:0], y[:0], x, y, 4, "mine", "")


# normalisation


def test_the_normalisation_of_the_paper(generator: torch.Generator) -> None:
    x = 5 + 3 * torch.randn(20, 3, 4, 4, generator=generator)
    found, again = normalise(x, x[:2], "paper")
    torch.testing.assert_close(found.mean((1, 2, 3)), torch.zeros(20), atol=1e-6, rtol=0)
    torch.testing.assert_close(found.abs().amax((1, 2, 3)), torch.ones(20))
    assert found.mean((2, 3)).abs().max() > 0.05  # over all channels together
    assert torch.equal(again, found[:2])


def test_constant_images_become_zero() -> None:
    """Exactly, though the mean of equal numbers may be rounded to another one."""
    x = torch.linspace(-3, 255, 200)[:, None, None, None].expand(-1, 3, 9, 7)
    assert not torch.equal(x.mean((1, 2, 3)), x[:, 0, 0, 0])
    assert not normalise(x, x, "paper")[0].any()
    same = x[:1].expand(4, -1, -1, -1)
    assert all(normalise(same, same, how)[0].isfinite().all() for how in NORMALISATIONS)


def test_others_learn_from_the_training_samples_only(generator: torch.Generator) -> None:
    x, x_test = torch.randn(2, 30, 2, 4, 4, generator=generator)
    train, test = normalise(x, 100 * x_test, "standard")
    torch.testing.assert_close(train.mean((0, 2, 3)), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(train.var((0, 2, 3), correction=0), torch.ones(2))
    scale = x.std((0, 2, 3), correction=0)[:, None, None]
    torch.testing.assert_close(test, (100 * x_test - x.mean((0, 2, 3))[:, None, None]) / scale)
    train, test = normalise(x, 100 * x_test, "unit")
    assert (float(train.min()), float(train.max())) == (0.0, 1.0)
    assert float(test.max()) > 1
    assert normalise(x.byte(), x_test, "none")[0].dtype == torch.float32


def test_unknown_normalisations_are_refused(samples: Set) -> None:
    with pytest.raises(DataError, match="give one of paper, none, unit, standard"):
        load_data(samples, normalisation="whiten")

"""The laws of every source: any cut gives the same samples, rows are those samples, a second pass is the first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, WeightedRandomSampler

from splinegraph.data.reading import read_data
from splinegraph.data.source import DataSource
from splinegraph.errors import DataError

COUNT = 23
X = np.arange(COUNT * 6, dtype=np.float32).reshape(COUNT, 2, 3)
Y = np.arange(COUNT) % 5


class Pairs(Dataset[Any]):
    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, index: int) -> Any:
        return {"y": int(Y[index]), "x": X[index]}


class Counting(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        return ([X[i], int(Y[i])] for i in range(COUNT))


def _npz(path: Path, save: Callable[..., None], x: np.ndarray[Any, Any] = X) -> DataSource:
    save(path / "d.npz", x=x, y=Y)
    return read_data(path / "d.npz")


def _npy(path: Path) -> DataSource:
    np.save(path / "d.npy", X.astype(">f4"))
    return read_data(str(path / "d.npy"), labels=Y.tolist())


def _pairs() -> TensorDataset:
    return TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)[:, None])


SOURCES: dict[str, Callable[[Path], DataSource]] = {
    "stored": lambda path: _npz(path, np.savez),
    "compressed": lambda path: _npz(path, np.savez_compressed),
    "stored, columns first": lambda path: _npz(path, np.savez, np.asfortranarray(X)),
    "compressed, columns first": lambda path: _npz(path, np.savez_compressed, np.asfortranarray(X)),
    "npy of other byte order": _npy,
    "tensor": lambda _: read_data(torch.from_numpy(X), torch.from_numpy(Y)),
    "array": lambda _: read_data(X, Y[:, None]),
    "mapping": lambda _: read_data({"y": Y, "x": torch.from_numpy(X)}),
    "map-style": lambda _: read_data(Pairs()),
    "list of samples": lambda _: read_data([(X[i], int(Y[i])) for i in range(COUNT)]),
    "iterable": lambda _: read_data(Counting()),
    "loader": lambda _: read_data(DataLoader(_pairs(), batch_size=7)),
    "loader that drops and shuffles": lambda _: read_data(DataLoader(_pairs(), 7, shuffle=True, drop_last=True)),
    "loader with workers": lambda _: read_data(DataLoader(_pairs(), batch_size=7, num_workers=1)),
    "loader of an iterable": lambda _: read_data(DataLoader(Counting(), batch_size=4)),
    "longer": lambda _: read_data(torch.cat([torch.from_numpy(X)] * 2), np.concatenate([Y, Y]), limit=COUNT),
    "cast": lambda _: read_data(X.astype(np.uint8), Y).cast(torch.float32),
}


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> DataSource:
    return SOURCES[request.param](tmp_path)


def _all(source: DataSource, size: int) -> tuple[Tensor, Tensor]:
    batches = list(source.batches(size))
    starts = [b.start for b in batches]
    assert starts == list(range(0, COUNT, size))
    assert [b.size for b in batches[:-1]] == [size] * (len(batches) - 1)
    return torch.cat([b.inputs[0] for b in batches]), torch.cat([b.labels for b in batches if b.labels is not None])


@pytest.mark.parametrize("size", [1, 5, COUNT - 1, COUNT, 100])
def test_any_cut_gives_the_samples_twice(source: DataSource, size: int) -> None:
    for _ in range(2):
        x, y = _all(source, size)
        assert x.dtype == source.dtypes[0] == torch.float32
        assert torch.equal(x, torch.from_numpy(X))
        assert y.dtype == torch.int64
        assert y.tolist() == Y.tolist()
    assert source.shapes == ((2, 3),)
    assert source.labeled
    assert source.length in (None, COUNT)


def test_rows_are_those_samples_in_that_order(source: DataSource) -> None:
    chosen = [20, 3, 3, 0, 22]
    batch = source.rows(chosen)
    assert torch.equal(batch.inputs[0], torch.from_numpy(X[chosen]))
    assert batch.labels is not None
    assert batch.labels.tolist() == Y[chosen].tolist()
    for bad in (-1, COUNT):
        with pytest.raises(DataError, match=f"no sample {bad}"):
            source.rows([0, bad])


def test_the_first_ones(source: DataSource) -> None:
    taken = source.take(8)
    assert torch.equal(torch.cat([b.inputs[0] for b in taken.batches(3)]), torch.from_numpy(X[:8]))
    assert any("first 8" in note for note in taken.notes)
    with pytest.raises(DataError, match="no sample 8"):
        taken.rows([8])
    assert torch.equal(next(source.take(1).batches(1)).inputs[0], torch.from_numpy(X[:1]))


def test_a_length_is_known_or_said_to_be_unknown(source: DataSource) -> None:
    assert source  # whatever its length
    if source.length is None:
        with pytest.raises(TypeError, match="not known"):
            len(source)
        assert "unknown" in repr(source)
    else:
        assert len(source) == COUNT


def test_labels_apart() -> None:
    again = read_data(read_data(Counting()), labels=Y[::-1].copy())
    assert torch.cat([b.labels for b in again.batches(4) if b.labels is not None]).tolist() == Y[::-1].tolist()
    for labels, match in ((Y[:-1], "22 labels"), (np.append(Y, 0), "24 labels for 23")):
        with pytest.raises(DataError, match=match):
            list(read_data(Counting(), labels=labels).batches(4))
        with pytest.raises(DataError, match=match):
            read_data(X, labels=labels)


def test_integers_stay_integers_and_a_cast_says_their_range() -> None:
    source = read_data(np.array([[7], [250], [3]], dtype=np.uint8))
    assert source.dtypes == (torch.uint8,)
    floats = source.cast(torch.float64)
    assert floats.notes == ("the data are uint8 and were cast to float as they are",)
    assert torch.cat([b.inputs[0] for b in floats.batches(2)]).tolist() == [[7.0], [250.0], [3.0]]
    assert floats.notes == ("the data are uint8 and were cast to float as they are, from 3 to 250",)
    assert source.cast(torch.int64).notes == ()
    with pytest.raises(DataError, match="holds float64"):
        floats.cast(torch.int64)


@pytest.mark.parametrize("dtype", [bool, "u1", "i2", "u2", "u4", "i8", "u8", "f2", "f4", "f8", "g", ">i4", ">f8"])
def test_values_of_every_type(tmp_path: Path, dtype: str) -> None:
    x = np.array([[0], [1], [100]]).astype(dtype)
    np.save(tmp_path / "d.npy", x)
    (batch,) = read_data(tmp_path / "d.npy").batches(9)
    assert batch.inputs[0].double().tolist() == x.astype(float).tolist()
    assert batch.inputs[0].is_floating_point() == (x.dtype.kind == "f")


def test_integers_too_large_for_torch() -> None:
    with pytest.raises(DataError, match="2\\^63"):
        list(read_data(np.array([2**63 + 1], dtype=np.uint64)).batches(1))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_named(value: float) -> None:
    x = X.copy()
    x[17, 1, 2] = value
    for source in (read_data(x), read_data(x).take(20).cast(torch.float64)):
        with pytest.raises(DataError, match="sample 17 of the array holds NaN or infinite"):
            list(source.batches(5))
        with pytest.raises(DataError, match="sample 17 of"):
            source.rows([18, 17])
    assert len(list(read_data(x, limit=17).batches(5))) == 4


def test_large_values_are_finite() -> None:
    assert next(read_data(np.full((2, 2), 3e38, dtype=np.float32)).batches(2)).size == 2


class Once(IterableDataset[Any]):
    def __init__(self, repeated: int) -> None:
        self.counts = iter([1, 10, repeated])  # the first sample is looked at before the first pass

    def __iter__(self) -> Iterator[Any]:
        return (torch.tensor([float(i)]) for i in range(next(self.counts)))


@pytest.mark.parametrize("repeated", [0, 9, 11])
def test_data_that_change_between_passes_are_refused(repeated: int) -> None:
    source = read_data(Once(repeated))
    assert len(list(source.batches(4))) == 3
    with pytest.raises(DataError, match="same in each pass"):
        list(source.batches(4))


def test_several_inputs(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x0=X, x1=X[:, 0], b=X[:, :, 0], y=Y)
    assert read_data(tmp_path / "d.npz").shapes == ((2, 3), (3,))
    assert read_data(tmp_path / "d.npz", inputs=("b", "x0")).shapes == ((2,), (2, 3))
    both = read_data((torch.from_numpy(X), torch.from_numpy(X[:, 0])), Y)
    assert both.rows([4]).inputs[1].tolist() == X[4:5, 0].tolist()
    triples = [(X[i], X[i, 0], i) for i in range(COUNT)]
    assert (read_data(triples).shapes, read_data(triples).labeled) == (((2, 3), (3,)), True)
    floats = TensorDataset(torch.from_numpy(X), torch.from_numpy(X[:, 0]))
    assert (read_data(floats).shapes, read_data(floats).labeled) == (((2, 3), (3,)), False)
    assert read_data(floats).rows([4]).inputs[1].tolist() == X[4:5, 0].tolist()
    assert any("no class, so it is taken as an input" in note for note in read_data(floats).notes)
    assert read_data(floats, inputs=(0,)).shapes == ((2, 3),)
    numbers = read_data([(X[i], 0.5) for i in range(COUNT)])  # one float per sample is neither class nor input
    assert (numbers.shapes, numbers.labeled) == (((2, 3),), False)
    assert any("left out" in note for note in numbers.notes)
    with pytest.raises(DataError, match="22 entries for 23"):
        read_data({"x0": X, "x1": X[:22]})


@pytest.mark.parametrize("kind", [tuple, list])
def test_two_tensors_are_inputs_and_classes_if_the_second_is_one_integer_per_sample(kind: type) -> None:
    x, y = torch.from_numpy(X), torch.from_numpy(Y)
    source = read_data(kind([x, y]), limit=9)
    assert source.shapes == ((2, 3),)
    (batch,) = source.batches(9)
    assert batch.labels is not None
    assert batch.labels.tolist() == Y[:9].tolist()
    assert read_data(kind([X, Y])).labeled


def test_two_tensors_are_inputs_where_they_are_no_such_pair() -> None:
    x, y = torch.from_numpy(X), torch.from_numpy(Y)
    for pair, options in (((x, y.float()), {}), ((x, x), {}), ((x, y), {"inputs": (0, 1)}), ((x, y), {"labels": Y})):
        source = read_data(pair, **options)  # type: ignore[arg-type]
        assert len(source.shapes) == 2
        assert source.labeled == ("labels" in options)
    swapped = read_data((x, y), inputs=(1, 0))
    assert swapped.shapes == ((), (2, 3))
    with pytest.raises(DataError, match="no tensor 2 in the tuple: it holds 2"):
        read_data((x, y), inputs=(2,))
    assert read_data([y, y]).length == 2  # two samples


@pytest.mark.parametrize(
    ("what", "shown"),
    [
        (torch.from_numpy(X), "ds.py:d"), (X, "ds.py:d"), ((X, Y), "ds.py:d"), ((X, X), "ds.py:d"),
        ({"x": X}, "'x' in ds.py:d"), (Pairs(), "ds.py:d"), (DataLoader(_pairs()), "ds.py:d"), (Counting(), "ds.py:d"),
    ],
)  # fmt: skip
def test_data_go_by_the_name_that_the_user_typed(what: Any, shown: str) -> None:
    assert read_data(what, name="ds.py:d", limit=3).name == shown
    with pytest.raises(DataError, match=r"cannot read data from ds\.py:d, a int"):
        read_data(3, name="ds.py:d")


def test_a_sampler_is_drawn_once_and_alike_in_each_run() -> None:
    own = torch.Generator().manual_seed(7)

    def make() -> DataSource:
        sampler = WeightedRandomSampler([1.0] * COUNT, 30, generator=own)
        return read_data(DataLoader(_pairs(), 4, sampler=sampler))

    state, own_state = torch.random.get_rng_state(), own.get_state()
    first, second = make(), make()
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.equal(own_state, own.get_state())
    order = [torch.cat([b.inputs[0] for b in s.batches(7)])[:, 0, 0].tolist() for s in (first, first, second)]
    assert order[0] == order[1] == order[2] != sorted(order[0])
    assert len(first) == 30
    assert any("seed 0" in note for note in first.notes)


def test_a_loader_of_batches_and_one_with_its_own_batches() -> None:
    pieces = [torch.from_numpy(X[:10]), torch.from_numpy(X[10:])]
    source = read_data(DataLoader(pieces, batch_size=None))  # type: ignore[arg-type]
    assert torch.equal(torch.cat([b.inputs[0] for b in source.batches(6)]), torch.from_numpy(X))
    order = [[2, 0], [1]]
    (batch,) = read_data(DataLoader(_pairs(), batch_sampler=order)).batches(5)
    assert torch.equal(batch.inputs[0], torch.from_numpy(X[[2, 0, 1]]))


def test_entries_that_are_not_used_are_noted() -> None:
    source = read_data([{"x": X[0], "y": 1, "mask": X[0], "id": 3}] * 2)
    assert source.notes == ("not used: id, mask",)
    assert read_data({"x_test": X, "y_test": Y, "x_train": X, "y_train": Y}).notes == ("not used: x_train, y_train",)
    note = "not used: actions; classes are looked for under y, labels, y_test"
    assert read_data({"obs": X, "actions": Y}).notes == (note,)


class Noisy(Pairs):
    def __getitem__(self, index: int) -> Any:
        return {"x": torch.randn(3)}


def test_random_items_are_noted() -> None:
    assert any("other values each time" in note for note in read_data(Noisy()).notes)


class Failing(Pairs):
    def __getitem__(self, index: int) -> Any:
        if index == 9:
            raise KeyError("no such file")
        return super().__getitem__(index)


class Growing(Pairs):
    def __getitem__(self, index: int) -> Any:
        return torch.zeros(2 + index // 4)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Failing(), "cannot read .*Failing: KeyError.*no such file"),
        (lambda: Growing(), "of one shape|sample 4 has shape|differ in shape"),
        (lambda: [], "holds no samples"),
        (lambda: TensorDataset(torch.zeros(0, 2)), "holds no samples"),
        (lambda: [Image.new("L", (2, 2))], "give tensors, such as by a transform"),
        (lambda: [{"a": 1.0, "b": 2.0}], "are not known: it has a, b"),
        (lambda: [("text", 1)], "give tensors"),
        (lambda: torch.zeros(0, 3), "the batch is empty"),
        (lambda: torch.zeros(3, 0), "it is empty"),
        (lambda: torch.eye(2).to_sparse(), "is sparse"),
        (lambda: np.ma.masked_equal(X, 1.0), "masked"),
        (lambda: {"x": [[1], [1, 2]]}, "differ in length"),
        (lambda: (torch.zeros(2), [1]), "different numbers"),
        (lambda: "", "path of the data is empty"),
        (lambda: torch.tensor(1.0), "no axis for the samples"),
        (lambda: torch.zeros(2, dtype=torch.complex64), "complex"),
        (lambda: (torch.zeros(2), torch.zeros(3)), "different numbers of samples: 2, 3"),
        (lambda: (x for x in [torch.zeros(1)]), "once only"),
        (lambda: 3, "from a int"),
        (lambda: np.array(["a"]), "dtype <U1"),
    ],
)
def test_bad_data(make: Callable[[], Any], match: str) -> None:
    with pytest.raises(DataError, match=match) as caught:
        list(read_data(make()).batches(4))
    assert "\n" not in str(caught.value)


def test_bad_arguments() -> None:
    with pytest.raises(DataError, match="limit is 0"):
        read_data(X, limit=0)
    with pytest.raises(DataError, match="batch size is 0"):
        next(read_data(X).batches(0))
    with pytest.raises(DataError, match="one integer per sample"):
        read_data(X, labels=X)
    with pytest.raises(DataError, match="has no labels 'why'"):
        read_data(X, labels="why")
    with pytest.raises(DataError, match="no entry 'z'"):
        read_data(Pairs(), inputs=("z",))

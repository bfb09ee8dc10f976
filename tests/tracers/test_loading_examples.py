"""An example input: where it comes from, its shape, type and batch axis, and what is said where none is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from splinegraph.errors import DataError, SplineGraphError, TargetError
from splinegraph.tracers.loading import Loaded, example_inputs, load
from splinegraph.tracers.tracing import trace


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 2), nn.Linear(4, 2)

    def forward(self, x, y=None, *, flag=False):
        return self.a(x) + (0 if y is None else self.b(y))


class Swapped(nn.Module):
    """Defines its layers in another order than it calls them."""

    def __init__(self) -> None:
        super().__init__()
        self.last, self.first = nn.Linear(3, 2), nn.Linear(4, 3)

    def forward(self, x):
        return self.last(self.first(x))


class OneHot(nn.Module):
    def forward(self, t):
        return nn.functional.one_hot(t, 10).float()


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.head = nn.Embedding(10, 4), nn.Linear(4, 2)

    def forward(self, ids, mask=None):
        words = self.words(ids)
        return self.head(words if mask is None else words * mask[..., None])


class Casts(Tokens):
    """Takes ids of any type."""

    def forward(self, ids, mask=None):
        return super().forward(ids.long(), mask)


def mlp(n: int = 3) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(n, 2))


def of(model: nn.Module, **known) -> Loaded:
    return Loaded(model.eval(), "python", Path("net.py"), "model", **known)


def from_code(tmp_path: Path, text: str) -> Loaded:
    path = tmp_path / "net.py"
    path.write_text(f"import torch\nfrom torch import nn\n{text}\n")
    return load(str(path))


# inferred from the first layer


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (mlp(784), (784,)), (mlp(3).double(), (3,)), (Two(), (3,)), (nn.Linear(5, 1), (5,)),
        (nn.Sequential(nn.BatchNorm1d(5), nn.Linear(5, 2)), (5,)),
        (nn.Sequential(nn.Dropout(), nn.ReLU(), nn.LayerNorm([2, 3]), nn.Flatten(), nn.Linear(6, 2)), (2, 3)),
    ],
)  # fmt: skip
def test_the_first_layer_tells_the_shape(model: nn.Module, shape: tuple[int, ...]) -> None:
    (x,), origin = example_inputs(of(model.train()))
    assert x.shape == (1, *shape)
    assert x.dtype == next(model.parameters()).dtype
    assert "first layer" in origin
    assert trace(model.eval(), x).input_shapes == (shape,)


def test_looking_leaves_the_model_as_it_was() -> None:
    model = nn.Sequential(nn.BatchNorm1d(5), nn.Dropout(), nn.Linear(5, 2)).train()
    model[1].eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    example_inputs(Loaded(model, "python"))
    assert [part.training for part in model] == [True, False, True]
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert not model[0]._forward_pre_hooks


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3)), r"0 \(Conv2d\), takes 3 channels, .* --input-shape, such as 3,224,224"),
        (nn.Conv1d(2, 4, 3), "a Conv1d takes 2 channels, .* such as 2,128,"),
        (nn.LSTM(8, 4), "8 features, which leaves the number of steps open; .* such as 20,8,"),
        (nn.TransformerEncoderLayer(8, 2, 16), "8 features, .* such as 20,8,"),
        (Tokens(), "token ids, which leaves their number open; .* such as 16,"),
        (Swapped(), "fails on shape .1, 3., RuntimeError: mat1"),
        (nn.ReLU(), "not known; give --input-shape, such as 1,28,28, or --input or --data, or set `input_shape`"),
    ],
)
def test_what_no_layer_tells_has_to_be_given(model: nn.Module, said: str) -> None:
    with pytest.raises(TargetError, match=said):
        example_inputs(of(model))


def test_a_layer_that_is_not_called_first_tells_nothing() -> None:
    class Behind(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(4, 2)

        def forward(self, x):
            return self.head(torch.cat([x, x.mean(-1, keepdim=True)], -1)[..., :4] * x.new_ones(2, 4))

    with pytest.raises(TargetError, match="another part of the model comes first"):
        example_inputs(of(Behind()))


# given shapes


def test_given_shapes_are_random_and_repeatable() -> None:
    (x, y), origin = example_inputs(of(Two()), shapes=[(3,), (4,)], seed=1)
    again, _ = example_inputs(of(Two()), shapes=[(3,), (4,)], seed=1)
    other, _ = example_inputs(of(Two()), shapes=[(3,), (4,)], seed=2)
    assert (x.shape, y.shape) == ((1, 3), (1, 4))
    assert "(3,) and (4,) from --input-shape" in origin
    assert torch.equal(x, again[0])
    assert not torch.equal(x, other[0])
    (wide,), _ = example_inputs(of(nn.Conv2d(1, 2, 3)), shapes=[(1, 200, 200)])
    assert abs(wide.mean()) < 0.02
    assert abs(wide.std() - 1) < 0.02


def test_token_ids_are_integers_in_range() -> None:
    (ids,), _ = example_inputs(of(Tokens()), shapes=[(500,)])
    assert ids.dtype == torch.int64
    assert (int(ids.min()), int(ids.max())) == (0, 9)
    assert trace(Tokens().eval(), (ids,)) is not None
    both, _ = example_inputs(of(Tokens()), shapes=[(6,), (6,)])
    assert both[0].dtype == torch.int64


def test_known_types_decide() -> None:
    loaded = of(nn.Linear(3, 2), dtypes=(torch.float64, torch.int32), input_shapes=((3,), (2,)))
    (x, t), _ = example_inputs(loaded)
    assert (x.dtype, t.dtype) == (torch.float64, torch.int32)
    assert (x.shape, t.shape) == ((1, 3), (1, 2))


def test_an_input_without_a_batch_axis(tmp_path: Path) -> None:
    loaded = of(nn.Linear(3, 2), input_shapes=((3,), (2, 2)), has_batch=(True, False))
    assert [tuple(x.shape) for x in example_inputs(loaded)[0]] == [(1, 3), (2, 2)]
    torch.save((torch.ones(5, 3), torch.ones(2, 2)), tmp_path / "x.pt")
    assert [tuple(x.shape) for x in example_inputs(loaded, given=[tmp_path / "x.pt"])[0]] == [(1, 3), (2, 2)]


def test_open_sizes_have_to_be_given() -> None:
    loaded = of(nn.Conv2d(3, 2, 3), input_shapes=((3, None, None),))
    with pytest.raises(TargetError, match=r"shape \(3, \?, \?\); give it, such as --input-shape 3,28,28"):
        example_inputs(loaded)
    with pytest.raises(DataError, match=r"says shape \(3, \?, \?\)"):
        example_inputs(loaded, data=(torch.zeros(2, 1, 8, 8),))
    assert example_inputs(loaded, data=(torch.zeros(2, 3, 8, 8),))[0][0].shape == (1, 3, 8, 8)


# what the file says


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("input_shape = 8", ((8,),)), ("input_shape = [1, 8, 8]", ((1, 8, 8),)),
        ("input_shape = (3,), (4,)", ((3,), (4,))), ("input_shape = torch.Size([3])", ((3,),)),
        ("model.input_shape = (3, 4)\ninput_shape = 7", ((3, 4),)),
        ("model.input_shape = print\ninput_shape = 7", ((7,),)),
    ],
)  # fmt: skip
def test_the_file_tells_the_shape(tmp_path: Path, text: str, shapes: tuple[tuple[int, ...], ...]) -> None:
    loaded = from_code(tmp_path, f"model = nn.ReLU().eval()\n{text}")
    assert loaded.input_shapes == shapes
    args, _ = example_inputs(loaded)
    assert [x.shape for x in args] == [(1, *shape) for shape in shapes]


@pytest.mark.parametrize("given", ["(0, 3)", "'28'", "(1.5,)", "(True,)", "()", "[(3,), 'x']"])
def test_a_bad_shape_in_the_file(tmp_path: Path, given: str) -> None:
    with pytest.raises(TargetError, match="`input_shape` in "):
        from_code(tmp_path, f"model = nn.ReLU()\ninput_shape = {given}")


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("example_input = torch.ones(5, 3)", [(1, 3)]),
        ("example_input = torch.ones(3)", [(1, 3)]),  # a bare sample, as the first layer tells
        ("example_input = torch.ones(5, 3)\ninput_shape = (5, 3)", [(1, 5, 3)]),
        ("def example_input():\n    return (torch.ones(5, 3), torch.ones(5, 4))", [(1, 3), (1, 4)]),
        ("example_input = {'y': torch.ones(5, 4), 'x': torch.ones(5, 3)}", [(1, 3), (1, 4)]),
        ("import numpy\nexample_input = numpy.ones((2, 3))", [(1, 3)]),
        ("example_input_array = torch.ones(2, 3)", [(1, 3)]),
        ("model.example_input_array = torch.ones(2, 3)\nexample_input = torch.ones(9, 9)", [(1, 3)]),
        ("example_input = torch.ones(5, 3), torch.ones(7, 4)", [(1, 3), (7, 4)]),  # no batch of five
    ],
)
def test_the_file_holds_an_example(tmp_path: Path, text: str, shapes: list[tuple[int, ...]]) -> None:
    code = (
        "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.a = nn.Linear(3, 2)\n"
    )
    code += "    def forward(self, x, y=None, *, flag=None):\n        return self.a(x)\nmodel = Net().eval()\n"
    loaded = from_code(tmp_path, code + text)
    args, origin = example_inputs(loaded)
    assert [tuple(x.shape) for x in args] == shapes
    assert all(bool((x == 1).all()) for x in args)
    assert "file" in origin
    given, _ = example_inputs(loaded, shapes=[(3,)])  # what the user types comes first
    assert not bool((given[0] == 1).all())


@pytest.mark.parametrize("text", ["'x'", "[1.0, 2.0]", "{'z': torch.ones(1, 3)}", "{'flag': torch.ones(1)}", "{}"])
def test_a_bad_example_in_the_file(tmp_path: Path, text: str) -> None:
    code = "class Net(nn.Module):\n    def forward(self, x, *, flag=None):\n        return x\nmodel = Net()\n"
    with pytest.raises(TargetError, match="`example_input` in "):
        from_code(tmp_path, f"{code}example_input = {text}")


# files and data


def test_files_in_every_form(tmp_path: Path) -> None:
    x, y = torch.randn(2, 3), torch.randn(2, 4)
    np.save(tmp_path / "x.npy", x.numpy())
    np.save(tmp_path / "y.npy", y.numpy().astype(">f8"))
    np.savez(tmp_path / "named.npz", y=y.numpy(), x=x.numpy())
    torch.save({"y": y, "x": x}, tmp_path / "named.pt")
    torch.save((x, y), tmp_path / "both.pt")
    for names in (["x.npy", "y.npy"], ["named.npz"], ["named.pt"], ["both.pt"]):
        args, origin = example_inputs(of(Two()), given=[tmp_path / n for n in names], shapes=[(3,), (4,)])
        assert torch.equal(args[0], x[:1])
        assert torch.allclose(args[1], y[:1])
        assert args[1].dtype == torch.float32
        assert "the first of 2 in" in origin
    only, _ = example_inputs(of(Two()), given=[tmp_path / "y.npy"])
    assert only[0].shape == (1, 4)


def test_an_archive_follows_the_rules_of_data_unless_its_names_are_arguments(tmp_path: Path) -> None:
    x, b, y = np.ones((5, 3), "f4"), np.full((5, 4), 2, "f4"), np.arange(5)
    np.savez(tmp_path / "x.npz", y=y, x=x, junk=np.array("text"), objects=np.array([None]))
    np.savez(tmp_path / "two.npz", x1=b, y=y, x0=x)
    np.savez(tmp_path / "only.npz", y=y)
    args, origin = example_inputs(of(mlp()), given=[tmp_path / "x.npz"])
    assert [a.tolist() for a in args] == [[[1.0] * 3]]
    assert origin == f"example input: the first of 5 in 'x' in {tmp_path / 'x.npz'}"
    args, origin = example_inputs(of(Two()), given=[tmp_path / "two.npz"])
    assert [a.tolist() for a in args] == [[[1.0] * 3], [[2.0] * 4]]
    assert "'x0' and 'x1' in " in origin
    with pytest.raises(DataError, match=r"only\.npz holds no inputs: it has y; name the array of inputs x"):
        example_inputs(of(mlp()), given=[tmp_path / "only.npz"])


def test_the_batch_axis_is_found_where_the_shape_is_known(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.arange(3.0))
    np.save(tmp_path / "image.npy", np.zeros((3, 8, 8)))
    for loaded, shapes in ((of(mlp()), [(3,)]), (of(mlp(), input_shapes=((3,),)), []), (of(nn.Linear(3, 2)), [])):
        assert example_inputs(loaded, given=[tmp_path / "one.npy"], shapes=shapes)[0][0].shape == (1, 3)
    conv = of(nn.Conv2d(3, 2, 3))
    assert example_inputs(conv, given=[tmp_path / "image.npy"], shapes=[(3, 8, 8)])[0][0].shape == (1, 3, 8, 8)
    assert example_inputs(conv, given=[tmp_path / "image.npy"])[0][0].shape == (1, 8, 8)  # axis 0 is the batch
    with pytest.raises(DataError, match=r"have shape \(8, 8\): --input-shape says shape \(3, 9, 9\)"):
        example_inputs(conv, given=[tmp_path / "image.npy"], shapes=[(3, 9, 9)])
    with pytest.raises(DataError, match=r"2 input\(s\): --input-shape has 1"):
        example_inputs(conv, given=[tmp_path / "image.npy"] * 2, shapes=[(3, 8, 8)])


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int32, np.int64])
def test_integers_stay_integers_for_a_model_that_wants_them(tmp_path: Path, kind: type) -> None:
    path = tmp_path / "x.npy"
    np.save(path, (np.arange(32).reshape(2, 16) % 10).astype(kind))
    for model in (Tokens(), Casts(), OneHot()):
        (ids,), _ = example_inputs(of(model), given=[path])
        assert ids.dtype == torch.int64
        assert ids.tolist() == [[i % 10 for i in range(16)]]
    for model in (nn.Linear(16, 2), nn.Linear(16, 2).double()):
        (x,), _ = example_inputs(of(model), given=[path])
        assert x.dtype == model.weight.dtype
    (x,), _ = example_inputs(of(nn.Linear(16, 2)), data=(torch.ones(2, 16, dtype=torch.uint8),))
    assert x.dtype == torch.float32


def test_data_come_before_what_the_file_holds() -> None:
    loaded = of(mlp(), example=(torch.ones(1, 3),))
    rows = torch.arange(6.0).reshape(2, 3)
    (x,), origin = example_inputs(loaded, data=(rows,))
    assert torch.equal(x, rows[:1])
    assert "data" in origin
    with pytest.raises(DataError, match=r"samples of the data have shape \(3,\): --input-shape says shape \(4,\)"):
        example_inputs(loaded, data=(rows,), shapes=[(4,)])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.npy", b"", "cannot read"), ("x.npz", b"PK\3\4cut", "cannot read"), ("x.pt", b"cut", "cannot read"),
        ("x.npy", np.array([np.nan]), "NaN"), ("x.npy", np.array(["a"]), "dtype <U1"),
        ("x.npy", np.array(3.0), "shape ()"),
        ("x.npy", np.zeros((0, 3)), "at least one sample"), ("x.npy", np.array([1j]), "dtype complex128"),
        ("x.pt", {"a": 3}, "a are no tensors"), ("x.pt", "text", "it is a str"),
        ("x.csv", b"1,2", "is no example input"),
    ],
)  # fmt: skip
def test_files_that_are_no_input(tmp_path: Path, name: str, content: object, said: str) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, np.ndarray):
        np.save(path, content)
    else:
        torch.save(content, path)
    with pytest.raises(SplineGraphError) as caught:
        example_inputs(of(mlp()), given=[path])
    assert said in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_missing_file_suggests_a_near_name(tmp_path: Path) -> None:
    np.save(tmp_path / "inputs.npy", np.zeros(3))
    with pytest.raises(DataError, match=r"did you mean .*inputs\.npy"):
        example_inputs(of(mlp()), given=[tmp_path / "input.npy"])
    with pytest.raises(DataError, match="is a folder"):
        example_inputs(of(mlp()), given=[tmp_path])

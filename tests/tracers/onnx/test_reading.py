"""Files that are damaged, hostile, or beyond what can be read; and what the module says of itself."""

from __future__ import annotations

import copy
import pickle
import random
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

import splinegraph as sg  # noqa: E402
from splinegraph.errors import (  # noqa: E402
    MissingDependencyError,
    ShapeError,
    SplineGraphError,
    TargetError,
    UnsupportedOperatorError,
)
from splinegraph.tracers.onnx import read_onnx  # noqa: E402

FLOAT = TensorProto.FLOAT


def tensor(name: str, values: Any, dtype: Any = np.float32) -> Any:
    return numpy_helper.from_array(np.asarray(values, dtype=dtype), name)


def model(
    nodes: list[Any], stored: list[Any] = (), shape: Any = ("n", 2), opset: int = 17, outputs: Any = ("y",),
    dtype: int = FLOAT,
) -> Any:  # fmt: skip
    x = helper.make_tensor_value_info("x", dtype, shape)
    ys = [helper.make_tensor_value_info(name, dtype, None) for name in outputs]
    graph = helper.make_graph(nodes, "graph", [x], ys, list(stored))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def save(made: Any, folder: Path, name: str = "model.onnx") -> Path:
    path = folder / name
    path.write_bytes(made.SerializeToString())
    return path


def gemm(**settings: Any) -> Any:
    return helper.make_node("Gemm", ["x", "w"], ["y"], name="/layer/Gemm", **settings)


def message(path: Path, kind: type[SplineGraphError] = TargetError) -> str:
    with pytest.raises(kind) as caught:
        read_onnx(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# damaged files


@pytest.mark.parametrize(
    "content",
    [b"", b"hello, I am no model", b"\x08\x08\x12\xff\xff\xff", random.Random(0).randbytes(64)],
    ids=["empty", "text", "cut", "noise"],
)
def test_no_onnx_file(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    assert str(path) in message(path)


def test_missing_and_folder(tmp_path: Path) -> None:
    assert "no file" in message(tmp_path / "model.onnx")
    assert "folder" in message(tmp_path)


def test_a_truncated_file(tmp_path: Path) -> None:
    path = save(model([gemm()], [tensor("w", np.ones((2, 3)))]), tmp_path)
    path.write_bytes(path.read_bytes()[:-20])
    message(path)


def test_an_empty_graph_and_no_outputs(tmp_path: Path) -> None:
    assert "no graph" in message(save(model([], outputs=()), tmp_path))
    assert "no outputs" in message(save(model([gemm()], [tensor("w", np.ones((2, 3)))], outputs=()), tmp_path))


def test_an_operator_set_of_the_future(tmp_path: Path) -> None:
    made = model([gemm()], [tensor("w", np.ones((2, 3)))], opset=999)
    assert "999" in message(save(made, tmp_path))


def test_an_input_without_a_shape(tmp_path: Path) -> None:
    assert "'x'" in message(save(model([gemm()], [tensor("w", np.ones((2, 3)))], shape=None), tmp_path))


def test_a_value_that_nobody_makes(tmp_path: Path) -> None:
    made = model([helper.make_node("Add", ["x", "nowhere"], ["y"])])
    assert "'nowhere'" in message(save(made, tmp_path))


def test_a_tensor_whose_data_is_cut(tmp_path: Path) -> None:
    weight = tensor("w", np.ones((2, 3)))
    weight.raw_data = weight.raw_data[:-4]
    assert "'w'" in message(save(model([gemm()], [weight]), tmp_path))


def test_all_unsupported_operators_are_named_at_once(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Fancy", ["x"], ["a"], name="first", domain="my.domain"),
        helper.make_node("NonMaxSuppression", ["a", "a"], ["b"], name="second"),
        helper.make_node("Fancy", ["x"], ["c"], name="third", domain="my.domain"),
        helper.make_node("Add", ["b", "c"], ["y"]),
    ]
    text = message(save(model(nodes), tmp_path), UnsupportedOperatorError)
    assert "my.domain::Fancy (node 'first') and 1 more" in text
    assert "NonMaxSuppression (node 'second')" in text


def test_an_unsupported_operator_that_nothing_needs_is_no_matter(tmp_path: Path) -> None:
    nodes = [helper.make_node("Fancy", ["x"], ["a"], domain="my.domain"), helper.make_node("Relu", ["x"], ["y"])]
    assert len(list(read_onnx(save(model(nodes), tmp_path)).children())) == 1


def test_onnx_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert "splinegraph[onnx]" in message(tmp_path / "model.onnx", MissingDependencyError)


# data in other files


def external(location: str, **entries: str) -> Any:
    weight = TensorProto(name="w", data_type=FLOAT, dims=[2, 3], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, **entries}.items():
        weight.external_data.add(key=key, value=value)
    return model([gemm()], [weight])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret.bin").write_bytes(np.ones(6, np.float32).tobytes())
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "w.bin").write_bytes(np.arange(6, dtype=np.float32).tobytes())
    return inner


def test_data_beside_the_file_is_read(folder: Path) -> None:
    module = read_onnx(save(external("w.bin"), folder))
    assert module(torch.eye(2)).tolist() == [[0, 1, 2], [3, 4, 5]]


def test_data_outside_of_the_folder_is_refused(folder: Path) -> None:
    (folder / "link.bin").symlink_to(folder.parent / "secret.bin")
    (folder / "up").symlink_to(folder.parent)
    absolute = str(folder.parent / "secret.bin")
    for location in ("../secret.bin", "a/../../secret.bin", absolute, "link.bin", "up/secret.bin", "..\\secret.bin"):
        assert "outside of its folder" in message(save(external(location), folder))


def test_data_outside_of_the_folder_is_refused_in_attributes(folder: Path) -> None:
    weight = external("../secret.bin").graph.initializer[0]
    nodes = [helper.make_node("Constant", [], ["w"], value=weight), gemm()]
    assert "outside of its folder" in message(save(model(nodes), folder))


def test_data_that_is_missing_or_short(folder: Path) -> None:
    assert "not there" in message(save(external("other.bin"), folder))
    assert "shorter" in message(save(external("w.bin", offset="8", length="24"), folder))


# what the module says


def test_names_shapes_and_types(tmp_path: Path) -> None:
    module = read_onnx(save(model([gemm()], [tensor("w", np.ones((2, 3)))]), tmp_path))
    assert (module.input_names, module.input_shapes, module.opset) == (("x",), ((2,),), 17)
    assert not any(m.training for m in module.modules())
    assert [name for name, _ in module.named_parameters()] == ["layer_Gemm.w"]
    with pytest.raises(ShapeError):
        module()


def test_a_shared_weight_stays_one_parameter(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["a"]), helper.make_node("MatMul", ["a", "w"], ["y"])]
    module = read_onnx(save(model(nodes, [tensor("w", [[1.0, 2.0], [3.0, 4.0]])]), tmp_path))
    assert len(list(module.parameters())) == 1
    assert module(torch.tensor([[1.0, 1.0]])).tolist() == [[22.0, 32.0]]


@pytest.mark.parametrize(
    ("kind", "dtype"), [(TensorProto.FLOAT16, torch.float16), (TensorProto.DOUBLE, torch.float64),
                        (TensorProto.BFLOAT16, torch.bfloat16)],
)  # fmt: skip
def test_weights_keep_their_type(kind: int, dtype: torch.dtype, tmp_path: Path) -> None:
    weight = helper.make_tensor("w", kind, (2, 1), [0.5, -2.0])
    module = read_onnx(save(model([gemm()], [weight], dtype=kind), tmp_path))
    assert next(module.parameters()).dtype == dtype
    assert module(torch.ones(3, 2, dtype=dtype)).tolist() == [[-1.5]] * 3


def test_samples_that_mix_are_taken_one_at_a_time(tmp_path: Path) -> None:
    mean = helper.make_node("ReduceMean", ["x"], ["m"], axes=[0], keepdims=1)
    made = model([mean, helper.make_node("Sub", ["x", "m"], ["y"])], shape=(1, 3))
    module = read_onnx(save(made, tmp_path))
    assert module.batching == "fixed"
    with pytest.raises(ShapeError, match="batches of 1 only"):
        module(torch.zeros(2, 3))


def test_a_file_without_a_batch_axis(tmp_path: Path) -> None:
    weight = tensor("w", [[1.0, -2.0], [3.0, 4.0]])
    nodes = [helper.make_node("MatMul", ["w", "x"], ["a"]), helper.make_node("Relu", ["a"], ["y"])]
    module = read_onnx(save(model(nodes, [weight], shape=(2,)), tmp_path))
    assert (module.batching, module.input_shapes) == ("none", ((2,),))
    assert module(torch.tensor([1.0, 1.0])).tolist() == [0.0, 7.0]
    assert module(torch.tensor([[1.0, 1.0]])).tolist() == [[0.0, 7.0]]
    graph = sg.trace(module, torch.zeros(1, 2))
    assert graph(torch.tensor([[1.0, 1.0], [2.0, 0.0]])).tolist() == [[0.0, 7.0], [2.0, 6.0]]


def test_a_branch_that_a_size_decides(tmp_path: Path) -> None:
    def branch(name: str, op: str) -> Any:
        out = helper.make_tensor_value_info(name, FLOAT, None)
        return helper.make_graph([helper.make_node(op, ["x"], [name])], name, [], [out])

    nodes = [
        helper.make_node("Shape", ["x"], ["s"]), helper.make_node("Gather", ["s", "one"], ["width"]),
        helper.make_node("Equal", ["width", "two"], ["c"]),
        helper.make_node("If", ["c"], ["y"], then_branch=branch("t", "Relu"), else_branch=branch("e", "Neg")),
    ]  # fmt: skip
    stored = [tensor("one", 1, np.int64), tensor("two", 2, np.int64)]
    x = torch.tensor([[-1.0, 2.0]])
    module = read_onnx(save(model(nodes, stored, shape=("n", "k")), tmp_path))
    assert module(x).tolist() == [[0.0, 2.0]]
    assert module(x[:, :1]).tolist() == [[1.0]]
    assert [n.operator.label for n in sg.trace(module, x).operators] == ["ReLU"]


def test_softmax_before_operator_set_13_runs_over_all_axes(tmp_path: Path) -> None:
    nodes = [helper.make_node("Softmax", ["x"], ["y"])]
    x = torch.randn(2, 3, 4)
    old = read_onnx(save(model(nodes, shape=("n", 3, 4), opset=11), tmp_path))(x)
    new = read_onnx(save(model(nodes, shape=("n", 3, 4), opset=13), tmp_path))(x)
    torch.testing.assert_close(old, x.flatten(1).softmax(1).reshape(2, 3, 4))
    torch.testing.assert_close(new, x.softmax(-1))


def test_stored_quantized_weights_become_floating(tmp_path: Path) -> None:
    stored = [tensor("q", [[4, 2], [0, 6]], np.int8), tensor("s", 0.5), tensor("z", 2, np.int8)]
    nodes = [helper.make_node("DequantizeLinear", ["q", "s", "z"], ["w"]), gemm()]
    module = read_onnx(save(model(nodes, stored), tmp_path))
    assert module(torch.eye(2)).tolist() == [[1.0, 0.0], [-1.0, 2.0]]
    assert len(list(module.children())) == 1


def test_names_that_torch_does_not_take(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], name="forward"), helper.make_node("Relu", ["a"], ["b"], name="0.relu"),
        helper.make_node("Relu", ["b"], ["c"], name="\x1b[31m<b>"),
        helper.make_node("Relu", ["c"], ["y"], name="0.relu"),
    ]  # fmt: skip
    module = read_onnx(save(model(nodes), tmp_path))
    names = [name for name, _ in module.named_children()]
    assert len(set(names)) == 4
    assert all(re.fullmatch(r"[A-Za-z0-9_]+", name) for name in names)
    assert module(torch.tensor([[-1.0, 2.0]])).tolist() == [[0.0, 2.0]]


@pytest.mark.parametrize("name", ["x", "input.1", "self", "lambda", "inputs", "übung", "0"])
def test_inputs_keep_their_names(name: str, tmp_path: Path) -> None:
    made = model([helper.make_node("Relu", ["x"], ["y"])])
    made.graph.input[0].name = made.graph.node[0].input[0] = name
    module = read_onnx(save(made, tmp_path))
    graph = sg.trace(module, torch.zeros(1, 2))
    assert re.sub(r"\W", "_", name, flags=re.ASCII).strip("_") in graph.inputs[0]
    twin = copy.deepcopy(module)
    assert twin.forward.__self__ is twin
    x = torch.randn(3, 2)
    assert torch.equal(pickle.loads(pickle.dumps(module))(x), x.relu())

"""The official test cases of ONNX's operators: their inputs, and the outputs that the standard wants."""

from __future__ import annotations

import functools
import importlib
import pkgutil
import warnings
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

onnx = pytest.importorskip("onnx")

from splinegraph.errors import SplineGraphError, TargetError, TraceError, UnsupportedOperatorError  # noqa: E402
from splinegraph.tracers.onnx.ops import load_all  # noqa: E402
from splinegraph.tracers.onnx.reading import from_model_proto  # noqa: E402
from splinegraph.tracers.onnx.registry import OPERATORS  # noqa: E402
from splinegraph.tracers.onnx.values import tensor_of  # noqa: E402

PACKAGE = "onnx.backend.test.case.node"

SLOW = ("averagepool", "lppool", "maxpool")
"""Families whose cases take seconds to make."""

TOLERANCE = {torch.bfloat16: 3e-2, torch.float16: 3e-3}

FAMILIES = [m.name for m in pkgutil.iter_modules(importlib.import_module(PACKAGE).__path__) if m.name != "utils"]

READ = """
abs acos acosh add affinegrid and_ argmax argmin asin asinh atan atanh attention averagepool batch_normalization
bitshift bitwiseand bitwisenot bitwiseor bitwisexor cast castlike ceil celu clip col2im compress concat constant
constantofshape conv convtranspose cos cosh cumprod cumsum depthtospace dequantizelinear det div dropout einsum elu
equal erf exp expand eyelike flatten floor gather gatherelements gathernd gelu gemm globalaveragepool globalmaxpool
greater greater_or_equal gridsample groupnormalization gru hardmax hardsigmoid hardswish identity if_
instance_normalization isinf isnan layernormalization leakyrelu less less_or_equal log logsoftmax lpnormalization
lppool lrn lstm matmul max maxpool maxunpool mean meanvariancenormalization min mish mod mul neg
negativeloglikelihoodloss nonzero not_ onehot or_ pad pow prelu quantizelinear rangeop reciprocal reduce_log_sum
reduce_log_sum_exp reducel1 reducel2 reducemax reducemean reducemin reduceprod reducesum reducesumsquare relu
reshape resize reversesequence rmsnormalization rnn rotaryembedding round scatter scatterelements scatternd selu
shape shrink sigmoid sign sin sinh size slice softmax softplus softsign spacetodepth split sqrt squeeze sub sum
swiglu swish tan tanh thresholdedrelu tile topk transpose trilu unsqueeze upsample where xor
""".split()
"""Families of which cases must be computed, not only refused."""


@functools.cache
def cases(family: str) -> tuple[Any, ...]:
    """Return the cases that a file of the suite makes when it is imported."""
    known = importlib.import_module(PACKAGE)._NodeTestCases
    before = len(known)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module(f"{PACKAGE}.{family}")
    return tuple(known[before:])


def array(value: Any) -> Any:
    return onnx.numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def fixed(model: Any, values: list[Any]) -> list[Any]:
    """Store the inputs that have to be constants in the model; return the others."""
    slots = [
        (OPERATORS.get((n.domain, n.op_type)), i, name) for n in model.graph.node for i, name in enumerate(n.input)
    ]
    static = {name for operator, i, name in slots if operator is not None and operator.keeps_static(i)}
    rest = []
    for declared, value in zip(model.graph.input, values, strict=True):
        if declared.name in static and isinstance(value, np.ndarray | np.generic):
            model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), declared.name))
        else:
            rest.append(value)
    return rest


def run(case: Any) -> str:
    """Return 'equal', or why the case is refused; raise if the result is wrong."""
    load_all()
    model = onnx.ModelProto.FromString(case.model.SerializeToString())
    given, wanted = ([array(v) for v in values] for values in case.data_sets[0])
    if any(isinstance(v, list) or v is None for v in [*given, *wanted]):
        return "sequence"
    given = fixed(model, given)
    try:
        module = from_model_proto(model)
        with torch.no_grad():
            found = module(*(tensor_of(np.asarray(v)) for v in given))
    except SplineGraphError as error:
        return type(error).__name__
    for mine, other in zip(found if isinstance(found, tuple) else (found,), wanted, strict=False):
        expected = tensor_of(np.asarray(other))
        assert isinstance(mine, Tensor), case.name
        assert mine.dtype == expected.dtype, case.name
        near = TOLERANCE.get(mine.dtype, max(case.rtol, 1e-4))
        torch.testing.assert_close(mine, expected, rtol=near, atol=near / 10, equal_nan=True, msg=case.name)
    return "equal"


@pytest.mark.parametrize("family", [f for f in FAMILIES if f not in SLOW])
def test_operators_agree_with_the_standard(family: str) -> None:
    # what ONNX expands into other operators repeats those; the slow test takes it too
    results = [run(case) for case in cases(family) if "_expanded" not in case.name]
    assert "equal" in results or family not in READ


def test_the_families_that_must_be_read_exist() -> None:
    assert set(READ) <= set(FAMILIES)


@pytest.mark.slow
def test_the_whole_suite() -> None:
    counts = Counter(run(case) for family in FAMILIES for case in cases(family))
    assert counts["equal"] >= 1360, dict(counts)
    kinds = {"equal", "sequence", *(e.__name__ for e in (TargetError, TraceError, UnsupportedOperatorError))}
    assert set(counts) <= kinds

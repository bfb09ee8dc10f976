"""What is no graph, seed or number is refused by one clear line, everywhere."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import splinegraph as sg
from splinegraph.errors import require_seed, require_whole
from splinegraph.splines import Univariate, approximate

BOX = sg.Box([-1.0, -1.0], [1.0, 1.0])

X, Y = torch.zeros(1, 2), torch.zeros(1, dtype=torch.int64)

ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "on": (BOX,), "x": (X,), "other": (X + 1,), "starts": (X,), "ends": (X + 1,), "k": (0,), "alpha": (0.1,),
    "X": (X,), "y": (Y,), "transforms": ((torch.clone,),), "train": ((X, Y),),
    "held_out": ((X, Y),),
}  # fmt: skip
"""What functions are given besides the graph, by the names of their parameters."""

SPECIAL = {"spline": {"tol": 0.1}, "sample_regions": {"n": 10}}

WRITERS = {"write_gexf", "write_graphml", "write_json", "plot_graph", "save_figure"}
"""They take graphs of networkx too and have a line of their own."""


def _functions() -> list[str]:
    """Return all public functions whose first argument is a graph."""
    found = []
    for name in sg.__all__:
        value = getattr(sg, name)
        first = next(iter(inspect.signature(value).parameters.values()), None) if inspect.isfunction(value) else None
        if first is not None and first.name == "graph" and name not in WRITERS:
            found.append(name)
    return found


def _call(name: str, graph: Any, **more: Any) -> Any:
    """Call a function with arguments that fit."""
    function = getattr(sg, name)
    args: list[Any] = []
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        if parameter.name in more or parameter.kind is parameter.KEYWORD_ONLY:
            continue
        if parameter.default is parameter.empty:
            args += ARGUMENTS[parameter.name] if parameter.kind is not parameter.VAR_POSITIONAL else (X,)
    return function(graph, *args, **SPECIAL.get(name, {}), **more)


@pytest.fixture(scope="module")
def graph() -> sg.SplineGraph:
    torch.manual_seed(0)
    return sg.trace(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)).eval(), X)


def test_many_functions_take_a_graph() -> None:
    assert {"convexity", "spline", "lipschitz", "codes", "affine_map", "enumerate_regions"} <= set(_functions())


@pytest.mark.parametrize("name", _functions())
@pytest.mark.parametrize("given", [nn.Sequential(nn.ReLU()).eval(), "model.onnx", None], ids=["module", "str", "None"])
def test_what_is_no_graph_is_refused(name: str, given: Any) -> None:
    with pytest.raises(
        sg.SplineGraphError, match=rf"a graph is needed, this is a {type(given).__name__}; call sg.trace"
    ):
        _call(name, given)


SEEDED = [name for name in _functions() if "seed" in inspect.signature(getattr(sg, name)).parameters]


@pytest.mark.parametrize("name", SEEDED)
@pytest.mark.parametrize("seed", ["x", -1, 1.5, None])
def test_what_is_no_seed_is_refused(graph: sg.SplineGraph, name: str, seed: Any) -> None:
    with pytest.raises(sg.SplineGraphError, match=f"^seed is {seed!r}; give a whole number"):
        _call(name, graph, seed=seed)


def test_numbers() -> None:
    for good in (0, 7, np.int64(3), 2**63 - 1):
        seed = require_seed(good)
        assert seed == good
        torch.Generator().manual_seed(seed)
        np.random.default_rng(seed)
    require_whole("n", np.int32(1))
    for bad in (0, True, 1.0, math.nan, "3", None, torch.tensor(3)):
        with pytest.raises(sg.SplineGraphError, match=r"^n is .*; give a whole number, at least 1$"):
            require_whole("n", bad)
    with pytest.raises(sg.SplineGraphError, match="at most 9223372036854775807"):
        require_seed(2**63)


ABSOLUTE = Univariate(np.abs, np.sign)

DATA = np.random.default_rng(0).normal(size=(10, 2))

CALLS: dict[str, tuple[Callable[[sg.SplineGraph], Any], str]] = {
    "difference, points": (lambda g: sg.difference_of_convex(g, BOX).verify(points="x"), "points is 'x'"),  # type: ignore[arg-type]
    "difference, few points": (lambda g: sg.difference_of_convex(g, BOX).verify(points=-1), "points is -1"),
    "difference, seed": (lambda g: sg.difference_of_convex(g, BOX).verify(seed="x"), "seed is 'x'"),  # type: ignore[arg-type]
    "convexity, chords": (lambda g: sg.convexity(g, BOX, chords=0), "chords is 0"),
    "convexity, limit": (lambda g: sg.convexity(g, BOX, limit=0), "limit is 0"),
    "inference, limit": (lambda g: sg.inference(g, limit=0), "limit is 0"),
    "max_affine, limit": (lambda g: sg.max_affine(g, BOX, limit=0), "limit is 0"),
    "icnn, hidden": (lambda _: sg.nn.icnn(2, 5), "hidden is 5; give a sequence of widths"),
    "icnn, a width": (lambda _: sg.nn.icnn(2, [5, 2.5]), "a width of hidden is 2.5"),
    "icnn, features": (lambda _: sg.nn.icnn(0, [5]), "features is 0"),
    "icnn, activation": (lambda _: sg.nn.icnn(2, [5], activation="relu"), "activation is 'relu'"),
    "convolution": (lambda _: sg.nn.ConvexConv2d("x", 2, 3), "in_channels is 'x'"),
    "fit, X": (lambda _: sg.max_affine_fit("x", DATA[:, 0], 2), "X is no array of real numbers"),
    "fit, y": (lambda _: sg.max_affine_fit(DATA, DATA[:, 0] + 1j, 2), "y is no array of real numbers"),
    "fit, ragged": (lambda _: sg.max_affine_fit([[1, 2], [3]], [1, 2], 2), "X is no array of real numbers"),
    "fit, seed": (lambda _: sg.max_affine_fit(DATA, DATA[:, 0], 2, seed="x"), "seed is 'x'"),  # type: ignore[arg-type]
    "planes, NaN": (lambda _: sg.nn.MaxAffine.from_planes([[math.nan]], [0.0]), "A holds NaN or infinite values"),
    "planes, inf": (lambda _: sg.nn.MaxAffine.from_planes([[1.0]], [math.inf]), "b holds NaN or infinite values"),
    "planes, text": (lambda _: sg.nn.MaxAffine.from_planes("x", [0.0]), "A is no array of numbers"),
    "planes, sizes": (lambda _: sg.nn.MaxAffine(2, 1.5), "pieces is 1.5"),
    "spline, pieces": (lambda g: sg.spline(g, BOX, tol=0.1, max_pieces="x"), "max_pieces is 'x'"),  # type: ignore[arg-type]
    "approximate, function": (lambda _: approximate("x", pieces=3), "the function is a str"),  # type: ignore[arg-type]
    "approximate, pieces": (lambda _: approximate(ABSOLUTE, (-1, 1), pieces="x"), "pieces is 'x'"),  # type: ignore[arg-type]
    "approximate, tol": (lambda _: approximate(ABSOLUTE, (-1, 1), tol="x"), "tol='x'"),  # type: ignore[arg-type]
    "lipschitz, tol": (lambda g: sg.lipschitz(g, tol="x"), "tol='x'"),  # type: ignore[arg-type]
    "lipschitz, budget": (lambda g: sg.lipschitz(g, budget="x"), "budget='x'"),  # type: ignore[arg-type]
    "sympy, limit": (lambda g: g.to_sympy(limit="x"), "limit is 'x'"),  # type: ignore[arg-type]
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
def test_bad_input_is_refused_in_one_line(graph: sg.SplineGraph, call: str) -> None:
    function, line = CALLS[call]
    with pytest.raises(sg.SplineGraphError, match=line) as error:
        function(graph)
    assert "\n" not in str(error.value)

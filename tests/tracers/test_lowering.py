"""Every lowering: the graph is the model, its map is the derivative, nothing is opaque that need not be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.operators.complex_numbers import COMPLEX
from splinegraph.operators.registry import LOWERINGS
from splinegraph.tracers.catalogue import load_all
from tests.tracers.calls import ROWS, UNREACHED
from tests.tracers.calls_complex import COMPLEX_ROWS
from tests.tracers.rows import Row, full_name

load_all()


class Recorder(dict[str, Any]):
    """A lowering table, and what was asked of it."""

    def __init__(self, table: dict[str, Any]) -> None:
        super().__init__(table)
        self.used: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.used.add(key)
        return super().get(key, default)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    found, pairs = Recorder(LOWERINGS), Recorder(COMPLEX)
    pairs.used = found.used
    monkeypatch.setattr("splinegraph.tracers.lowering.LOWERINGS", found)
    monkeypatch.setattr("splinegraph.tracers.lowering.COMPLEX", pairs)
    return found


def jacobians(module: nn.Module, xs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return the derivative of each sample's output by its own input, from autograd."""
    found = torch.autograd.functional.jacobian(lambda *args: module(*args), xs)
    found = found if isinstance(found, tuple) else (found,)
    out = found[0].dim() - xs[0].dim()
    return tuple(
        torch.stack([j.select(0, i).select(out - 1, i) for i in range(len(x))]) for j, x in zip(found, xs, strict=False)
    )


def cases(*rows: Row) -> list[Any]:
    """Return the rows as parameters; further settings of calls that earlier rows use already are slow."""
    seen, used, found = Counter[str](), set[str](), list[Any]()
    for r in rows:
        seen[r.id] += 1
        name = r.id if seen[r.id] == 1 else f"{r.id}-{seen[r.id]}"
        found.append(pytest.param(r, id=name, marks=[pytest.mark.slow] * used.issuperset(r.names)))
        used.update(r.names)
    return found


@pytest.mark.parametrize("case", cases(*ROWS, *COMPLEX_ROWS))
def test_lowering(case: Row, generator: torch.Generator, recorder: Recorder) -> None:
    xs, module = case.inputs(generator), case.module()
    graph = sg.trace(module, tuple(x.float() for x in xs))  # checks that the graph computes what the model does
    missing = set(case.names) - recorder.used
    assert not missing, f"{missing} not among {recorder.used}"
    assert any("opaque" == n.op.family for n in graph.operators) == bool(case.opaque), str(graph)
    assert graph.batched == (not case.single), graph.notes

    local = sg.affine_map(graph, *xs)
    assert local.verify() < 1e-10
    assert local.kind == ("exact" if graph.exact else "tangent")
    dense = local.dense().A
    dense = dense if isinstance(dense, tuple) else (dense,)
    reference = module if case.jacobian is None else Row(case.targets, case.jacobian, constants=case.constants).module()
    for found, expected in zip(dense, jacobians(reference.double(), xs), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    codes = sg.codes(graph, *xs)
    assert len(codes) == 2
    for layer in codes.layers:
        assert codes.unpack(layer.name).shape == (2, *layer.shape)


def test_every_lowering_has_a_row() -> None:
    covered = {name for r in ROWS for name in r.names} | {"aten._fft_r2c.default"}
    unreached = {full_name(name) for name in UNREACHED}
    assert not covered & unreached
    assert covered | unreached == set(LOWERINGS)


def test_every_lowering_of_complex_values_has_a_row() -> None:
    assert {name for r in COMPLEX_ROWS for name in r.names} == set(COMPLEX)

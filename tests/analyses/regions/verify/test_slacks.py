"""How far values are inside their pieces: not negative exactly where the code is the operator's own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from splinegraph.analyses.codes import codes
from splinegraph.analyses.regions.verify.slacks import slacks
from splinegraph.core.graph import Node
from splinegraph.core.operator import Operator, SplineOperator
from splinegraph.core.walk import walk
from tests.analyses.regions.partition.brute import function

OPERATORS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "clamp": lambda x: x.clamp(-0.5, 0.25),
    "sort": lambda x: x.sort(1).values,
    "descending": lambda x: x.sort(1, descending=True).values,
    "topk": lambda x: x.topk(2, 1).values,
    "smallest": lambda x: x.topk(2, 1, largest=False).values,
    "max": lambda x: x.amax(1, keepdim=True),
    "min": lambda x: x.amin(1, keepdim=True),
    "pool": lambda x: nn.functional.max_pool1d(x[:, None], 3, 1, padding=1)[:, 0],
    "maximum": lambda x: torch.maximum(x[:, 1:], x[:, :-1]),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_slack_is_not_negative_exactly_on_the_own_piece(name: str) -> None:
    graph = function(OPERATORS[name], (4,))
    x = torch.randn(40, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    (layer,) = codes(graph, x).layers
    own = codes(graph, x).unpack(layer.name).flatten(1).numpy().astype(np.int64)
    checked = []

    def visit(node: Node, op: Operator, xs: tuple[Tensor, ...]) -> Tensor:
        if node.name == layer.name:
            assert isinstance(op, SplineOperator)
            switching = op.switching([graph[arg].shape for arg in node.args])
            assert switching is not None
            values = [graph[arg].rows(v).numpy() for arg, v in zip(node.args, xs, strict=True)]
            for shift in range(40):
                code = np.roll(own, shift, axis=0)
                inside = (slacks(switching, values, code) >= 0).all(axis=1)
                assert inside.tolist() == (code == own).all(axis=1).tolist()
                checked.append(inside)
        return op.forward(*xs)

    operators = graph.resolved(torch.float64, torch.device("cpu"), 40)
    walk(graph, [x], visit, operators=operators)
    assert 40 <= np.sum(checked) < 40 * 40

"""Which arguments of sums and concatenations are residual branches."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.paths.branches import find_branches
from splinegraph.errors import SplineGraphError
from tests.analyses.paths.nets import Stack, graph_of, net


class Made(nn.Module):
    """Any function of the input, two linear maps and a channel-wise one."""

    def __init__(self, f: Callable[[Made, Tensor], Tensor]) -> None:
        super().__init__()
        self.a, self.b, self.c, self.f = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(2, 2), f

    def forward(self, x: Tensor) -> Tensor:
        return self.f(self, x)


def _parallel(m: Made, x: Tensor) -> Tensor:
    return x + torch.relu(m.a(x)) + torch.relu(m.b(x))


def _nested(m: Made, x: Tensor) -> Tensor:
    y = m.a(x)
    return x + torch.relu(y + torch.relu(m.b(y)))


def _shuffled(m: Made, x: Tensor) -> Tensor:
    kept, changed = x.chunk(2, 1)
    return torch.cat([kept, torch.relu(m.c(changed))], 1)


def _rotated(_: Made, x: Tensor) -> Tensor:
    low, high = x.chunk(2, 1)
    return torch.cat([-high, low], 1)


FOUND: dict[str, tuple[Callable[[Made, Tensor], Tensor], list[str]]] = {
    "identity": (lambda m, x: x + torch.relu(m.a(x)), ["ReLU"]),
    "reversed": (lambda m, x: torch.relu(m.a(x)) - x, ["ReLU"]),
    "projected": (lambda m, x: m.b(x) + torch.relu(m.a(x)), ["ReLU"]),
    "linear": (lambda m, x: x + m.a(x), ["Linear"]),
    "longer linear": (lambda m, x: m.b(x) + m.a(m.b(x)), ["Linear"]),
    "two on one stream": (_parallel, ["ReLU", "ReLU"]),
    "nested": (_nested, ["ReLU", "ReLU"]),
    "half the channels": (_shuffled, ["ReLU"]),
    "none: no join": (lambda m, x: m.b(torch.relu(m.a(x))), []),
    "none: equal linear": (lambda m, x: m.a(x) + m.b(x), []),
    "none: equal bent": (lambda m, x: torch.relu(m.a(x)) + torch.relu(m.b(x)), []),
    "none: no affine way": (lambda m, x: torch.relu(m.a(x)) + torch.relu(m.b(torch.abs(x))), []),
    "none: centred": (lambda m, x: torch.relu(m.a(x - x.mean(1, keepdim=True))), []),
    "none: rotated": (_rotated, []),
    "none: a product": (lambda m, x: x * torch.relu(m.a(x)), []),
    "none: a maximum": (lambda m, x: torch.maximum(x, m.a(x)), []),
}


class All(nn.Module):
    """All of them, in one trace."""

    def __init__(self) -> None:
        super().__init__()
        self.made = nn.ModuleList(Made(f) for f, _ in FOUND.values())

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(made(x) for made in self.made)


def test_what_is_a_branch() -> None:
    graph = sg.trace(All().eval(), torch.zeros(1, 4), check=False)
    for i, (name, (_, expected)) in enumerate(FOUND.items()):
        part = graph.output(i)
        assert [part[branch.value].op.label.split("(")[0] for branch in find_branches(part)] == expected, name


def test_branches_of_whole_networks() -> None:
    blocks = find_branches(net("projected")[0])
    assert [branch.skip[0].split("_")[0] for branch in blocks] == ["x", "linear", "relu"]
    dense = find_branches(net("dense")[0])
    assert [branch.edges for branch in dense] == [(("cat", 1),), (("cat_1", 1),), (("cat_2", 1),)]
    names = [branch.name for branch in find_branches(net("attention")[0])]
    assert names == [f"encoder.layers.{i}.{part}" for i in range(2) for part in ("self_attn", "linear2")]


def test_a_name_is_the_module_of_the_block_where_it_has_one_branch() -> None:
    graph, _ = graph_of(nn.Sequential(nn.Linear(4, 4), Made(lambda m, x: x + torch.relu(m.a(x)))), 4)
    assert [branch.name for branch in find_branches(graph)] == ["1"]


def test_inputs_that_meet_are_no_block() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return x + torch.relu(y)

    assert not find_branches(sg.trace(Two().eval(), (torch.zeros(1, 2), torch.zeros(1, 2))))


def test_branches_are_marked_by_hand() -> None:
    graph, x = graph_of(Stack(3), 1, 5, 5)
    marked = sg.paths(graph, x, branches=["convs.2", "convs.0"])
    assert [branch.name for branch in marked.branches] == ["convs.0", "convs.2"]
    assert marked.counts == (1, 2, 1)
    assert sg.paths(graph, x, branches="convs.2").branches == marked.branches[1:]
    every = sg.paths(graph, x, by="block", branches=["convs.0", "convs.1", "convs.2"])
    torch.testing.assert_close(every.contributions, sg.paths(graph, x, by="block").contributions)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["nowhere"], "no node or module 'nowhere'"),
        (["head"], "'head' is no branch .*: its value is the output"),
        (["convs.0", "convs.0"], "is marked twice"),
        ([], "no branch is named"),
    ],
)
def test_marks_that_are_refused(names: list[str], message: str) -> None:
    graph, x = graph_of(Stack(1), 1, 5, 5)
    with pytest.raises(SplineGraphError, match=message):
        sg.paths(graph, x, branches=names)

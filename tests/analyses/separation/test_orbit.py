"""Orbits of inputs under transforms, and sweeps of networks."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.separation.groups import Transform


class _Invariant(nn.Module):
    """The sum over all shifts of a square: a circular convolution, its ReLU, and the mean."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3, padding=1, padding_mode="circular")
        self.head = nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.head(torch.relu(self.conv(x)).mean((2, 3))))


def _cyclic() -> dict[str, Transform]:
    return {f"roll {k}": (lambda x, k=k: x.roll(k, -1)) for k in range(1, 5)}


def test_an_invariant_network_collapses_the_orbit_of_its_group() -> None:
    torch.manual_seed(0)
    graph = sg.trace(_Invariant().double().eval(), torch.zeros(1, 1, 5, 5).double())
    x = torch.randn(1, 5, 5).double()
    found = sg.orbit(graph, x, _cyclic())
    first, last = found["relu"], found["relu_1"]
    assert first.patterns == 5  # equivariant: codes move along
    assert last.patterns == 1
    assert found.collapsed == "relu_1"
    assert found.kind == "sampled"
    assert found.layers[-1].value_diameter < 1e-14
    assert found.layers[0].value_diameter > 1
    assert json.dumps(found.to_dict(), allow_nan=False)


def test_distances_are_those_of_the_members_themselves() -> None:
    torch.manual_seed(1)
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 9), nn.ReLU(), nn.Linear(9, 3), nn.LeakyReLU()).double().eval()
    graph = sg.trace(net, torch.zeros(1, 1, 4, 4).double())
    x = torch.randn(1, 1, 4, 4).double()
    found = sg.orbit(graph, x, [lambda t: -t, lambda t: t.transpose(-1, -2)])
    members = torch.cat([x, -x, x.transpose(-1, -2)])
    hidden = net[:3](members)
    code = (hidden > 0).double()
    np.testing.assert_allclose(found["relu"].code, (code != code[0]).double().mean(1).numpy())
    np.testing.assert_allclose(found["relu"].value, (hidden - hidden[0]).norm(dim=1).detach().numpy(), rtol=1e-12)
    assert found["relu"].value_diameter == pytest.approx(float(torch.cdist(hidden, hidden).max().detach()))
    assert found.names == ("identity", "<lambda> 0", "<lambda> 1")
    assert found.collapsed is None


def test_a_code_that_is_one_and_then_splits_is_no_collapse() -> None:
    net = nn.Sequential(nn.ReLU(), nn.Linear(1, 1), nn.ReLU()).double().eval()
    with torch.no_grad():
        net[1].weight.fill_(1.0)
        net[1].bias.fill_(-2.0)
    graph = sg.trace(net, torch.zeros(1, 1).double())
    found = sg.orbit(graph, torch.tensor([1.0]).double(), [lambda x: 3 * x])
    assert [layer.patterns for layer in found.layers if layer.patterns] == [1, 2]
    assert found.collapsed is None
    assert "stay apart" in repr(found)
    assert sg.orbit(graph, torch.tensor([1.0]).double(), [lambda x: x + 0.5]).collapsed == "relu"


def test_near_is_beside_the_distance_between_classes() -> None:
    torch.manual_seed(2)
    graph = sg.trace(nn.Sequential(nn.Linear(3, 30), nn.ReLU()).double().eval(), torch.zeros(1, 3).double())
    X = torch.randn(20, 3).double()
    reference = sg.separation(graph, X, torch.arange(20) % 2)
    small = sg.orbit(graph, X[0], [lambda x: x + 1e-9], reference=reference)
    assert small.near() == "relu"
    assert sg.orbit(graph, X[0], [lambda x: -x], reference=reference).near() is None
    with pytest.raises(sg.SplineGraphError, match="reference"):
        sg.orbit(graph, X[0], [lambda x: x]).near()
    assert {line.get_label() for line in small.plot().get_lines()} >= {"codes of two classes, mean"}


def test_quarter_turns_and_shifts_are_exact() -> None:
    x = torch.randn(2, 3, 5, 5).double()
    for angle, turns in ((90, 1), (180, 2), (-90, 3)):
        (turn,) = sg.rotations([angle]).values()
        assert torch.allclose(turn(x), x.rot90(turns, (-2, -1)), atol=1e-12)
    wide = torch.randn(1, 1, 3, 7).double()
    (half,) = sg.rotations([180]).values()
    assert torch.allclose(half(wide), wide.flip(-1, -2), atol=1e-12)
    (bent,) = sg.rotations([90]).values()  # what leaves the frame is lost, what stays keeps its shape
    assert torch.allclose(bent(wide)[..., 2:5], wide[..., 2:5].rot90(1, (-2, -1)), atol=1e-12)
    (move,) = sg.translations([(1, -2)]).values()
    assert torch.equal(move(x)[..., 1:, :-2], x[..., :-1, 2:])
    assert not move(x)[..., :1, :].any()
    assert not move(x)[..., -2:].any()


def test_bad_transforms_are_refused() -> None:
    graph = sg.trace(nn.Sequential(nn.ReLU()).eval(), torch.zeros(1, 4))

    def broken(x: Tensor) -> Tensor:
        raise ValueError("no")

    for x, transforms, text in (
        (torch.zeros(4), [], "no transforms"),
        (torch.zeros(5), [lambda t: t], "give one tensor of shape"),
        (torch.zeros(4), [lambda t: t[:, :2]], "gives"),
        (torch.zeros(4), {"odd": broken}, "the transform 'odd' failed: ValueError: no"),
        (torch.zeros(4), [lambda t: t / 0], "NaN"),
    ):
        with pytest.raises(sg.SplineGraphError, match=text):
            sg.orbit(graph, x, transforms)  # type: ignore[arg-type]


def test_sweep_is_a_table_of_separations() -> None:
    def maker(depth: int, width: int):  # type: ignore[no-untyped-def]
        def make(seed: int) -> sg.SplineGraph:
            torch.manual_seed(seed)
            sizes = [2] + [width] * depth
            layers = [m for a, b in itertools.pairwise(sizes) for m in (nn.Linear(a, b), nn.ReLU())]
            return sg.trace(nn.Sequential(*layers).eval(), torch.zeros(1, 2))

        return make

    torch.manual_seed(0)
    y = torch.arange(30) % 2
    X = torch.randn(30, 2) + 2 * y[:, None]
    found = sg.separation_sweep({(1, 4): maker(1, 4), (2, 16): maker(2, 16)}, X, y, seeds=(0, 1))
    assert len(found.rows) == 4
    row = found.rows[-1]
    assert (row.depth, row.width, row.seed) == (2, 16, 1)
    again = sg.separation(maker(2, 16)(1), X, y)
    assert row.purity == tuple(layer.classes.purity for layer in again if layer.classes)
    assert row.separated == again.depth(0.9)
    assert found.table()[2, 16] == (found.rows[-2].separated, row.separated)
    assert json.dumps(found.to_dict(), allow_nan=False)
    assert found.plot().get_xlabel() == "width"
    for makers, labels, share, text in (({}, y, 0.9, "no networks"), ({(1, 4): maker(1, 4)}, None, 0.9, "no labels")):
        with pytest.raises(sg.SplineGraphError, match=text):
            sg.separation_sweep(makers, X, labels, share=share)

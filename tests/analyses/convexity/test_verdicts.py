"""Verdicts and witnesses: what they say, and that witnesses are checked and not believed."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.convexity.convexity import METHODS, convexity
from splinegraph.analyses.convexity.running import rounded
from splinegraph.analyses.convexity.verdict import Certificate, Status, Verdict, Verdicts, Witness, entries
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import DomainError, ShapeError, SplineGraphError

SQUARE = sg.Box(torch.tensor([-1.0, -1.0]), torch.tensor([1.0, 1.0]))


class Several(nn.Module):
    """Two inputs; a convex, an affine, a concave output and one that is neither."""

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        r = torch.relu(x[:, :1])
        return torch.cat([r + y, 2 * y, -r - y.abs()], 1), (r - y.abs()).reshape(-1, 1, 1)


def several() -> SplineGraph:
    return sg.trace(Several().eval(), (torch.zeros(1, 2), torch.zeros(1, 1)))


def hat() -> SplineGraph:
    """|x| - 2 relu(x - 1/2), which falls to the right of 1/2."""
    net = nn.Sequential(nn.Linear(1, 3), nn.ReLU(), nn.Linear(3, 1)).eval()
    for value, numbers in zip(
        net.parameters(), ([[1.0], [-1], [1]], [0.0, 0, -0.5], [[1.0, 1, -2]], [0.0]), strict=True
    ):
        value.data = torch.tensor(numbers)
    return sg.trace(net, torch.zeros(1, 1))


def test_statuses_of_several_outputs() -> None:
    found = convexity(several())
    assert [v.index for v in found] == [(0, 0), (0, 1), (0, 2), (1, 0, 0)] == entries(several())
    assert [v.status for v in found] == [Status.CONVEX, Status.AFFINE, Status.CONCAVE, Status.NEITHER]
    assert found.complete
    assert found.counts == {"affine": 1, "convex": 1, "concave": 1, "neither": 1}
    assert found.of(0, 2) is found[2]
    assert len(found[1:]) == 3
    witnesses = found[3].witnesses
    assert [w.against for w in witnesses] == ["convex", "concave"]
    assert all(w.verify() for w in witnesses)
    json.dumps(found.to_dict())
    assert str(found).count("\n") == 4
    assert "neither" in str(found)


@pytest.mark.parametrize(
    ("convex", "concave", "status"),
    [("c", "c", "affine"), ("c", "w", "convex"), ("w", "c", "concave"), ("w", "w", "neither"), ("w", "", "undecided")],
)
def test_status_follows_from_the_proofs(convex: str, concave: str, status: str) -> None:
    point = (torch.zeros(1, dtype=torch.float64),)
    proofs = {"c": Certificate("m", ""), "w": Witness(hat(), (0,), point, point, 0.5, 1.0, "n"), "": None}
    verdict = Verdict((0,), proofs[convex], proofs[concave])
    assert verdict.status == status
    assert verdict.decided == (status != "undecided")
    assert verdict.method == {"undecided": "", "neither": "n"}.get(status, "m")


def test_a_witness_is_worked_out_again() -> None:
    one = torch.ones(1, dtype=torch.float64)
    good = Witness(hat(), (0,), (0.25 * one,), (0.75 * one,), 0.5, 0.25)
    assert good.exact_gap == 0.25
    assert good.verify()
    assert good.holds()
    for wrong in ({"gap": -0.25}, {"y": (0.5 * one,)}, {"x": (-one,), "y": (one,), "weight": 0.5, "gap": 1.0}):
        assert not dataclasses.replace(good, **wrong).verify()
        assert not dataclasses.replace(good, **wrong).holds()


def test_a_witness_of_rounding_size_needs_rationals() -> None:
    one = torch.ones(1, dtype=torch.float64)
    tiny = Witness(hat(), (0,), ((0.5 - 2.0**-50) * one,), ((0.5 + 2.0**-50) * one,), 0.5, 2.0**-50)
    gap, margin = tiny.rounded_gap
    assert abs(gap) <= margin
    assert tiny.holds()
    assert tiny.exact_gap == 2.0**-50


def test_the_running_bound_holds_for_cancelling_sums() -> None:
    """100000.5 relu(x) - 100000 relu(x) - x / 2 at 0.1 is zero on both sides, but for rounding."""
    net = nn.Sequential(nn.Linear(1, 3), nn.ReLU(), nn.Linear(3, 1)).eval()
    weights = [[1.0], [1.0], [1.0]], [0.0, 0, 0], [[1e12 + 0.1, -1e12, -0.1]], [0.0]
    for value, numbers in zip(net.double().parameters(), weights, strict=True):
        value.data = torch.tensor(numbers, dtype=torch.float64)
    x, y = torch.tensor([0.1]).double(), torch.tensor([0.7]).double()
    witness = Witness(sg.trace(net, torch.zeros(1, 1).double()), (0,), (x,), (y,), 0.3, 1e-6)
    gap, margin = witness.rounded_gap
    assert abs(gap - float(witness.exact_gap)) <= margin
    assert margin > 1e-6


@pytest.mark.parametrize(("methods", "match"), [(["facet"], "facet"), ("chords", "chords")])
def test_methods_that_do_not_exist(methods: object, match: str) -> None:
    with pytest.raises(SplineGraphError, match=match):
        convexity(hat(), methods=methods)  # type: ignore[arg-type]


def test_bad_domains_and_budgets() -> None:
    with pytest.raises(ShapeError):
        convexity(hat(), SQUARE)
    with pytest.raises(ShapeError):
        convexity(hat(), sg.Ball(torch.zeros(2), 1.0))
    with pytest.raises(DomainError):
        convexity(hat(), "box")
    with pytest.raises(SplineGraphError, match="budget"):
        convexity(hat(), budget=-1)
    with pytest.raises(ShapeError, match="no output"):
        convexity(hat()).of(3)


def test_each_method_alone_agrees() -> None:
    on = (SQUARE, sg.Box(torch.tensor([-1.0]), torch.tensor([1.0])))
    answers = {m: convexity(several(), on, methods=[m]) for m in METHODS}
    for a, b in itertools.combinations(answers.values(), 2):
        for v, w in zip(a, b, strict=True):
            assert v.status == w.status or not (v.decided and w.decided)
    assert answers["facets"].complete
    assert not answers["chords"].complete
    assert [v.status for v in answers["backward"]][:3] == [Status.CONVEX, Status.AFFINE, Status.CONCAVE]


def test_no_time_leaves_it_undecided_with_a_note() -> None:
    found = convexity(several(), methods=["chords"], budget=1e-9)
    assert isinstance(found, Verdicts)
    assert found[0].status is Status.UNDECIDED
    found = convexity(several(), methods=["backward"])
    assert "wrong way" in found[3].notes[0]
    assert "backward" in str(found)


def test_outputs_that_jump_or_are_not_known() -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([x.sign(), x.cumprod(1)], 1)

    found = convexity(sg.trace(Odd().eval(), torch.zeros(1, 2)), SQUARE)
    assert found[0].status is Status.NEITHER
    assert all(w.verify() for v in found for w in v.witnesses)


class Of(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def test_facets_of_values_without_axes_but_the_batch() -> None:
    graph = sg.trace(Of(lambda x: torch.relu(x[:, 0]) - torch.relu(x[:, 1] - 0.2)).eval(), torch.zeros(1, 2))
    found = convexity(graph, SQUARE, methods=["facets"])
    assert found[0].status is Status.NEITHER
    assert all(witness.verify() for witness in found[0].witnesses)


@pytest.mark.parametrize("method", METHODS)
def test_domains_of_one_point(method: str) -> None:
    # reshapes before and after a pool have no tangents there
    net = nn.Sequential(nn.Linear(2, 4), nn.Unflatten(1, (1, 4)), nn.MaxPool1d(2), nn.Flatten(), nn.ReLU()).eval()
    found = convexity(sg.trace(net, torch.zeros(1, 2)), sg.Box(torch.ones(2), torch.ones(2)), methods=[method])
    assert all(v.status is (Status.UNDECIDED if method == "chords" else Status.AFFINE) for v in found)


@pytest.mark.parametrize("step", [lambda x: (x > 0).float(), lambda x: torch.where(x > 0, x, -x - 1)])
def test_witnesses_pass_comparisons(step: Callable[[Tensor], Tensor]) -> None:
    graph = sg.trace(Of(step).eval(), torch.zeros(1, 1))
    found = convexity(graph, sg.Box(torch.tensor([-1.0]), torch.tensor([1.0])), methods=["chords"])[0]
    assert isinstance(found.convex, Witness)
    assert found.convex.verify()


def test_rounding_that_flips_a_comparison_is_an_error_of_one() -> None:
    graph = sg.trace(Of(lambda x: (x > 0).double()).eval(), torch.zeros(1, 1).double())
    (near,) = rounded(graph, [torch.full((1, 1), 1e-9).double()], [torch.full((1, 1), 1e-8).double()])
    (far,) = rounded(graph, [torch.full((1, 1), 1e-7).double()], [torch.full((1, 1), 1e-8).double()])
    assert near.error.item() >= 1
    assert far.error.item() < 1e-12


@pytest.mark.parametrize("methods", [5, None, "facets", ["facet"]])
def test_methods_that_there_are_not(methods: Any) -> None:
    with pytest.raises(SplineGraphError, match="give a list of curvature"):
        convexity(several(), methods=methods)


def test_inference_takes_the_same_budgets() -> None:
    graph = sg.trace(nn.ReLU().eval(), torch.zeros(1, 2))
    with pytest.raises(SplineGraphError, match="budget is '1' seconds"):
        sg.inference(graph, SQUARE, budget="1")  # type: ignore[arg-type]

"""The back-propagation certificate: sound on random networks, and stronger than the composition rules."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.convexity import backward, spans
from splinegraph.analyses.convexity.backward import by_backward
from splinegraph.analyses.convexity.curvature import by_curvature, course
from splinegraph.analyses.convexity.facets import by_facets
from splinegraph.analyses.convexity.place import Place
from splinegraph.analyses.convexity.refuting import by_chords
from splinegraph.analyses.convexity.verdict import Certificate, Finding, Witness
from splinegraph.core.graph import SplineGraph
from tests.analyses.convexity.random_nets import random_graph
from tests.zoo import Apply

Proofs = dict[str, str]


def cube(n: int, size: float = 1.0) -> sg.Box:
    return sg.Box(torch.full((n,), -size, dtype=torch.float64), torch.full((n,), size, dtype=torch.float64))


def claims(function: Callable[[Tensor], Tensor], on: object = None, n: int = 2) -> tuple[str, str]:
    """Return what the rules and what the certificate say of the first output."""
    graph = sg.trace(Apply(function).double().eval(), torch.zeros(1, n, dtype=torch.float64))
    found = course(graph, Place.of(graph, on))
    return said(by_curvature(found, [0])[0]), said(by_backward(found, [0])[0])


def said(finding: Finding) -> str:
    convex, concave = (isinstance(p, Certificate) for p in (finding.convex, finding.concave))
    return "affine" if convex and concave else "convex" if convex else "concave" if concave else ""


@pytest.mark.parametrize(
    ("function", "on", "expected"),
    [
        # PAPER's example: a negative weight into a unit that does not bend
        (lambda x: (r := x.relu()).sum(1) + 0.5 * (r[:, 1] - 0.2 * r[:, 0] + 5).relu(), cube(2), "convex"),
        (lambda x: x[:, 0].relu() - 0.5 * x[:, 0].relu(), None, ""),  # two units: each must have the right sign
        (lambda x: (x.relu() @ torch.tensor([[2.0, -1.0], [-1.0, 2.0]]).double()).relu().sum(1), cube(2), ""),
        (lambda x: (u := x[:, 0].abs()) - 0.25 * (u + 1).relu(), cube(2), "convex"),
        (lambda x: 3 * x[:, 0].abs() - (x[:, 0].abs() + 1).square() / 8, cube(2, 0.5), ""),
        (lambda x: -(x[:, 0].abs() + 1).square(), cube(2), "concave"),
        (lambda x: ((u := x.abs()).sum(1) - (0.05 * u[:, 0] + 1).relu()).exp(), cube(2), "convex"),
        (lambda x: 2 * (m := x.amax(1)) - torch.stack([m, x[:, 0] - 9], 1).amax(1), cube(2), "convex"),
        (lambda x: x.amax(1) - 2 * x[:, 0].relu(), cube(2), ""),
        (lambda x: x.clamp(-2, 0.5).sum(1), cube(2), "concave"),
        (lambda x: x.sort(1, descending=True).values @ torch.tensor([2.0, 0]).double(), None, "convex"),
        (lambda x: torch.logsumexp(x.abs(), 1), cube(2), "convex"),
        (lambda x: x[:, :1].sign() * 0 + x[:, :1].relu(), None, "convex"),
        (lambda x: x[:, :1].exp().relu(), None, "convex"),
        (lambda x: torch.linalg.vector_norm(x, dim=1) + x[:, 0], None, "convex"),
        (lambda x: (x[:, 0] * 3 + 7).relu() + x[:, 1], cube(2), "affine"),
    ],
)
def test_certificates(function: Callable[[Tensor], Tensor], on: object, expected: str) -> None:
    rules, certificate = claims(function, on)
    assert certificate == expected
    assert rules in ("", expected)


def test_stronger_than_the_rules() -> None:
    """A convex value, less a part of it that a unit passes on: bends keep their sign in the sum, not in its terms."""
    rules, certificate = claims(lambda x: (u := x.relu()).sum(1) - (0.5 * u.sum(1) + 1).relu(), cube(2))
    assert (rules, certificate) == ("", "convex")


def test_a_note_names_who_may_bend_the_wrong_way() -> None:
    graph = sg.trace(Apply(lambda x: x[:, :1].relu() - 2 * x[:, 1:].relu()).eval(), torch.zeros(1, 2))
    found = by_backward(course(graph, Place.of(graph, None)), [0])[0]
    assert "ReLU" in found.note
    assert "1 unit" in found.note


def proofs_of(graph: SplineGraph, on: sg.Box, *, count: int = 200) -> list[dict[str, tuple[str, str]]]:
    """Return 'yes', 'no' or '' for convex and concave of each output, by method."""
    place = Place.of(graph, on)
    found = course(graph, place)
    outputs = list(range(2))
    every = {
        "rules": by_curvature(found, outputs),
        "backward": by_backward(found, outputs),
        "chords": by_chords(graph, place, outputs, count=count),
    }
    if not all(isinstance(p, Witness) for f in every["chords"].values() for p in (f.convex, f.concave)):
        every["facets"] = by_facets(sg.enumerate_regions(graph, on, verify="cheap"), outputs)
    word = {Certificate: "yes", Witness: "no", type(None): ""}
    return [{m: (word[type(f[i].convex)], word[type(f[i].concave)]) for m, f in every.items()} for i in outputs]


def soundness(seeds: range) -> dict[str, int]:
    """Compare all methods on random networks; return how many questions each answered."""
    counts = {"yes": 0, "no": 0, "missed": 0}
    for seed in seeds:
        kind, graph = random_graph(seed)
        for answers in proofs_of(graph, cube(graph.input_shapes[0][0])):
            for q in (0, 1):
                said_ = {method: answer[q] for method, answer in answers.items()}
                assert not {"yes", "no"} <= set(said_.values()), (seed, kind, said_)
                assert said_["rules"] != "yes" or said_["backward"] == "yes", (seed, kind, said_)
                counts["yes"] += said_["backward"] == "yes"
                counts["no"] += said_["chords"] == "no"
                counts["missed"] += said_["chords"] == "" and said_.get("facets") == "no"
    return counts


@pytest.mark.slow
def test_sound_on_random_networks() -> None:
    counts = soundness(range(16))
    assert counts["yes"] > 5
    assert counts["missed"] <= 0.01 * counts["no"]


@pytest.mark.slow
def test_sound_on_many_random_networks() -> None:
    counts = soundness(range(100, 150))
    assert counts["yes"] > 20
    assert counts["missed"] <= 0.01 * counts["no"]


@pytest.mark.parametrize("fault", ["slopes", "sign", "stable"])
def test_a_planted_fault_is_found(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison bites: a certificate that ignores something is refuted."""
    if fault == "slopes":
        monkeypatch.setattr(spans, "_through_entries", lambda operator, span, boxes: span)
    elif fault == "sign":
        monkeypatch.setattr(spans, "_through_affine", lambda op, span, shapes: _unsigned(op, span, shapes))
    else:
        monkeypatch.setattr(backward._Search, "_checked", lambda self, node, span, flags: span)
    with pytest.raises(AssertionError):
        soundness(range(16))


def _unsigned(operator: object, span: backward.Span, shapes: object) -> tuple[backward.Span, ...]:
    up, down = operator.split()  # type: ignore[attr-defined]
    parts = [part.adjoint(span.high, shapes) for part in (up, down) if part is not None]
    return tuple(backward.Span(sum(p) * 0, sum(p)) for p in zip(*parts, strict=True))


class Smooth(nn.Module):
    """Random convex combinations of softplus units, less a small smooth function: convex or not by a hair."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.first, self.second, self.share = nn.Linear(2, 6), nn.Linear(6, 4), share
        with torch.no_grad():
            self.second.weight.abs_()

    def forward(self, x: Tensor) -> Tensor:
        z = nn.functional.softplus(self.first(x))
        return torch.logsumexp(self.second(z), 1, keepdim=True) - self.share * z.square().sum(1, keepdim=True)


@pytest.mark.parametrize("seed", range(6))
def test_smooth_certificates_hold_for_second_derivatives(seed: int) -> None:
    torch.manual_seed(seed)
    net = Smooth(0.01 * seed).double().eval()
    graph = sg.trace(net, torch.zeros(1, 2, dtype=torch.float64))
    found = by_backward(course(graph, Place.of(graph, cube(2))), [0])[0]
    least, most = torch.inf, -torch.inf
    for x in cube(2).sample(40):
        hessian = torch.autograd.functional.hessian(lambda v: net(v[None]).sum(), x)
        values = torch.linalg.eigvalsh(torch.as_tensor(hessian))
        least, most = min(least, float(values[0])), max(most, float(values[-1]))
    assert found.convex is None or least >= -1e-12
    assert found.concave is None or most <= 1e-12
    assert (found.convex is not None) or seed > 0

"""Balls: what they contain, the box around them, what they refuse."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import splinegraph as sg
from splinegraph.analyses.lipschitz.domain import Domain
from splinegraph.errors import DomainError, ShapeError


def test_samples_fill_the_ball_and_stay_inside() -> None:
    ball = sg.Ball(torch.tensor([[1.0, -2.0, 0.5]]), radius=0.3)
    x = ball.sample(4000, generator=torch.Generator().manual_seed(0))
    assert x.shape == (4000, 1, 3)
    assert bool(ball.contains(x).all())
    assert bool(ball.box.contains(x).all())
    away = (x - ball.center).flatten(1).norm(dim=1) / ball.radius
    # the share of volume within half the radius is 1/8
    assert float((away < 0.5).double().mean()) == pytest.approx(1 / 8, abs=0.02)


def test_nearest_points_are_projections() -> None:
    ball = sg.Ball(torch.zeros(2), radius=1.0)
    far, near = torch.tensor([3.0, 4.0]), torch.tensor([0.1, 0.2], dtype=torch.float64)
    torch.testing.assert_close(ball.nearest(far), torch.tensor([0.6, 0.8], dtype=torch.float64))
    assert bool(ball.contains(ball.nearest(far)))
    assert torch.equal(ball.nearest(torch.stack([near, near])), torch.stack([near, near]))


def test_the_box_is_the_smallest_around_it() -> None:
    ball = sg.Ball(torch.tensor([0.1, 1e6]), radius=0.7)
    assert bool((ball.box.upper > ball.center + 0.7).all())
    torch.testing.assert_close(ball.box.upper, ball.center + 0.7, rtol=1e-15, atol=1e-15)


def test_copies_its_center() -> None:
    center = torch.zeros(2, dtype=torch.float64)
    ball = sg.Ball(center, 1.0)
    center += 5
    assert ball.center.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("radius", [0.0, -1.0, math.inf, math.nan])
def test_refuses_radii(radius: float) -> None:
    with pytest.raises(DomainError, match="positive and finite"):
        sg.Ball(torch.zeros(2), radius)


def test_refuses_centers_that_are_no_points() -> None:
    with pytest.raises(DomainError, match="the center holds NaN"):
        sg.Ball(torch.tensor([0.0, math.nan]), 1.0)


class Two(nn.Module):
    """A network of two inputs."""

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a + b


def test_a_domain_of_a_network_is_one_ball_in_the_shape_of_its_input() -> None:
    graph = sg.trace(nn.Linear(2, 1).eval(), torch.zeros(1, 2))
    assert Domain.of(graph, sg.Ball(torch.zeros(2), 1.0)).bounded
    with pytest.raises(ShapeError, match=r"points of shape \(3,\), the input has \(2,\)"):
        Domain.of(graph, sg.Ball(torch.zeros(3), 1.0))
    both = sg.trace(Two().eval(), (torch.zeros(1, 2), torch.zeros(1, 2)))
    with pytest.raises(DomainError, match="networks of one input"):
        Domain.of(both, sg.Ball(torch.zeros(2), 1.0))

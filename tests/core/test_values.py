from __future__ import annotations

import dataclasses

import pytest
import torch

from splinegraph.core.values import Box, Curvature, Monotonicity
from splinegraph.errors import DomainError, SplineGraphError

INF = torch.inf


def test_scalar_sides_broadcast() -> None:
    box = Box(torch.tensor(-1.0), torch.ones(2, 3))
    assert box.shape == (2, 3)
    assert bool((box.lower == -1).all())


@pytest.mark.parametrize(
    ("lower", "upper", "words"),
    [
        ([0.0, 2.0], [1.0, 1.0], r"empty at coordinate \(1,\): lower > upper"),
        ([float("nan")], [1.0], "holds NaN; give finite or infinite bounds"),
        ([0.0], [float("nan")], "holds NaN"),
        ([INF], [-INF], "empty"),
    ],
)
def test_bad_boxes_are_refused(lower: list[float], upper: list[float], words: str) -> None:
    with pytest.raises(DomainError, match=words):
        Box(torch.tensor(lower), torch.tensor(upper))


def test_domain_errors_are_value_errors_too() -> None:
    assert issubclass(DomainError, ValueError)
    assert issubclass(DomainError, SplineGraphError)


def test_a_point_is_a_box() -> None:
    x = torch.tensor([1.0, INF])
    assert bool(Box(x, x).contains(x))


def test_contains_is_closed_and_batched() -> None:
    box = Box(torch.zeros(2, 2), torch.ones(2, 2))
    points = torch.stack([torch.zeros(2, 2), torch.ones(2, 2), torch.full((2, 2), 1.5), torch.full((2, 2), 0.5)])
    points[3, 1, 1] = -0.1
    assert box.contains(points).tolist() == [True, True, False, False]
    assert box.contains(points, slack=0.2).tolist() == [True, True, False, True]
    assert box.contains(points.reshape(2, 2, 2, 2)).shape == (2, 2)


def test_contains_of_a_scalar_box() -> None:
    box = Box(torch.tensor(0.0), torch.tensor(1.0))
    assert box.contains(torch.tensor([0.5, 2.0])).tolist() == [True, False]


def test_around() -> None:
    box = Box.around(torch.tensor([1.0, 2.0]), radius=torch.tensor([0.5, 0.0]))
    assert box.lower.tolist() == [0.5, 2.0]
    assert box.upper.tolist() == [1.5, 2.0]


def test_everything_is_unbounded_and_holds_all() -> None:
    box = Box.everything((3,))
    assert not box.bounded
    assert box.lower.dtype == torch.float64
    assert bool(box.contains(torch.tensor([1e300, -1e300, INF])))


def test_samples_lie_inside_and_follow_the_generator(generator: torch.Generator) -> None:
    box = Box(torch.tensor([-1.0, 5.0]), torch.tensor([2.0, 5.0]))
    x = box.sample(100, generator=generator)
    assert x.shape == (100, 2)
    assert bool(box.contains(x).all())
    assert torch.equal(x, box.sample(100, generator=torch.Generator().manual_seed(0)))


def test_unbounded_boxes_cannot_be_sampled() -> None:
    with pytest.raises(DomainError, match="unbounded box; give finite bounds"):
        Box(torch.tensor([0.0]), torch.tensor([INF])).sample(1)


def test_boxes_are_frozen_and_unpack() -> None:
    box = Box(torch.zeros(2), torch.ones(2))
    with pytest.raises(dataclasses.FrozenInstanceError):
        box.lower = torch.ones(2)  # type: ignore[misc]
    lower, upper = box
    assert lower is box.lower
    assert upper is box.upper


@pytest.mark.parametrize("flags", [Curvature, Monotonicity])
def test_flags_live_in_tensors(flags: type[Curvature] | type[Monotonicity]) -> None:
    unknown, first, second, both = flags.__members__.values()
    assert both == first | second
    assert unknown == 0
    assert first.tensor().dtype == torch.int8
    mask = torch.tensor([True, False])
    assert first.where(mask).tolist() == [int(first), 0]
    known = first.where(mask) | second.where(~mask)
    assert first.held_by(known).tolist() == [True, False]
    assert both.held_by(known).tolist() == [False, False]
    assert both.held_by(both.tensor()).item()
    assert unknown.held_by(known).all()

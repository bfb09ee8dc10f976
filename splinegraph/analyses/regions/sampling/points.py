"""Where to sample: uniformly in a domain, near data, or along chords between data points."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from splinegraph.core.domains.chart import Chart, chart_of
from splinegraph.core.graph import SplineGraph
from splinegraph.data.source import DataSource
from splinegraph.errors import DomainError, ShapeError

__all__ = ["MOST_UNIFORM", "Where", "blocks", "choose"]

Where = Literal["uniform", "near", "chords", "mixed"]

MOST_UNIFORM = 12
"""Free coordinates beyond which uniform points of a domain say little: nearly all lie near its corners."""

NEAR = 0.1
"""Noise around data points, relative to the data's standard deviation in each entry."""

ROWS, ENTRIES = 2**15, 2**22
"""Largest block of points, in rows and in entries. Fixed, as the points depend on it."""

Draw = Callable[["Stream", int], Tensor]


class Stream:
    """Random numbers of one block: numpy's on CPU, which is faster there, torch's on other devices."""

    def __init__(self, seed: int, block: int, device: torch.device) -> None:
        self.device = device
        self.numpy = np.random.Generator(np.random.SFC64(np.random.SeedSequence([seed % 2**63, block])))
        self.torch: torch.Generator | None = None
        if device.type != "cpu":
            self.torch = torch.Generator(device)
            self.torch.manual_seed(int(self.numpy.integers(2**62)))

    def uniform(self, *shape: int) -> Tensor:
        """Return numbers in [0, 1)."""
        if self.torch is None:
            return torch.from_numpy(self.numpy.random(shape))
        return torch.rand(shape, dtype=torch.float64, device=self.device, generator=self.torch)

    def normal(self, *shape: int) -> Tensor:
        """Return standard normal numbers."""
        if self.torch is None:
            return torch.from_numpy(self.numpy.standard_normal(shape))
        return torch.randn(shape, dtype=torch.float64, device=self.device, generator=self.torch)

    def index(self, count: int, size: int) -> Tensor:
        """Return `count` integers below `size`."""
        return (self.uniform(count) * size).long().clamp_(max=size - 1)


def choose(where: str, chart: Chart | None, data: Any) -> tuple[Where, str]:
    """Return where to sample, and a note on why.

    Raises
    ------
    DomainError
        If data or a bounded domain is needed and not there.
    """
    if where not in ("auto", "uniform", "near", "chords", "mixed"):
        raise DomainError(f"cannot sample {where!r}", remedy="choose auto, uniform, near, chords or mixed")
    if where in ("near", "chords", "mixed") and data is None:
        raise DomainError(
            f"sampling {where!r} needs data", remedy="give data=, or a bounded domain and where='uniform'"
        )
    if where != "auto":
        if where == "uniform" and chart is None:
            raise DomainError("sampling uniformly needs a bounded domain", remedy="give on=")
        return where, ""  # type: ignore[return-value]  # one of the literals, by the check above
    if chart is None and data is None:
        raise DomainError("there is nothing to sample", remedy="give a domain (on=) or data (data=)")
    if data is not None and (chart is None or chart.dim > MOST_UNIFORM):
        return "mixed", ""
    assert chart is not None
    if chart.dim <= MOST_UNIFORM:
        return "uniform", ""
    return "uniform", (
        f"uniform points in {chart.dim} dimensions lie far from any data, and see a vanishing part of the domain; "
        "give data= to sample near it"
    )


def blocks(
    graph: SplineGraph, on: Any, data: Any, where: Where, *, n: int, seed: int, device: torch.device
) -> Iterator[tuple[Tensor, ...]]:
    """Yield n inputs, float64, block by block: the same ones however the blocks are cut up afterwards."""
    chart = None if on is None else chart_of(graph, on)
    if where == "uniform":
        assert chart is not None
        if not chart.bounded:
            raise DomainError("cannot sample an unbounded domain uniformly", remedy="give finite bounds")
        draw = _uniform(chart, on, device)
    else:
        points = _coordinates(graph, chart, data).to(device)
        draw = _mixed(points, where, chart)
    lift = _lifting(graph, chart)
    entries = sum(math.prod(shape) for shape in graph.input_shapes)
    rows = max(1, min(ROWS, ENTRIES // max(entries, 1)))
    for i, start in enumerate(range(0, n, rows)):
        yield lift(draw(Stream(seed, i, device), min(rows, n - start)))


def _lifting(graph: SplineGraph, chart: Chart | None) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """Return the map from coordinates to inputs."""
    shapes = graph.input_shapes
    if chart is None or (chart.index is not None and chart.dim == chart.entries):  # coordinates are the entries
        sizes = [math.prod(shape) for shape in shapes]
        return lambda t: tuple(
            part.reshape(len(t), *shape) for part, shape in zip(t.split(sizes, 1), shapes, strict=True)
        )
    return chart.lift


def _uniform(chart: Chart, on: Any, device: torch.device) -> Draw:
    lower, upper = chart.lower.to(device), chart.upper.to(device)
    if not len(chart.h):
        return lambda stream, count: stream.uniform(count, chart.dim).mul_(upper - lower).add_(lower)
    domains = tuple(on) if isinstance(on, tuple | list) else (on,)

    def draw(stream: Stream, count: int) -> Tensor:
        generator = torch.Generator().manual_seed(int(stream.numpy.integers(2**62)))
        xs = [domain.sample(count, generator=generator).double().to(device) for domain in domains]
        return chart.coordinates(xs).to(device)

    return draw


def _coordinates(graph: SplineGraph, chart: Chart | None, data: Any) -> Tensor:
    """Return the data in the domain's coordinates, (M, D), or flattened where there is no domain."""
    if isinstance(data, DataSource):
        batches = [batch.inputs for batch in data.batches(ROWS)]
        data = tuple(torch.cat(column) for column in zip(*batches, strict=True))
    given = tuple(data) if isinstance(data, tuple | list) else (data,)
    given = tuple(x if isinstance(x, Tensor) else torch.as_tensor(np.asarray(x)) for x in given)
    given = tuple(x if x.is_floating_point() else x.double() for x in given)
    graph.check_inputs(given)
    flat = torch.cat([x.detach().cpu().reshape(len(x), -1).double() for x in given], 1)
    if not bool(flat.isfinite().all()):
        raise ShapeError("the data holds NaN or infinite values", remedy="give finite numbers")
    if chart is None:
        return flat
    points = chart.coordinates([x.detach().cpu() for x in given])
    inside = chart.contains(points, slack=1e-9 * (1 + float(points.abs().max())))
    if not bool(inside.any()):
        raise DomainError("no data point lies in the domain", remedy="give a domain around the data")
    return points[inside]


def _mixed(points: Tensor, where: Where, chart: Chart | None) -> Draw:
    """Return draws near data points, along chords between them, or half of each."""
    if where != "near" and len(points) < 2:
        raise DomainError("one data point has no chords", remedy="give more data, or where='near'")
    spread = NEAR * points.std(0, correction=0)
    if not bool((spread > 0).any()):
        spread = torch.full_like(spread, NEAR)

    def near(stream: Stream, count: int) -> Tensor:
        base = points[stream.index(count, len(points))]
        return _pulled_inside(base, stream.normal(count, points.shape[1]).mul_(spread), chart)

    def along(stream: Stream, count: int) -> Tensor:
        a, b = points[stream.index(count, len(points))], points[stream.index(count, len(points))]
        return torch.lerp(a, b, stream.uniform(count, 1))

    if where == "near":
        return near
    if where == "chords":
        return along
    return lambda stream, count: torch.cat([near(stream, count - count // 2), along(stream, count // 2)])


def _pulled_inside(base: Tensor, noise: Tensor, chart: Chart | None) -> Tensor:
    """Return base + noise, the noise halved until the point lies in the domain."""
    if chart is None:
        return base + noise
    for _ in range(40):
        outside = ~chart.contains(base + noise)
        if not bool(outside.any()):
            break
        noise[outside] *= 0.5
    return base + noise

"""A search in parts finds the same cells, bit by bit, in an order that can be restored."""

from __future__ import annotations

import pickle
import time

import pytest
import torch
from torch import nn

import splinegraph as sg
from splinegraph.analyses.regions.cells import Cells
from splinegraph.analyses.regions.search.search import Search, position, search
from splinegraph.errors import DataError, DomainError, UnsupportedOperatorError
from tests.analyses.regions.search.nets import box, compiled, keys, mlp
from tests.analyses.regions.search.test_architectures import Pooled


def in_parts(engine: Search, limit: int, order: int) -> Cells:
    """Run tasks of at most `limit` cells, the last or the first that waits next, each by a fresh engine."""
    waiting: list[bytes | None] = [None]
    found: list[tuple[bytes, Cells]] = []
    while waiting:
        task = waiting.pop(order)
        fresh = pickle.loads(pickle.dumps(engine))
        cells, left = fresh.run(task, limit=limit)
        assert len(cells) <= limit
        found.append((position(task), cells))
        waiting += left
    return Cells.concat([cells for _, cells in sorted(found, key=lambda pair: pair[0])])


@pytest.mark.parametrize(
    "model", [mlp(3, 8, 8, 1), Pooled(), mlp(3, 5, 5, 1, act=nn.Hardtanh)], ids=["relu", "pool", "ends"]
)
@pytest.mark.parametrize(("limit", "order"), [(7, -1), (50, 0)])
def test_parts_make_the_whole(model: nn.Module, limit: int, order: int) -> None:
    engine = Search(compiled(model, box(3), 3)[2])
    whole, left = engine.run(None, limit=10**6)
    assert not left
    parts = in_parts(engine, limit, order)
    assert (parts.packed == whole.packed).all()
    assert (parts.points == whole.points).all()
    assert (parts.radii == whole.radii).all()


def test_a_limit_leaves_tasks_that_can_be_carried_on() -> None:
    graph, chart, program = compiled(mlp(3, 8, 8, 1), box(3), 3)
    whole = search(graph, chart)
    assert whole.complete
    first = search(graph, chart, limit=20)
    assert len(first.cells) == 20
    assert not first.complete
    second = search(graph, chart, tasks=first.left, limit=30)
    third = search(graph, chart, tasks=second.left, program=program)
    assert third.complete
    together = Cells.concat([first.cells, second.cells, third.cells])
    assert keys(together.packed) == keys(whole.cells.packed)
    assert len(together) == len(whole.cells)


def test_a_deadline_stops_the_search() -> None:
    graph, chart, _ = compiled(mlp(6, 16, 16, 1), box(6), 6)
    found = search(graph, chart, deadline=time.monotonic() - 1)
    assert 0 < len(found.cells) < 35227
    assert not found.complete


def test_a_task_of_another_network_is_refused() -> None:
    left = Search(compiled(mlp(3, 8, 8, 1), box(3), 3)[2]).run(None, limit=5)[1]
    other = Search(compiled(mlp(3, 8, 8, 1, seed=1), box(3), 3)[2])
    with pytest.raises(DataError, match="another search"):
        other.run(left[0], limit=5)


def test_the_hash_tells_weights_and_domains_apart() -> None:
    hashes = {
        compiled(mlp(3, 4, 1), box(3), 3)[2].hash,
        compiled(mlp(3, 4, 1, seed=1), box(3), 3)[2].hash,
        compiled(mlp(3, 4, 1), box(3, -2), 3)[2].hash,
    }
    assert len(hashes) == 3
    assert compiled(mlp(3, 4, 1), box(3), 3)[2] == compiled(mlp(3, 4, 1), box(3), 3)[2]


def test_smooth_networks_are_refused() -> None:
    with pytest.raises(UnsupportedOperatorError, match=r"sg\.spline"):
        compiled(nn.Sequential(nn.Linear(3, 2), nn.Tanh()), box(3), 3)


def test_an_unbounded_domain_is_refused() -> None:
    with pytest.raises(DomainError, match="unbounded"):
        compiled(mlp(3, 2, 1), sg.Box.everything((3,)), 3)


def test_progress_is_told() -> None:
    graph, chart, _ = compiled(mlp(3, 8, 8, 1), box(3), 3)
    seen: list[int] = []
    found = search(graph, chart, progress=lambda cells: seen.append(len(cells)))
    assert sum(seen) == len(found.cells)


def test_steps_of_a_rounded_value() -> None:
    class Rounded(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.round(3 * x) + x

    from tests.analyses.regions.search.nets import cells_of

    assert len(cells_of(Rounded(), 2)) == 7**2

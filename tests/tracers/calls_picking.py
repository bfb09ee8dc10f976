"""Rows for calls that pick, write and add up at places, constant or live: see `calls`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from tests.tracers.rows import Row, aten, row

EDGES = torch.tensor([[0, 1, 1, 2, 3], [1, 0, 2, 3, 0]])
PLACES = torch.tensor([[3, 0, 1, 1, 3, 3]])  # one place is left out, three entries meet in another
DISTINCT = torch.tensor([[5, 0, 1, 2, 3, 7]])
MASK = torch.tensor([[True, False], [False, True], [True, True]])


def _zeros(x: Tensor, *sizes: int) -> Tensor:
    return torch.zeros(x.shape[0], *sizes, dtype=x.dtype)


def _reduced(reduce: str, *, include_self: bool = False, base: float = 0.0) -> Callable[[Tensor], Tensor]:
    return lambda x: (_zeros(x, 4) + base).scatter_reduce(
        1, PLACES.expand_as(x), x, reduce, include_self=include_self
    )  # fmt: skip


def _rows(x: Tensor) -> Tensor:
    return torch.arange(x.shape[0])


def _assign(x: Tensor, *index: object) -> Tensor:
    y = _zeros(x, 4, 3)
    y[:, index[0]] = x
    return y


PICKING: list[Row] = [
    row("repeat_interleave.self_int", lambda x: x.repeat_interleave(2, 1), (3, 2)),
    row("index_select", lambda x: x.index_select(1, torch.tensor([2, 0, 2])), (3, 2)),
    row("index.Tensor", lambda x: x[:, [0, 2], [1, 0]], (3, 2)),
    row("index.Tensor", lambda x: x[:, [0, 2], :, [1, -1]].movedim(1, 0), (3, 2, 4)),
    row("index.Tensor", lambda x: x[:, [[0], [2]], [1, 0]], (3, 2, 4)),
    row("index.Tensor", lambda x: x[:, MASK] * 2, (3, 2)),
    row("index.Tensor", lambda x: x[:, :, MASK[2]].relu(), (3, 2)),
    row("index.Tensor", lambda x: x[_rows(x), torch.full((x.shape[0],), 2)] * 3, (3, 2)),
    row("index.Tensor", lambda x: x[_rows(x)[:, None], torch.tensor([[2, 0]]), torch.tensor([[1, 1]])], (3, 2, 4)),
    row("unfold", lambda x: x.unfold(1, 3, 2)),
    row("unfold", lambda x: x.unfold(1, 2, 1).unfold(2, 2, 2), (4, 5)),
    row("im2col", lambda x: F.unfold(x, 3, 1, 1, 2), (2, 6, 5)),
    row("im2col", lambda x: F.unfold(x, (2, 3), dilation=(2, 1)), (2, 6, 5)),
    row("diagonal", lambda x: x.diagonal(1, 1, 2), (3, 4)),
    row("linalg_diagonal", lambda x: torch.ops.aten.linalg_diagonal(x, offset=-1), (2, 3, 4)),
    row("gather", lambda x: x.gather(1, torch.tensor([[0, 2, 1]]).expand(x.shape[0], 3))),
    row("gather", lambda x, y: x.gather(1, y.topk(2).indices), (6,), (6,)),
    row("gather", lambda x, y: x.gather(-2, y.argsort(-2)), (4, 3), (4, 3)),
    row("embedding", lambda x, w: F.embedding(x.argmax(-1), w) * x[..., :3], (2, 5), constants=((5, 3),)),
]

SCATTERING: list[Row] = [
    row("scatter_add", lambda x: _zeros(x, 4).scatter_add(1, PLACES.expand_as(x), x)),
    row("scatter_add", lambda x: x.scatter_add(1, PLACES[:, :4].expand(x.shape[0], 4), 2 * x),
        jacobian=lambda x: x.scatter_add(1, PLACES[:, :4].expand(x.shape[0], 4), 2 * x[:, :4])),
    row("scatter_add", lambda x, y: _zeros(x, 6).scatter_add(1, y.argsort(1), x), (6,), (6,)),
    row("scatter.src", lambda x: _zeros(x, 8).scatter(1, DISTINCT.expand_as(x), x)),
    # torch's own derivative counts entries that were overwritten
    row("scatter.src", lambda x: (x * 2).scatter(1, PLACES.expand_as(x), x),
        jacobian=lambda x: torch.stack([x[:, 1], x[:, 3], 2 * x[:, 2], x[:, 5], 2 * x[:, 4], 2 * x[:, 5]], 1)),
    row("scatter.src", lambda x: torch.zeros_like(x).scatter(1, x.topk(2).indices, x.topk(2).values)),
    row("scatter.src", lambda x: torch.zeros_like(x).scatter(-1, x.topk(2).indices, x.topk(2).values.softmax(-1))),
    row("scatter.value", lambda x: x.scatter(1, DISTINCT[:, 1:3].expand(x.shape[0], 2), 1.5)),
    row("scatter_reduce.two", _reduced("sum", include_self=True, base=1.0)),
    row("scatter_reduce.two", _reduced("mean")),
    row("scatter_reduce.two", _reduced("mean", include_self=True, base=1.0)),
    row("scatter_reduce.two", _reduced("amax", base=0.5)),
    row("scatter_reduce.two", _reduced("amin")),
    row("index_add", lambda x: aten.index_add(_zeros(x, 4, 3), 1, EDGES[1], x[:, EDGES[0]]), (4, 3)),
    row("index_add", lambda x: aten.index_add(x, 1, EDGES[1], x[:, EDGES[0]], alpha=2), (4, 3)),
    row("index_put", lambda x: torch.where(x < 0, 0.5, x + 0.0).index_put((x < -1,), torch.tensor(2.0, dtype=x.dtype))),
    row("index_put", lambda x: _assign(x, torch.tensor([2, 0])), (2, 3)),
    row("index_put", lambda x: _assign(x[:, :1], torch.tensor([2, 0])), (2, 3)),
    row("index_put", lambda x: _zeros(x, 4, 3).index_put(
        (_rows(x)[:, None], EDGES[1][None]), x[:, EDGES[0]], accumulate=True), (4, 3)),
    row("index_put", lambda x: x.index_put((_rows(x), torch.full((x.shape[0],), 2)), 2 * x[:, 0]), (4, 3)),
    row("col2im", lambda x: F.fold(x, (4, 4), 2), (8, 9)),
    row("col2im", lambda x: F.fold(x, (4, 5), (2, 3), dilation=(2, 1), padding=1, stride=2), (12, 6)),
]  # fmt: skip


def _grid(w: Tensor, x: Tensor) -> Tensor:
    return w[None].expand(x.shape[0], *w.shape)


SAMPLING: list[Row] = [
    *(
        row("grid_sampler", lambda x, w, mode=mode, pad=pad, align=align: F.grid_sample(
            x, _grid(w, x), mode, pad, align), (2, 4, 3), constants=((3, 3, 2),))
        for mode, pad, align in (
            ("bilinear", "zeros", False), ("bilinear", "border", True), ("bilinear", "reflection", False),
            ("bilinear", "reflection", True), ("nearest", "zeros", True))
    ),
    row("grid_sampler", lambda x, w: F.grid_sample(x, _grid(w, x), align_corners=False), (1, 3, 4, 2),
        constants=((2, 2, 3, 3),)),
    row("grid_sampler_2d", lambda x, w: aten.grid_sampler_2d(x, _grid(w, x), 0, 0, False), (1, 3, 4),
        constants=((2, 2, 2),)),
    row("grid_sampler_3d", lambda x, w: aten.grid_sampler_3d(x, _grid(w, x), 0, 0, False), (1, 3, 4, 2),
        constants=((2, 2, 3, 3),)),
    row("affine_grid_generator", lambda x: F.affine_grid(x, [x.shape[0], 1, 3, 4], align_corners=False), (2, 3)),
    row("affine_grid_generator", lambda x: F.affine_grid(x, [x.shape[0], 1, 3, 2, 2], align_corners=True), (3, 4)),
]  # fmt: skip

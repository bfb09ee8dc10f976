"""Rows for calls that reshape, pick, write and fill: see `calls`."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tests.tracers.rows import aten, row


def _write(x: Tensor) -> Tensor:
    x = x + 0.0
    x[x < 0] = 0.5
    return x


def _write_columns(x: Tensor) -> Tensor:
    x = x + 0.0
    x[:, [0, 2]] = 0.5
    return x


def _write_part(x: Tensor) -> Tensor:
    y = torch.zeros_like(x)
    y[:, 1:3] = 2 * x[:, :2]
    y[:, 4] = x[:, 5]
    return y


SHAPES = [
    row("view", lambda x: x.view(-1, 12), (3, 4)),
    row("reshape", lambda x: x.mT.reshape(-1, 2, 6), (3, 4)),
    row("_unsafe_view", lambda x: aten._unsafe_view(x, [x.shape[0], 12]), (3, 4)),
    row("_reshape_copy", lambda x: aten._reshape_copy(x, [x.shape[0], 12]), (3, 4)),
    row("flatten.using_ints", lambda x: x.flatten(1), (3, 4)),
    row("unflatten.int", lambda x: x.unflatten(1, (2, 3))),
    row("view_as", lambda x, y: x.view_as(y) + y, (6,), (2, 3)),
    row("reshape_as", lambda x, y: x.reshape_as(y) + y, (6,), (2, 3)),
    row("ravel view", lambda x: x.ravel().view(-1, 12) * 2, (3, 4)),
    row("squeeze.dim", lambda x: x.squeeze(1), (1, 4)),
    row("squeeze.dims", lambda x: x.squeeze((1, 3)), (1, 4, 1)),
    row("squeeze", lambda x: x.squeeze(), (1, 4)),
    row("unsqueeze", lambda x: x.unsqueeze(1), (3, 4)),
    row("contiguous", lambda x: x.transpose(1, 2).contiguous(), (3, 4)),
    row("clone", lambda x: x.clone() * 2),
    row("alias", lambda x: aten.alias(x) * 2),
    row("detach", lambda x: x.detach() * x, jacobian=lambda x: x * x),
    row("detach", lambda x: (x * 2).detach_() + x, jacobian=lambda x: 3 * x),
    row("lift_fresh_copy", lambda x: aten.lift_fresh_copy(x) * 2),
    row("positive", lambda x: (+x) * 2),
    row("resolve_conj", lambda x: aten.resolve_conj(x) * 2),
    row("resolve_neg", lambda x: aten.resolve_neg(x) * 2),
    row("dropout", lambda x: F.dropout(x, 0.5, training=False) * 2),
    row("feature_dropout", lambda x: F.dropout2d(x, 0.5, training=False) * 2, (2, 3, 3)),
    row("alpha_dropout", lambda x: F.alpha_dropout(x, 0.5, training=False) * 2),
    row("feature_alpha_dropout", lambda x: F.feature_alpha_dropout(x, 0.5, training=False) * 2),
    row("native_dropout", lambda x: aten.native_dropout(x, 0.5, False)[0] * 2),
    row("to.dtype", lambda x: (x > 0).to(x.dtype) * x),
    row("to.dtype", lambda x: x.double() * 2),
    row("_to_copy", lambda x: aten._to_copy(x > 0, dtype=torch.float32) * x),
    row("to.dtype_layout", lambda x: aten.to.dtype_layout(x, dtype=torch.float64) * 2),
    row("to.device", lambda x: aten.to.device(x, torch.device("cpu"), torch.float64) * 2),
    row("type_as", lambda x: (x > 0).type_as(x) * x),
    row("permute", lambda x: x.permute(0, 2, 1), (3, 4)),
    row("permute", lambda x: x.permute(2, 0, 1).relu().permute(1, 2, 0), (3, 4)),
    row("transpose.int", lambda x: x.transpose(-1, -2), (3, 4)),
    row("swapaxes", lambda x: x.swapaxes(1, 2), (3, 4)),
    row("swapdims", lambda x: x.swapdims(1, 2), (3, 4)),
    row("t", lambda x, w: (w @ x.t()).t(), constants=((3, 6),)),
    row("numpy_T", lambda x, w: (w @ x.T).T, constants=((3, 6),)),
    row("mT", lambda x: x.mT, (3, 4)),
    row("adjoint", lambda x: x.adjoint(), (3, 4)),
    row("movedim.int", lambda x: x.movedim(1, -1), (2, 3, 4)),
    row("movedim.intlist", lambda x: x.movedim((1, 2), (3, 1)), (2, 3, 4)),
    row("moveaxis.int", lambda x: x.moveaxis(1, -1), (2, 3, 4)),
    row("expand", lambda x: x.expand(-1, 3, -1), (1, 4)),
    row("expand_as", lambda x, y: x.expand_as(y) + y, (1, 4), (3, 4)),
    row("broadcast_to", lambda x: aten.broadcast_to(x, [x.shape[0], 3, 4]), (1, 4)),
    row("slice.Tensor", lambda x: x[:, 1:5:2]),
    row("narrow", lambda x: x.narrow(1, 2, 3)),
    row("select.int", lambda x: x[:, -1], (3, 4)),
    row("unbind.int", lambda x: sum(x.unbind(1)), (3, 4)),
    row("split.Tensor", lambda x: torch.cat(x.split(4, 1)[::-1], 1)),
    row("split_with_sizes", lambda x: torch.cat(x.split([1, 2, 3], 1)[::-1], 1)),
    row("split.sizes", lambda x: torch.cat(aten.split.sizes(x, [1, 5], 1)[::-1], 1)),
    row("chunk", lambda x: torch.cat(x.chunk(4, 1)[::-1], 1)),
    row("tensor_split.sections", lambda x: torch.cat(x.tensor_split(4, 1)[::-1], 1)),
    row("tensor_split.indices", lambda x: torch.cat(x.tensor_split((1, 4), 1)[::-1], 1)),
    row("unsafe_split.Tensor", lambda x: torch.cat(torch.unsafe_split(x, 4, 1)[::-1], 1)),
    row("unsafe_chunk", lambda x: torch.cat(torch.unsafe_chunk(x, 3, 1)[::-1], 1)),
    row("cat", lambda x, y, w: torch.cat([x, w.expand(x.shape[0], 4), y], 1), (2,), (3,), constants=((4,),)),
    row("concat", lambda x, y: torch.concat([x, y], -1), (2,), (3,)),
    row("stack", lambda x, y: torch.stack([x, y, x], 1), (2,), (2,)),
    row("flip", lambda x: x.flip(1, 2), (3, 4)),
    row("roll", lambda x: x.roll((1, -1), (1, 2)), (3, 4)),
    row("repeat", lambda x: x.repeat(1, 2, 3), (2, 2)),
    row("tile", lambda x: x.tile(2), (2, 2)),
    row("pixel_shuffle", lambda x: F.pixel_shuffle(x, 2), (4, 2, 2)),
    row("pixel_unshuffle", lambda x: F.pixel_unshuffle(x, 2), (1, 4, 2)),
    row("tril", lambda x: x.tril(1), (3, 3)),
    row("triu", lambda x: x.triu(), (3, 4)),
    row("slice_scatter select_scatter zeros_like copy", _write_part),
    row("slice_scatter", lambda x, y: torch.slice_scatter(x, y, 1, 1, 5, 2), (6,), (2,)),
    row("select_scatter", lambda x, y: torch.select_scatter(x, y, 1, -1), (3, 4), (4,)),
    row("index_put", _write),
    row("index_put", _write_columns),
]

FILLING = [
    row(
        "new_zeros new_ones new_full", lambda x: x + x.new_zeros(6) + x.new_ones(x.shape[0], 6) * x.new_full((6,), 2.0)
    ),
    row("full_like", lambda x: x * torch.full_like(x, 2.5)),
    row("fill.Scalar empty_like", lambda x: (x * 2).fill_(0.5) * x + 0 * torch.empty_like(x).fill_(2.0)),
    row("fill.Tensor", lambda x, w: x * (x + 1).fill_(w[0]), constants=((1,),)),
    row("zero new_empty", lambda x: x + (x * 2).zero_() + x.new_empty(6).zero_()),
    row("copy", lambda x, y: x * (y * 2).copy_(x), (2, 6), (2, 6)),
]

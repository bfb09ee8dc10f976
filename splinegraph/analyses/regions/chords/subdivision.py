"""Segments cut into pieces while a graph is walked, and values that follow as vertices are inserted."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from splinegraph.analyses.regions.tolerances import ON_BOUNDARY
from splinegraph.core.layout import BatchLayout

__all__ = ["Held", "Overflow", "Subdivision"]


class Overflow(Exception):
    """There are more vertices than asked for: take shorter segments. `t` of shape (V,) says where they would be."""

    def __init__(self, t: Tensor) -> None:
        super().__init__(f"{len(t)} vertices")
        self.t = t


@dataclass(frozen=True, eq=False)
class Held:
    """A node's value at the vertices of one stage of a subdivision.

    Parameters
    ----------
    value : Tensor
    layout : BatchLayout or None
        Where the vertices are; None for axis 0.
    stage : int
    """

    value: Tensor
    layout: BatchLayout | None
    stage: int

    def rows(self) -> Tensor:
        """Return the value with the vertices on axis 0."""
        return self.layout.samples_first(self.value) if self.layout else self.value


@dataclass(frozen=True, eq=False)
class _Stage:
    """Vertices at one time; `origin` maps those of the next stage to the vertex at or left of them."""

    t: Tensor
    left: Tensor
    origin: Tensor


class Subdivision:
    """Segments, each cut at increasing t; pieces lie between neighboring vertices of a segment.

    Neighbors that are no piece are the two sides of a jump, at the same t.

    Parameters
    ----------
    lower, upper : Tensor of shape (S,), float64
        Ends of the segments.
    most : int
        Vertices beyond which `Overflow` is raised.
    """

    def __init__(self, lower: Tensor, upper: Tensor, most: int) -> None:
        count, device = len(lower), lower.device
        self.most = most
        self.t = torch.stack([lower, upper], 1).reshape(-1)
        self.segment = torch.arange(count, device=device).repeat_interleave(2)
        self.left = 2 * torch.arange(count, device=device)
        self._past: list[_Stage] = []
        self._paths: dict[int, tuple[Tensor, Tensor, Tensor]] = {}

    @property
    def stage(self) -> int:
        """How often the vertices changed."""
        return len(self._past)

    @property
    def owner(self) -> Tensor:
        """The segment of each piece, shape (P,)."""
        return self.segment[self.left]

    def insert(self, piece: Tensor, position: Tensor) -> Tensor:
        """Cut pieces at positions in (0, 1) along each; return the vertex at each position.

        Positions that coincide with an end, or with each other, to within a tolerance are merged.
        """
        low, high = self.t[self.left[piece]], self.t[self.left[piece] + 1]
        t = torch.lerp(low, high, position)
        by_t = t.argsort(stable=True)
        order = by_t[piece[by_t].argsort(stable=True)]
        piece, t, low, high = piece[order], t[order], low[order], high[order]
        first = torch.ones_like(piece, dtype=torch.bool)
        first[1:] = piece[1:] != piece[:-1]
        before = torch.where(first, low, t.roll(1))
        late = high - t <= ON_BOUNDARY
        keep = (t - before > ON_BOUNDARY) & ~late
        if len(self.t) + int(keep.sum()) > self.most:
            raise Overflow(torch.cat([self.t, t[keep]]))
        after = self.left[piece]  # the vertex that each comes behind, then how many come before it
        vertex = after + keep.cumsum(0) + late
        if bool(keep.any()):
            self._insert(after[keep], t[keep])
        found = torch.empty_like(vertex)
        found[order] = vertex
        return found

    def _insert(self, after: Tensor, t: Tensor) -> None:
        """Insert vertices behind others, sorted by t, all inside of pieces."""
        old = len(self.t)
        behind = torch.zeros(old, dtype=torch.int64, device=t.device)
        behind.index_add_(0, after, torch.ones_like(after))
        place_old = torch.arange(old, device=t.device) + behind.cumsum(0) - behind
        place_new = after + 1 + torch.arange(len(t), device=t.device)
        origin = torch.empty(old + len(t), dtype=torch.int64, device=t.device)
        origin[place_old] = torch.arange(old, device=t.device)
        origin[place_new] = after
        starts = torch.zeros(old + len(t), dtype=torch.bool, device=t.device)
        starts[place_old[self.left]] = True
        starts[place_new] = True
        joined = self.t[origin]
        joined[place_new] = t
        self._advance(joined, starts.nonzero()[:, 0], origin)

    def split(self) -> None:
        """Give every piece two vertices of its own, so that a value may jump between pieces."""
        if 2 * len(self.left) == len(self.t):
            return
        origin = torch.stack([self.left, self.left + 1], 1).reshape(-1)
        self._advance(self.t[origin], 2 * torch.arange(len(self.left), device=origin.device), origin)

    def _advance(self, t: Tensor, left: Tensor, origin: Tensor) -> None:
        self._past.append(_Stage(self.t, self.left, origin))
        self._paths.clear()
        self.t, self.left, self.segment = t, left, self.segment[origin]

    def _path(self, stage: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return where the present vertices lie among those of a stage: (vertex at or left, new ones, how far)."""
        if stage not in self._paths:
            at = self._past[-1].origin
            for past in reversed(self._past[stage:-1]):
                at = past.origin[at]
            t = self._past[stage].t
            new = (t[at] != self.t).nonzero()[:, 0]
            low = at[new]
            self._paths[stage] = at, new, (self.t[new] - t[low]) / (t[low + 1] - t[low])
        return self._paths[stage]

    def current(self, held: Held) -> Held:
        """Return a value at the present vertices: on each piece it is affine, or constant if it is no float."""
        if held.stage == self.stage:
            return held
        rows = held.rows()
        at, new, far = self._path(held.stage)
        value = rows.index_select(0, at)
        if len(new) and rows.is_floating_point():
            weight = far.to(rows.dtype).reshape(-1, *(1,) * (rows.dim() - 1))
            value.index_copy_(0, new, torch.lerp(value[new], rows[at[new] + 1], weight))
        back = held.layout.samples_back(value) if held.layout else value
        return Held(back, held.layout, self.stage)

    def ancestors(self, stage: int) -> Tensor:
        """Return which piece of a stage each present piece lies in, shape (P,)."""
        if stage == self.stage:
            return torch.arange(len(self.left), device=self.left.device)
        past = self._past[stage]
        number = torch.zeros(len(past.t), dtype=torch.int64, device=self.left.device)
        number[past.left] = torch.arange(len(past.left), device=self.left.device)
        return number[self._path(stage)[0][self.left]]
